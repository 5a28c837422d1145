"""HAProxy before several speech services, as Cloud Run's own front stands before its instances."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from tests.serving import free_port, until

CONFIG = """
defaults
    mode http
    timeout connect 2s
    timeout client 600s
    timeout server 600s
    timeout queue 60s
    # An instance that is gone is found out when it is called, and the request goes to another one.
    option redispatch
    retries 3
frontend address
    bind 127.0.0.1:{port}
    default_backend instances
backend instances
    balance leastconn
    option httpchk GET /health/ready
{servers}
"""
# Four at once each: service.yaml's containerConcurrency.
SERVER = "    server i{number} 127.0.0.1:{port} check inter 200ms fall 1 rise 1 maxconn 4"


@contextlib.contextmanager
def balancer(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """The one address of the services on these ports of this machine, until the block ends."""
    port = free_port()
    config = folder / "haproxy.cfg"
    servers = "\n".join(SERVER.format(number=number, port=each) for number, each in enumerate(ports, 1))
    config.write_text(CONFIG.format(port=port, servers=servers))
    process = subprocess.Popen(
        ["haproxy", "-db", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def ready() -> bool:
        assert process.poll() is None
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
        return False

    try:
        until(ready)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
