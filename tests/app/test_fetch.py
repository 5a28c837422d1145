"""Addresses that users give: which are opened, and what is made of the servers behind them. All servers are real."""

from __future__ import annotations

import gzip
import hashlib
import io
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore
import httpx
import pytest
import trustme

from app.addresses import AddressList, AddressRefused, CheckedTransport, is_public
from app.fetch import (
    Fetched,
    Fetcher,
    FetchFailed,
    FetchTimeout,
    FetchTooLarge,
    Network,
    NotFetched,
)
from engines.errors import Cancelled, StudioError
from engines.events import Progress
from tests.serving import until

HOSTS = ("firebasestorage.googleapis.com", "*.media.example", "http://127.0.0.1:9199")
GOOD = "https://firebasestorage.googleapis.com/v0/b/app/o/voice%2Fanna.webm?alt=media&token=s3cret"
SOUND = bytes(range(256)) * 4096

HOSTILE = [
    # Loopback, in the ways that one may write it.
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0x7f.0.0.1/",
    "https://0/",
    "https://localhost/",
    "https://localhost.localdomain/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://127.0.0.1.nip.io/",
    # Private networks and the clouds' metadata.
    "https://10.0.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    # Names that look like one that is allowed.
    "https://firebasestorage.googleapis.com@127.0.0.1/",
    "https://firebasestorage.googleapis.com:pw@evil.example/",
    "https://user@firebasestorage.googleapis.com/",
    "https://firebasestorage.googleapis.com.evil.example/",
    "https://evilfirebasestorage.googleapis.com/",
    "https://firebasestorage.googleapis.com./",
    "https://evil.example/firebasestorage.googleapis.com",
    "https://evil.example#@firebasestorage.googleapis.com/",
    "https://evil.example?@firebasestorage.googleapis.com/",
    "https://evil.example\\@firebasestorage.googleapis.com/",
    "https://firebasestorage.googleapis.com\\.evil.example/",
    "https://ﬁrebasestorage.googleapis.com/",
    "https://firebasestorage。googleapis。com/",
    "https://media.example/",
    "https://evilmedia.example/",
    # Other schemes, ports and forms.
    "http://firebasestorage.googleapis.com/",
    "https://firebasestorage.googleapis.com:8443/",
    "https://firebasestorage.googleapis.com:22/",
    "https://firebasestorage.googleapis.com:99999/",
    "https://firebasestorage.googleapis.com:x/",
    "http://127.0.0.1:9198/",
    "https://127.0.0.1:9199/",
    "http://localhost:9199/",
    "http://2130706433:9199/",
    "http://127.0.0.1:9199@evil.example/",
    "file:///etc/passwd",
    "data:audio/wav;base64,UklGRg==",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://firebasestorage.googleapis.com/x",
    "//firebasestorage.googleapis.com/x",
    "https:firebasestorage.googleapis.com/x",
    "https:///firebasestorage.googleapis.com/x",
    "firebasestorage.googleapis.com/x",
    "https://firebasestorage.googleapis.com/a b",
    "https://firebasestorage.googleapis.com/\r\nHost: evil.example",
    "https://firebasestorage.googleapis.com/\x00",
    " https://firebasestorage.googleapis.com/",
    "https://[firebasestorage.googleapis.com]/",
    "https://",
    "",
    "https://firebasestorage.googleapis.com/" + "x" * 5000,
]


class NoNetwork(httpcore.NetworkBackend):
    """Fails the test that uses it."""

    def connect_tcp(self, *_: object, **__: object) -> httpcore.NetworkStream:
        pytest.fail("a connection was made")


def no_look_up(host: str, _: int) -> list[str]:
    pytest.fail(f"{host} was looked up")


@pytest.mark.parametrize("address", HOSTILE)
def test_hostile_addresses_are_refused_before_anything_is_looked_up(address: str) -> None:
    fetcher = Fetcher(HOSTS, max_bytes=100, network=Network(no_look_up, NoNetwork()))
    with pytest.raises(AddressRefused) as refused:
        fetcher.check("audioUrl", address)
    assert (refused.value.field, refused.value.status) == ("audioUrl", 422)
    assert "audioUrl" in str(refused.value)
    with pytest.raises(AddressRefused):
        fetcher.fetch("audioUrl", address, io.BytesIO(), threading.Event(), lambda _: None)


@pytest.mark.parametrize(
    "address",
    [GOOD, "https://a.media.example:443/x.wav", "https://FirebaseStorage.GoogleAPIs.com/x", "http://127.0.0.1:9199/x"],
)
def test_addresses_of_the_hosts_on_the_list_are_taken(address: str) -> None:
    Fetcher(HOSTS, max_bytes=100).check("audioUrl", address)


def test_the_remedy_names_the_host_and_the_setting_and_never_the_query() -> None:
    with pytest.raises(AddressRefused) as refused:
        Fetcher(HOSTS, max_bytes=100).check("photo", "https://cdn.example/a.png?token=s3cret")
    assert "cdn.example" in str(refused.value)
    assert "STUDIO_FETCH_HOSTS" in str(refused.value)
    assert "s3cret" not in str(refused.value)


PRIVATE = [
    ["127.0.0.1"],
    ["10.1.2.3"],
    ["172.16.0.1"],
    ["192.168.0.1"],
    ["169.254.169.254"],
    ["100.64.0.1"],
    ["0.0.0.0"],
    ["224.0.0.1"],
    ["198.18.0.1"],
    ["203.0.113.7"],
    ["255.255.255.255"],
    ["::1"],
    ["fe80::1%eth0"],
    ["fd00:ec2::254"],
    ["::ffff:10.0.0.1"],
    ["64:ff9b::a00:1"],
    ["2002:a00:1::"],
    ["2001::7f00:1"],
    ["::127.0.0.1"],
    ["64:ff9b:1::1"],
    ["192.0.0.8"],
    ["192.88.99.1"],
    ["fec0::1"],
    ["3fff::1"],
    ["5f00::1"],
    ["240.0.0.1"],
    ["ff02::1"],
    # One that is public does not excuse the other.
    ["142.250.1.1", "127.0.0.1"],
]


@pytest.mark.parametrize("found", PRIVATE, ids=lambda found: found[-1])
def test_a_name_that_leads_into_a_private_network_is_not_connected_to(found: list[str]) -> None:
    fetcher = Fetcher(HOSTS, max_bytes=100, network=Network(lambda *_: found, NoNetwork()))
    with pytest.raises(AddressRefused, match="private network"):
        fetcher.fetch("audioUrl", GOOD, io.BytesIO(), threading.Event(), lambda _: None)


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, ("142.250.1.1", "2a00:1450:4001::1", "2606:4700::1111")))


# -- servers


@dataclass
class Server:
    """A server whose paths misbehave in one way each. `seen` has the paths and headers of what was asked."""

    port: int = 0
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.seen.append((handler.path, dict(handler.headers.items())))
        path = handler.path.partition("?")[0]
        getattr(self, "do_" + path.strip("/").partition("/")[0].replace("-", "_"))(handler)

    def send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    def do_whole(self, handler: BaseHTTPRequestHandler) -> None:
        self.send(handler, 200, SOUND)

    def do_part(self, handler: BaseHTTPRequestHandler) -> None:
        """Breaks off in the middle the first time, and knows ranges."""
        start = handler.headers.get("Range", "bytes=0-")[6:-1]
        if start == "0":
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(SOUND)))
            handler.send_header("ETag", '"one"')
            handler.end_headers()
            handler.wfile.write(SOUND[: len(SOUND) // 2])
            return
        rest = SOUND[int(start) :]
        self.send(handler, 206, rest, Content_Range=f"bytes {start}-{len(SOUND) - 1}/{len(SOUND)}")

    def do_changed(self, handler: BaseHTTPRequestHandler) -> None:
        """Breaks off, and has another file when it is asked for the rest."""
        if "Range" in handler.headers:
            self.send(handler, 200, b"another file")
        else:
            self.do_part(handler)

    def do_always_cut(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"x")

    def do_gone(self, handler: BaseHTTPRequestHandler) -> None:
        self.send(handler, 404, b"secret words of another server")

    def do_broken(self, handler: BaseHTTPRequestHandler) -> None:
        self.send(handler, 503)

    def do_large(self, handler: BaseHTTPRequestHandler) -> None:
        self.send(handler, 200, b"", Content_Length=str(10**12))

    def do_endless(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(65536))

    def do_slow(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**6))
        handler.end_headers()
        while not self.go_on.wait(0.05):
            handler.wfile.write(b"x")

    def do_silent(self, handler: BaseHTTPRequestHandler) -> None:
        self.go_on.wait(20)

    def do_bomb(self, handler: BaseHTTPRequestHandler) -> None:
        self.send(handler, 200, gzip.compress(bytes(10**8)), Content_Encoding="gzip")

    def do_loop(self, handler: BaseHTTPRequestHandler) -> None:
        self.send(handler, 302, Location="/loop")

    def do_moved(self, handler: BaseHTTPRequestHandler) -> None:
        self.send(handler, 302, Location="/whole/anna.wav")

    def do_to(self, handler: BaseHTTPRequestHandler) -> None:
        self.send(handler, 302, Location=handler.path.partition("?")[2])


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                server.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    if context is not None:
        http.socket = context.wrap_socket(http.socket, server_side=True)
    server.port = http.server_address[1]
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.go_on.set()
        http.shutdown()
        http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def fetch(
    server: Server,
    path: str,
    *,
    cancel: threading.Event | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    max_seconds: float = 30,
    quiet_seconds: float = 5,
) -> tuple[Fetched, bytes]:
    network = Network(lambda host, _: [host], httpcore.SyncBackend(), quiet_seconds=quiet_seconds)
    hosts = (f"http://127.0.0.1:{server.port}",)
    fetcher = Fetcher(hosts, max_bytes=2 * len(SOUND), max_seconds=max_seconds, network=network)
    into = io.BytesIO()
    found = fetcher.fetch("audioUrl", server.url(path), into, cancel or threading.Event(), on_progress)
    return found, into.getvalue()


def test_a_file_is_fetched_with_its_hash_and_name(server: Server) -> None:
    told: list[Progress] = []
    found, body = fetch(server, "/whole/o/voice%2Fanna%20b.webm?token=s3cret", on_progress=told.append)
    assert body == SOUND
    assert found == Fetched(len(SOUND), hashlib.sha256(SOUND).hexdigest(), "anna b.webm")
    assert told
    assert {progress.stage for progress in told} == {"fetch"}
    assert told[-1].total == len(SOUND)


def test_a_transfer_that_breaks_off_goes_on_where_it_was(server: Server) -> None:
    found, body = fetch(server, "/part")
    assert body == SOUND
    assert found.sha256 == hashlib.sha256(SOUND).hexdigest()
    asked = server.seen[1][1]
    assert (asked["Range"], asked["If-Range"]) == (f"bytes={len(SOUND) // 2}-", '"one"')


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(server: Server) -> None:
    found, body = fetch(server, "/changed")
    assert body == b"another file"
    assert found.sha256 == hashlib.sha256(body).hexdigest()


def test_a_redirect_is_followed(server: Server) -> None:
    assert fetch(server, "/moved")[1] == SOUND


REFUSALS = [
    ("/gone", NotFetched, 422, "answers 404"),
    ("/bomb", NotFetched, 422, "compressed"),
    ("/large", FetchTooLarge, 413, "the limit here"),
    ("/endless", FetchTooLarge, 413, "the limit here"),
    ("/loop", NotFetched, 422, "without end"),
    ("/always-cut", FetchFailed, 502, "broke off"),
    ("/broken", FetchFailed, 502, "answers 503"),
]


@pytest.mark.parametrize(("path", "kind", "status", "said"), REFUSALS)
def test_what_cannot_be_fetched_is_told_with_the_field(
    server: Server, path: str, kind: type[StudioError], status: int, said: str
) -> None:
    with pytest.raises(kind, match=said) as refused:
        fetch(server, f"{path}?token=s3cret")
    assert refused.value.status == status
    assert "audioUrl" in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "secret words" not in str(refused.value)


REDIRECTS = [
    "http://127.0.0.1:1/",
    "http://169.254.169.254/latest/",
    "https://localhost/",
    "file:///etc/passwd",
    "//evil.example/x",
    "https://evil.example/x",
]


@pytest.mark.parametrize("target", REDIRECTS)
def test_a_redirect_is_checked_like_an_address(server: Server, target: str) -> None:
    with pytest.raises(AddressRefused):
        fetch(server, f"/to?{target}")
    assert len(server.seen) == 1


def test_a_server_that_trickles_is_left_when_the_time_is_over(server: Server) -> None:
    with pytest.raises(FetchTimeout, match=r"within 0\.6 s"):
        fetch(server, "/slow", max_seconds=0.6)


def test_a_server_that_says_nothing_is_left(server: Server) -> None:
    with pytest.raises((FetchFailed, FetchTimeout)):
        fetch(server, "/silent", quiet_seconds=0.2, max_seconds=4)


@pytest.mark.parametrize("path", ["/silent", "/slow", "/always-cut"])
def test_a_cancelled_fetch_ends_while_its_server_waits(server: Server, path: str) -> None:
    cancel = threading.Event()
    ended: list[StudioError] = []

    def run() -> None:
        try:
            fetch(server, path, cancel=cancel, quiet_seconds=60, max_seconds=60)
        except StudioError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: server.seen)
    cancel.set()
    thread.join(10)
    assert [type(error) for error in ended] == [Cancelled]


# -- TLS, and who is connected to


@dataclass
class Redirected(httpcore.NetworkBackend):
    """Connects to the local server instead, and notes to which address it should have."""

    port: int
    asked: list[str] = field(default_factory=list)

    def connect_tcp(self, host: str, port: int, *rest: object, **more: object) -> httpcore.NetworkStream:
        self.asked.append(f"{host}:{port}")
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.port, timeout=5)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def serving_tls(authority: trustme.CA, name: str) -> Iterator[tuple[Server, ssl.SSLContext]]:
    """A server with a certificate for `name`, and a context that trusts who signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(context) as server:
        yield server, trusting


WHOLE = "https://firebasestorage.googleapis.com/whole"


def test_the_address_that_was_looked_up_is_the_one_connected_to_and_the_certificate_is_for_the_name(
    authority: trustme.CA,
) -> None:
    answers = iter([["142.250.1.1"], ["127.0.0.1"]])
    with serving_tls(authority, "firebasestorage.googleapis.com") as (server, trusting):
        backend = Redirected(server.port)
        fetcher = Fetcher(HOSTS, max_bytes=2**21, network=Network(lambda *_: next(answers), backend, trusting))
        into = io.BytesIO()
        fetcher.fetch("audioUrl", WHOLE, into, threading.Event(), lambda _: None)
        assert into.getvalue() == SOUND
        # One look-up, whose answer was checked and used: a second answer would have been another address.
        assert backend.asked == ["142.250.1.1:443"]
        assert server.seen[0][1]["Host"] == "firebasestorage.googleapis.com"
        # The next connection looks again, and the name has moved.
        with pytest.raises(AddressRefused, match="private network"):
            fetcher.fetch("audioUrl", WHOLE, io.BytesIO(), threading.Event(), lambda _: None)


def test_a_server_without_the_names_certificate_is_not_spoken_to(authority: trustme.CA) -> None:
    with serving_tls(authority, "another.example") as (server, trusting):
        network = Network(lambda *_: ["142.250.1.1"], Redirected(server.port), trusting)
        fetcher = Fetcher(HOSTS, max_bytes=2**21, max_seconds=20, network=network)
        with pytest.raises(NotFetched, match="certificate"):
            fetcher.fetch("audioUrl", GOOD, io.BytesIO(), threading.Event(), lambda _: None)
        assert server.seen == []


@dataclass
class Elsewhere(httpx.BaseTransport):
    """Goes to the local server instead, and notes to which address it should have gone."""

    port: int
    ssl_context: ssl.SSLContext
    asked: list[str] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        request.url = request.url.copy_with(host="127.0.0.1", port=self.port)
        with httpx.HTTPTransport(verify=self.ssl_context) as transport:
            answer = transport.handle_request(request)
            answer.read()
            return answer


def test_a_client_that_calls_users_addresses_goes_to_the_address_that_was_checked(authority: trustme.CA) -> None:
    answers = iter([["142.250.1.1"], ["10.0.0.1"], ["142.250.1.1", "::1"], []])
    addresses = AddressList(["firebasestorage.googleapis.com"], "X")
    with serving_tls(authority, "firebasestorage.googleapis.com") as (server, trusting):
        inner = Elsewhere(server.port, trusting)
        with httpx.Client(transport=CheckedTransport(addresses, inner, lambda *_: next(answers))) as client:
            assert client.get(WHOLE).content == SOUND
            assert inner.asked == ["142.250.1.1"]
            assert server.seen[0][1]["Host"] == "firebasestorage.googleapis.com"
            for _ in range(3):
                with pytest.raises(AddressRefused, match="no public address"):
                    client.get(WHOLE)
            with pytest.raises(AddressRefused):
                client.get("https://evil.example/")
        assert len(server.seen) == 1


def test_proxies_of_the_environment_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetch(server, "/whole")[1] == SOUND


def test_waiting_between_attempts_does_not_outlast_the_limit(server: Server) -> None:
    began = time.monotonic()
    with pytest.raises((FetchTimeout, FetchFailed)):
        fetch(server, "/broken", max_seconds=0.2)
    assert len(server.seen) <= 5
    assert time.monotonic() - began < 30
