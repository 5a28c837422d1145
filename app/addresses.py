"""Which of the addresses that users give may be opened: those whose host is on a list.

The list alone is not enough: a name on it may come to point elsewhere. So what it resolves to must be public, and the
address that was checked is the one connected to. `safehttpx`, which comes with Gradio, was judged by the same hostile
addresses and not taken: it is content with one public address among several, asks a web service where the system's
resolver gives none, reads the whole body into memory, looks at neither ports nor credentials, and checks nothing of a
host that is on its list.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpcore
import httpx

from engines.errors import InvalidRequest

MAX_ADDRESS_CHARS = 4096
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All that IANA has given out of IPv6; outside lie also the IPv4 addresses in IPv6's clothes."""
SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        # IETF's own and Teredo, documentation twice, 6to4; of IPv4 IETF's own and 6to4's relays. Python 3.11 does not
        # know all of the registry of special purposes (RFC 6890), which goes on growing.
        ("2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16", "192.0.0.0/24", "192.88.99.0/24"),
    )
)


class AddressRefused(InvalidRequest):
    """An address that is not opened."""

    code = "address_refused"


@dataclass(frozen=True, slots=True)
class Allowed:
    """An address that may be opened."""

    url: httpcore.URL
    trusted: bool
    """The operator named it with its scheme: whatever it resolves to is as it should be."""

    @property
    def host(self) -> str:
        return self.url.host.decode()

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.url.scheme == b"https" else 80
        return host if self.url.port == default else f"{host}:{self.url.port}"

    @property
    def text(self) -> str:
        """All of it. Its query is a secret where the address is signed."""
        return f"{self.url.scheme.decode()}://{self.host_header}{self.url.target.decode()}"


class AddressList:
    """Which addresses may be opened.

    `entries`: a name (`storage.googleapis.com`), all below one (`*.example.com`), both for https and its own port only;
    or scheme, host and port (`http://127.0.0.1:9199`), which are trusted as they are.
    """

    def __init__(self, entries: Sequence[str], setting: str) -> None:
        """`setting`: the variable that the entries come from, for messages."""
        self._setting = setting
        self._names = frozenset(entry.lower() for entry in entries if "://" not in entry and not entry.startswith("*."))
        self._below = tuple(entry[1:].lower() for entry in entries if entry.startswith("*."))
        self._origins = frozenset(_origin(entry) for entry in entries if "://" in entry)

    def check(self, field: str, address: str) -> Allowed:
        """The address as it is to be opened. Raises AddressRefused, which names `field`."""
        if len(address) > MAX_ADDRESS_CHARS:
            raise AddressRefused(field, f"{field} is longer than {MAX_ADDRESS_CHARS} characters: send a shorter one.")
        if not re.fullmatch(r"[!-~]+", address) or "\\" in address:
            raise AddressRefused(
                field, f"{field} has spaces or other characters that an address cannot have: percent-encode them."
            )
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as error:
            raise AddressRefused(field, f"{field} is not an address: send one like https://host/path.") from error
        host = (parts.hostname or "").lower()
        if parts.scheme not in ("http", "https") or not host:
            raise AddressRefused(field, f"{field} is not an https address: send one like https://host/path.")
        if "@" in parts.netloc:
            raise AddressRefused(field, f"{field} has a user name or password in it: leave them out.")
        default = 443 if parts.scheme == "https" else 80
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        url = httpcore.URL(scheme=parts.scheme, host=host, port=port or default, target=target)
        if (parts.scheme, host, port or default) in self._origins:
            return Allowed(url, trusted=True)
        if parts.scheme != "https":
            raise AddressRefused(field, f"{field} is not an https address: send one like https://host/path.")
        if host not in self._names and not host.endswith(self._below):
            raise AddressRefused(
                field,
                f"{field} is at {host[:100]}, which is not opened from here. Whoever runs the server can allow it with "
                f"{self._setting}.",
            )
        if port not in (None, 443):
            raise AddressRefused(field, f"{field} has the port {port}: https is used on its own port only.")
        return Allowed(url, trusted=False)


def is_public(address: str) -> bool:
    """Whether an IP address, as text, belongs to somebody on the internet, and means nothing else on the way there."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6 and (ip not in GLOBAL_UNICAST or any(ip in network for network in SPECIAL)):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or any(ip in network for network in SPECIAL))


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, as text. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)]


class CheckedTransport(httpx.BaseTransport):
    """For an httpx client that calls addresses which users gave: allowed ones, and at public addresses only."""

    def __init__(
        self,
        addresses: AddressList,
        inner: httpx.BaseTransport | None = None,
        resolve: Callable[[str, int], list[str]] = resolve,
    ) -> None:
        """`inner` does the work. `resolve`: all addresses of a name."""
        self._addresses = addresses
        self._inner = inner or httpx.HTTPTransport()
        self._resolve = resolve

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises AddressRefused."""
        allowed = self._addresses.check("webhook", str(request.url))
        if not allowed.trusted:
            host = request.url.host
            try:
                found = self._resolve(host, 443)
            except OSError as error:
                raise httpx.ConnectError("the name could not be resolved") from error
            if not found or not all(map(is_public, found)):
                raise AddressRefused("webhook", f"webhook is at {host}, which is no public address.")
            # To the very address that was looked at; the certificate has to be for the name all the same.
            request.extensions = {**request.extensions, "sni_hostname": host}
            request.url = request.url.copy_with(host=found[0])
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def _origin(entry: str) -> tuple[str, str, int]:
    parts = urlsplit(entry)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
