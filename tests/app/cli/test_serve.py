"""What is said at the start, and where the port is taken."""

from __future__ import annotations

import socket

import pytest

from app.cli.serve import welcome
from app.listening import PortRefused, listen
from app.settings.fields import Settings

ENGINES = ["Images   sketch on cpu (no CUDA GPU here)", "Speech   demo (built in)"]


def test_the_block_tells_page_engines_tunnel_and_how_to_stop() -> None:
    assert welcome(Settings(port=7861), ENGINES).splitlines()[1:] == [
        "  Page     http://localhost:7861   (for programs: http://localhost:7861/docs and http://localhost:7861/?view=api)",
        "  Images   sketch on cpu (no CUDA GPU here)",
        "  Speech   demo (built in)",
        "  Access   this machine only, no token asked",
        "  Tunnel   ssh -N -L 7861:localhost:7861 root@HOST -p PORT   (on your machine; then open http://localhost:7861)",
        "  Stop     Ctrl-C: running work gets up to 120 s to finish; Ctrl-C again stops at once",
    ]


def test_the_block_tells_who_else_gets_in() -> None:
    settings = Settings.model_validate({"host": "0.0.0.0", "api_tokens": "a-token-that-is-long-enough"})
    block = welcome(settings, ENGINES)
    assert "Access   every machine that reaches 0.0.0.0:7860, with a token from STUDIO_API_TOKENS" in block
    assert "a-token" not in block


def test_the_address_in_the_block_is_one_that_opens() -> None:
    settings = Settings.model_validate({"host": "fd00::1", "api_tokens": "a-token-that-is-long-enough"})
    block = welcome(settings, ENGINES)
    assert "Page     http://[fd00::1]:7860 " in block
    assert "Tunnel" not in block


def test_who_connects_before_the_server_runs_waits() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with listen("localhost", port), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("192.0.2.1", 7860, r"^Cannot listen on 192\.0\.2\.1 \(Cannot assign requested address\)"),
        ("no.such.host.invalid", 7860, r"^Cannot listen on no\.such\.host\.invalid \(.*--host 127\.0\.0\.1$"),
    ],
)
def test_an_address_that_is_not_ours_is_refused(host: str, port: int, expected: str) -> None:
    with pytest.raises(PortRefused, match=expected):
        listen(host, port)


def test_a_taken_port_is_refused_with_another_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortRefused, match=rf"^Port {port} is taken .*--port \d+$"):
            listen("127.0.0.1", port)
