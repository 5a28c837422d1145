"""Which addresses of webhooks are called: those that the operator allows."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from engines.errors import InvalidRequest

MAX_ADDRESS_CHARS = 2000


class AllowedAddresses:
    """Hosts, reached by https on its own port, and whole origins, trusted as they are (plain http and any port too).

    A host may begin with `*.`, for every name below it. Reads addresses as httpx does, which opens them.
    """

    def __init__(self, allowed: Sequence[str], setting: str) -> None:
        """`setting`: the name of the variable that has them, for the remedy."""
        self._origins = {_origin(httpx.URL(entry)) for entry in allowed if "://" in entry}
        self._hosts = tuple(entry for entry in allowed if "://" not in entry)
        self._setting = setting

    def check(self, field: str, address: str) -> None:
        """Raises InvalidRequest, whose text has no more of the address than its host."""
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, ValueError) as error:
            raise InvalidRequest(
                field, f"{field} is no address: send one such as https://app.example.com/hook."
            ) from error
        if len(address) > MAX_ADDRESS_CHARS or not address.isascii() or not address.isprintable() or not url.host:
            raise InvalidRequest(
                field,
                f"{field} is no address of up to {MAX_ADDRESS_CHARS} printable ASCII characters: send one such as "
                "https://app.example.com/hook.",
            )
        if url.userinfo:
            raise InvalidRequest(
                field, f"{field} has a name or a password before its host: leave it out; messages are signed instead."
            )
        if _origin(url) in self._origins:
            return
        if not any(_covers(entry, url.host) for entry in self._hosts):
            raise InvalidRequest(
                field,
                f"{field} is at {url.host[:100]!r}, which this studio does not call. Its operator allows hosts with "
                f"{self._setting}.",
            )
        if url.scheme != "https" or url.port is not None:
            raise InvalidRequest(field, f"{field} must begin with https:// and name no port.")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _covers(entry: str, host: str) -> bool:
    return host.endswith(entry[1:]) if entry.startswith("*.") else host == entry
