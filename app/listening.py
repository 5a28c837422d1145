"""Takes the port before anything slow is loaded, and says in a sentence why that did not work."""

from __future__ import annotations

import errno
import socket

BACKLOG = 2048


class PortRefused(Exception):
    """The address cannot be listened on; `str()` says why and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already: who connects before the server runs waits instead of failing."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # `localhost` is 127.0.0.1 first: what connects to that by number must find us.
        family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortRefused(_why(host, port, error)) from error
    # Without this a restart has to wait for the last connections' TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortRefused(_why(host, port, error)) from error
    listener.setblocking(False)
    return listener


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1
        return f"Port {port} is taken by another program. Stop that one, or choose another port: --port {other}"
    if error.errno == errno.EACCES:
        return f"Port {port} is for root only. Choose one above 1023, e.g. --port 7860"
    return f"Cannot listen on {host} ({error.strerror}). Choose an address of this machine, e.g. --host 127.0.0.1"
