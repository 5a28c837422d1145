"""The body limit and the bearer token, around apps that read their bodies in different ways."""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.websockets import WebSocket

from app.accounts import Accounts
from app.http.errors import install_error_handlers
from app.http.middleware.auth import BearerAuth
from app.http.middleware.limits import BodyLimit, describe_size
from tests.engines.speech.processes import eventually
from tests.serving import serving

LIMIT = 100_000
TOKENS = frozenset({"first-token-of-tests", "second-token-of-tests"})


class Item(BaseModel):
    text: str


def make_app(*, handlers: bool) -> FastAPI:
    app = FastAPI()
    if handlers:
        install_error_handlers(app)

    @app.post("/json")
    async def read_json(item: Item) -> int:
        return len(item.text)

    @app.post("/body")
    async def read_body(request: Request) -> int:
        return len(await request.body())

    @app.post("/form")
    async def read_form(request: Request) -> int:
        return len(await request.form())

    @app.post("/ignored")
    async def ignore_body() -> str:
        return "not read"

    @app.get("/account")
    @app.get("/health/live")
    async def account(request: Request) -> str | None:
        found: str | None = request.state.account
        return found

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("secret detail")

    app.add_middleware(BodyLimit, max_bytes=LIMIT)
    return app


@pytest.fixture(scope="module", params=[True, False], ids=["with-handlers", "without"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with serving(make_app(handlers=request.param)) as url:
        yield url


def chunks(total: int) -> Iterator[bytes]:
    """A body without Content-Length."""
    for _ in range(total // 1000):
        yield b"x" * 1000


def check_refused(response: httpx.Response) -> None:
    assert response.status_code == 413
    error = response.json()["error"]
    assert error["type"] == "body_too_large"
    assert describe_size(LIMIT) in error["message"]


FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("path", "kind", "start"),
    [
        ("/json", "application/json", b'{"text": "'),
        ("/body", "text/plain", b""),
        ("/form", "multipart/form-data; boundary=x", FORM),
        ("/form", "application/x-www-form-urlencoded", b"a="),
    ],
)
@pytest.mark.parametrize("excess", [1000, 5_000_000])
def test_a_chunked_body_over_the_limit_is_refused(url: str, path: str, kind: str, start: bytes, excess: int) -> None:
    body = itertools.chain([start], chunks(LIMIT + excess))
    check_refused(httpx.post(f"{url}{path}", content=body, headers={"Content-Type": kind}))


@pytest.mark.parametrize("path", ["/json", "/body", "/form", "/ignored", "/nowhere"])
@pytest.mark.parametrize("excess", [1, 5_000_000])
def test_an_announced_body_over_the_limit_is_refused(url: str, path: str, excess: int) -> None:
    check_refused(httpx.post(f"{url}{path}", content=b"x" * (LIMIT + excess)))


def test_an_announced_body_is_refused_before_it_is_sent(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_all_before_it_reads_gets_its_answer(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n" + bytes(20_000_000))
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_exactly_the_limit_passes(url: str) -> None:
    assert httpx.post(f"{url}/body", content=b"x" * LIMIT).json() == LIMIT
    assert httpx.post(f"{url}/body", content=chunks(LIMIT)).json() == LIMIT


def test_the_next_request_is_served(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        for _ in range(3):
            check_refused(client.post("/body", content=b"x" * (LIMIT + 1)))
            assert client.post("/json", json={"text": "four"}).json() == 4


def test_a_size_is_told_in_the_unit_that_settings_use() -> None:
    assert [describe_size(size) for size in (32 * 2**20, 1536, 80)] == ["32 MB", "1 kB", "80 bytes"]


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    with serving(make_app(handlers=True)) as url:
        yield url


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        (b"{", "body", "not valid JSON"),
        (b"{}", "text", "text is missing"),
        (b'{"text": 5}', "text", "text is 5: send text"),
        (b"[]", "body", "body is []: send a JSON object"),
    ],
)
def test_a_wrong_body_names_its_field(plain: str, content: bytes, field: str | None, words: str) -> None:
    response = httpx.post(f"{plain}/json", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["type"], error["field"]) == ("invalid_request", field)
    assert words in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [("GET", "/nowhere", 404, "not_found"), ("GET", "/json", 405, "method_not_allowed")],
)
def test_the_frameworks_own_errors_have_the_same_shape(
    plain: str, method: str, path: str, status: int, kind: str
) -> None:
    response = httpx.request(method, f"{plain}{path}")
    assert response.status_code == status
    assert response.json()["error"]["type"] == kind


def test_a_bug_shows_no_detail(plain: str, caplog: pytest.LogCaptureFixture) -> None:
    # Uvicorn keeps its log to itself.
    log = logging.getLogger("uvicorn.error")
    log.addHandler(caplog.handler)
    response = httpx.get(f"{plain}/bug")
    # The trace is logged after the answer has gone out.
    assert eventually(lambda: "secret detail" in caplog.text)
    log.removeHandler(caplog.handler)
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "internal_error"
    assert "secret" not in response.text


# Tokens ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    app = make_app(handlers=True)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    app.add_middleware(BearerAuth, accounts=Accounts(TOKENS), exempt=frozenset({"/health/live"}))
    with serving(app) as url:
        yield url


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        "Bearer first-token-of-test",
        "Bearer first-token-of-testss",
        "Basic first-token-of-tests",
        "first-token-of-tests",
        b"Bearer \xff\xfe",
    ],
)
def test_without_a_right_token_nothing_is_answered(guarded: str, header: str | bytes | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for path in ("/account", "/nowhere", "/docs", "/openapi.json", "/health/live/", "//health/live"):
        response = httpx.get(f"{guarded}{path}", headers=headers)  # type: ignore[arg-type]
        assert response.status_code == 401, path
        assert "Bearer" in response.headers["WWW-Authenticate"]
        error = response.json()["error"]
        assert (error["type"], error["field"]) == ("unauthorized", "Authorization")


def test_each_bare_token_is_an_account_of_its_own(guarded: str) -> None:
    accounts = {
        token: httpx.get(f"{guarded}/account", headers={"Authorization": f"bearer {token}"}).json() for token in TOKENS
    }
    assert len(set(accounts.values())) == 2
    for token, account in accounts.items():
        assert account.startswith("token-")
        assert token not in account


def test_a_large_upload_without_a_token_gets_its_answer(guarded: str) -> None:
    assert httpx.post(f"{guarded}/body", content=b"x" * 5_000_000).status_code == 401


def test_liveness_needs_no_token(guarded: str) -> None:
    assert httpx.get(f"{guarded}/health/live").status_code == 200


def test_without_tokens_everybody_is_the_local_account() -> None:
    app = make_app(handlers=True)
    app.add_middleware(BearerAuth, accounts=Accounts(), exempt=frozenset())
    with serving(app) as url:
        assert httpx.get(f"{url}/account").json() == "local"
