"""The only code that opens what is at an address that a user gave: to disk, within bounds, over checked connections."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Event
from typing import IO, Any
from urllib.parse import unquote, urljoin, urlsplit

import httpcore
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from app.addresses import AddressList, AddressRefused, Allowed, is_public, resolve
from engines.errors import Cancelled, InvalidRequest, StudioError
from engines.events import Progress

CONNECT_SECONDS = 5.0
MAX_SECONDS = 600.0
LOOK_SECONDS = 0.25
"""How often a waiting fetch looks whether it was cancelled, and tells how far it is."""
MAX_REDIRECTS = 5
ATTEMPTS = 5
"""Connections that may break before a fetch is given up."""
MAX_NAME_CHARS = 200
MISSING = frozenset({401, 403, 404, 410})
"""Answers that say that the sender's address is wrong, or not valid any more."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Network:
    """What a fetch reaches the world through."""

    resolve: Callable[[str, int], list[str]]
    """All addresses of a name, as text. Raises OSError."""
    backend: httpcore.NetworkBackend
    ssl_context: ssl.SSLContext | None = None
    """None: who signs certificates is httpcore's choice."""
    quiet_seconds: float = 20.0
    """A peer that sends nothing for so long has gone."""


def open_network() -> Network:
    """The system's."""
    return Network(resolve, httpcore.SyncBackend())


class NotFetched(InvalidRequest):
    """There is nothing at the address that could be used."""

    code = "not_fetched"


class FetchTooLarge(InvalidRequest):
    """There is more at the address than is taken."""

    code = "body_too_large"
    status = 413


class FetchFailed(StudioError):
    """The address's server could not be reached, or broke off again and again."""

    code = "fetch_failed"
    status = 502
    retry_after = 5


class FetchTimeout(StudioError):
    """The address's server took longer than a fetch may."""

    code = "fetch_timeout"
    # Not 504: many clients send that again by themselves, and it would take as long.
    status = 422


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was written: its size in bytes, its SHA-256 in hexadecimal digits, and a name for it in messages."""

    size: int
    sha256: str
    filename: str


class PublicNetwork(httpcore.NetworkBackend):
    """Connects to public addresses only, and to the very address that was looked at; trusted hosts as they are."""

    def __init__(self, network: Network, field: str, allowed: Allowed, watch: Callable[[], None]) -> None:
        """`watch` is called while there is nothing to do; what it raises ends the connection."""
        self._network = network
        self._field = field
        self._allowed = allowed
        self._watch = watch

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._network.resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError("the name could not be resolved") from error
        # All, not the first: whoever mixes them in wants the other one to be taken some time.
        if not self._allowed.trusted and not all(map(is_public, addresses)):
            raise AddressRefused(
                self._field, f"{self._field} is at {host}, which is an address of a private network: it is not opened."
            )
        problem: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError("the name has no address")
        for address in addresses:
            self._watch()
            try:
                stream = self._network.backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _Watched(stream, self._watch)
        raise problem

    def sleep(self, seconds: float) -> None:
        self._network.backend.sleep(seconds)


class _Watched(httpcore.NetworkStream):
    """A connection that is looked after while its peer sends nothing."""

    def __init__(self, stream: httpcore.NetworkStream, watch: Callable[[], None]) -> None:
        self._stream = stream
        self._watch = watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            self._watch()
            try:
                return self._stream.read(max_bytes, LOOK_SECONDS)
            except httpcore.ReadTimeout:
                if until is not None and time.monotonic() > until:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._watch()
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Watched(self._stream.start_tls(ssl_context, server_hostname, timeout), self._watch)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _BrokenOff(Exception):
    """The transfer ended early: it may go on over another connection."""


class Fetcher:
    """Downloads what is at allowed addresses. Thread-safe."""

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        max_bytes: int,
        max_seconds: float = MAX_SECONDS,
        network: Network | None = None,
    ) -> None:
        """`hosts`: as for AddressList. `max_bytes` and `max_seconds` are for one fetch, all its attempts together."""
        self._addresses = AddressList(hosts, "STUDIO_FETCH_HOSTS")
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._network = network or open_network()

    def check(self, field: str, address: str) -> None:
        """Without the network. Raises AddressRefused."""
        self._addresses.check(field, address)

    def fetch(
        self, field: str, address: str, into: IO[bytes], cancel: Event, on_progress: Callable[[Progress], None]
    ) -> Fetched:
        """Write what is at `address` to `into`, an empty file. A transfer that breaks off goes on where it was.

        Raises AddressRefused, NotFetched, FetchTooLarge, FetchFailed, FetchTimeout, Cancelled within LOOK_SECONDS or
        so, and what `into` raises. No message has the address's query, which is a secret where it is signed.
        """
        allowed = self._addresses.check(field, address)
        transfer = _Transfer(field, into, self._max_bytes, on_progress)
        ends = time.monotonic() + self._max_seconds

        def watch() -> None:
            if cancel.is_set():
                raise Cancelled
            if time.monotonic() > ends:
                raise FetchTimeout(
                    f"{field} could not be fetched from {allowed.host} within {self._max_seconds:g} s: send the file "
                    "itself, or a smaller one."
                )

        def wait(seconds: float) -> None:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                watch()
                cancel.wait(min(left, LOOK_SECONDS))

        def give_up(state: RetryCallState) -> None:
            assert state.outcome is not None
            reason = state.outcome.exception()
            raise FetchFailed(
                f"{field} could not be fetched from {allowed.host}: {reason}. Try again later."
            ) from reason

        retrying = Retrying(
            retry=retry_if_exception_type(_BrokenOff),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=8),
            sleep=wait,
            retry_error_callback=give_up,
        )
        retrying(self._attempt, allowed, transfer, watch)
        return Fetched(transfer.size, transfer.sha256.hexdigest(), _filename(address))

    def _attempt(self, allowed: Allowed, transfer: _Transfer, watch: Callable[[], None]) -> None:
        """One connection, and those that it is redirected to. Raises _BrokenOff."""
        seconds = {"connect": CONNECT_SECONDS, "write": CONNECT_SECONDS, "read": self._network.quiet_seconds}
        timeouts = {"timeout": seconds}
        for _ in range(MAX_REDIRECTS + 1):
            backend = PublicNetwork(self._network, transfer.field, allowed, watch)
            with httpcore.ConnectionPool(self._network.ssl_context, network_backend=backend) as pool:
                try:
                    # No compression: a bomb is small while it travels.
                    headers = [("Host", allowed.host_header), ("Accept-Encoding", "identity")]
                    headers += transfer.headers()
                    with pool.stream("GET", allowed.url, headers=headers, extensions=timeouts) as response:
                        location = transfer.take(response)
                except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
                    if error.args and isinstance(error.args[0], ssl.SSLCertVerificationError):
                        text = f"{transfer.field} is not opened: {allowed.host} has no valid certificate for its name."
                        raise NotFetched(transfer.field, text) from error
                    raise _BrokenOff(_reason(error)) from error
            if location is None:
                return
            allowed = self._addresses.check(transfer.field, urljoin(allowed.text, location))
        raise NotFetched(transfer.field, f"{transfer.field} leads from one address to the next without end.")


class _Transfer:
    """What has come so far, over however many connections."""

    def __init__(self, field: str, into: IO[bytes], max_bytes: int, on_progress: Callable[[Progress], None]) -> None:
        self.field = field
        self.size = 0
        self.sha256 = hashlib.sha256()
        self._into = into
        self._max_bytes = max_bytes
        self._on_progress = on_progress
        self._validator = ""
        self._total = 0
        self._told = 0.0

    def headers(self) -> list[tuple[str, str]]:
        """To go on where the last connection broke off, if the file is still the same (RFC 9110, section 13.1.5)."""
        if not self.size or not self._validator:
            return []
        return [("Range", f"bytes={self.size}-"), ("If-Range", self._validator)]

    def take(self, response: httpcore.Response) -> str | None:
        """Write the body. The address to go to instead, if the answer is a redirect. Raises _BrokenOff."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        status = response.status
        if status in REDIRECTS and "location" in headers:
            return headers["location"]
        if status == 416 or (status == 206 and not headers.get("content-range", "").startswith(f"bytes {self.size}-")):
            self._start_again({})
            raise _BrokenOff("its server lost the place")
        if status in MISSING:
            raise NotFetched(
                self.field, f"{self.field} could not be fetched: its server answers {status}. Send a valid address."
            )
        if status not in (200, 206):
            raise _BrokenOff(f"its server answers {status}")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise NotFetched(self.field, f"{self.field} comes compressed, which was not asked for: store it as it is.")
        if status == 200:
            self._start_again(headers)
        length = headers.get("content-length", "")
        self._total = self.size + int(length) if length.isdecimal() else 0
        self._check_size(self._total)
        for chunk in response.iter_stream():
            self._check_size(self.size + len(chunk))
            self._into.write(chunk)
            self.sha256.update(chunk)
            self.size += len(chunk)
            self._tell()
        return None

    def _start_again(self, headers: Mapping[str, str]) -> None:
        etag = headers.get("etag", "")
        # A weak one does not promise the same bytes.
        self._validator = etag if etag and not etag.startswith("W/") else headers.get("last-modified", "")
        self._into.seek(0)
        self._into.truncate()
        self.sha256 = hashlib.sha256()
        self.size = 0

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            limit = f"{self._max_bytes // 2**20} MB" if self._max_bytes >= 2**20 else f"{self._max_bytes} bytes"
            raise FetchTooLarge(self.field, f"{self.field} is larger than {limit}, the limit here: send less.")

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= LOOK_SECONDS:
            self._told = now
            fraction = self.size / self._total if self._total else 0.0
            self._on_progress(Progress("fetch", self.size, self._total, fraction))


def _reason(error: Exception) -> str:
    """For people, without what the library says, which may hold anything."""
    if isinstance(error, httpcore.ConnectTimeout | httpcore.ConnectError):
        return "its server could not be reached"
    if isinstance(error, httpcore.TimeoutException):
        return "its server sent nothing more"
    return "the connection broke off"


def _filename(address: str) -> str:
    # Firebase Storage has the whole path, slashes encoded, as the last part.
    name = PurePosixPath(unquote(urlsplit(address).path).replace("\\", "/")).name
    return "".join(char for char in name if char.isprintable())[:MAX_NAME_CHARS]
