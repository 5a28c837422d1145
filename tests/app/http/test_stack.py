"""All of the middleware together, around the whole studio and around a small service."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.accounts import Accounts
from app.http.errors import install_error_handlers
from app.http.middleware.methods import AnswerHead
from app.http.middleware.stack import guarded
from tests.app.conftest import Served, serve
from tests.engines.speech.processes import eventually
from tests.serving import serving

TEXT = "carrots and words " * 4000


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """Routes of every kind of answer, behind any host name, as on Cloud Run."""
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/text")
    async def text() -> Response:
        return Response(TEXT, media_type="text/plain")

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse(f"<script>1</script>{TEXT}")

    @app.get("/as/{kind:path}")
    async def file(kind: str) -> Response:
        return Response(TEXT, media_type=kind)

    @app.get("/part")
    async def part() -> Response:
        return Response(TEXT[:1000], 206, {"Content-Range": f"bytes 0-999/{len(TEXT)}"}, "text/plain")

    running: list[str] = []

    @app.get("/events")
    async def events() -> StreamingResponse:
        stream = forever(running)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    @app.get("/running")
    async def count() -> int:
        return len(running)

    @app.post("/v1/images/generations")
    async def pictures() -> dict[str, str]:
        return {"b64_json": TEXT}

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    guarded(
        app,
        accounts=Accounts({"web=a-token-of-enough-characters"}),
        hosts=("*",),
        origins=("https://app.example.com",),
        max_bytes=1000,
        exempt=frozenset({"/health/live"}),
    )
    with serving(app) as url:
        yield url


async def forever(running: list[str]) -> AsyncIterator[str]:
    running.append("")
    try:
        while True:
            yield "data: x\n\n"
            await asyncio.sleep(0.01)
    finally:
        running.pop()


def ask(service: str, method: str, path: str, **headers: str) -> httpx.Response:
    token = {"Authorization": "Bearer a-token-of-enough-characters"}
    return httpx.request(method, f"{service}{path}", headers={**token, **headers}, timeout=10)


# Compression ----------------------------------------------------------------------------------------------------------


def test_the_page_travels_compressed_and_its_policy_knows_its_scripts(studio: Served) -> None:
    with studio.http.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(sent)
    plain = studio.http.get("/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert len(sent) < len(plain.content) / 3
    assert "'sha256-" in answer.headers["content-security-policy"]
    inline = re.findall(r"'sha256-[^']+'", plain.headers["content-security-policy"])
    assert re.findall(r"'sha256-[^']+'", answer.headers["content-security-policy"]) == inline
    assert gzip.decompress(sent).count(b"<script") == plain.content.count(b"<script")


@pytest.mark.parametrize("path", ["/text", "/page", "/as/application/json", "/as/image/svg+xml"])
def test_text_is_compressed_for_who_can_read_it(service: str, path: str) -> None:
    answer = ask(service, "GET", path, **{"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 2000
    assert "Accept-Encoding" in answer.headers["vary"]
    assert TEXT in answer.text
    assert "content-encoding" not in ask(service, "GET", path, **{"Accept-Encoding": "identity"}).headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("GET", f"/as/{kind}") for kind in ("image/png", "image/webp", "image/jpeg", "application/zip", "audio/wav")],
        ("GET", "/part"),
        ("GET", "/health/live"),
        ("POST", "/v1/images/generations"),
    ],
)
def test_pictures_archives_parts_and_small_answers_stay_as_they_are(service: str, method: str, path: str) -> None:
    assert "content-encoding" not in ask(service, method, path, **{"Accept-Encoding": "gzip"}).headers


# Event streams --------------------------------------------------------------------------------------------------------


def test_an_event_stream_comes_at_once_and_nobody_holds_it(service: str) -> None:
    headers = {"Authorization": "Bearer a-token-of-enough-characters", "Accept-Encoding": "gzip"}
    with httpx.stream("GET", f"{service}/events", headers=headers, timeout=5) as answer:
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["cache-control"] == "no-store"
        assert "content-encoding" not in answer.headers
        assert next(answer.iter_raw()).startswith(b"data: x")


def test_gradios_streams_and_those_of_jobs_are_told_not_to_be_held(studio: Served) -> None:
    call = studio.http.post("/gradio_api/call/presets", json={"data": []})
    job = studio.http.post("/generate", json={"prompt": "x"}).json()["job_id"]
    for path in (f"/gradio_api/call/presets/{call.json()['event_id']}", f"/jobs/{job}/events"):
        with studio.http.stream("GET", path) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["x-accel-buffering"] == "no"
            assert answer.headers["cache-control"] == "no-store"
            assert "".join(answer.iter_text())


# HEAD -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/docs",
        "/openapi.json",
        "/config",
        "/docs/files/swagger-ui.css",
    ],
)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_head_answers_like_get_without_a_body(studio: Served, path: str, encoding: str) -> None:
    head = studio.http.head(path, headers={"Accept-Encoding": encoding})
    get = studio.http.get(path, headers={"Accept-Encoding": encoding})
    assert (head.status_code, head.content) == (200, b"")
    changing = {"date", "content-length"} if path in ("/", "/config") else {"date"}
    assert {n: v for n, v in head.headers.items() if n not in changing} == {
        n: v for n, v in get.headers.items() if n not in changing
    }


def test_head_of_a_picture_and_of_what_is_not_there(studio: Served) -> None:
    made = studio.http.post("/v1/images/generations", json={"prompt": "x", "response_format": "url"}).json()
    path = made["data"][0]["url"].removeprefix(studio.url)
    head, get = studio.http.head(path), studio.http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers["etag"] == get.headers["etag"]
    assert studio.http.head("/nowhere").status_code == 404
    assert studio.http.head("/jobs/unknown").status_code == 404
    assert studio.http.head("/generate").status_code == 405
    # The connection that all of these used is still in step.
    assert studio.http.get("/health/live").json() == {"status": "alive"}


def test_head_of_a_stream_ends(service: str, studio: Served) -> None:
    answer = ask(service, "HEAD", "/events")
    assert (answer.status_code, answer.headers["x-accel-buffering"]) == (200, "no")
    assert eventually(lambda: ask(service, "GET", "/running").json() == 0, 5)
    job = studio.http.post("/generate", json={"prompt": "x"}).json()["job_id"]
    assert studio.http.head(f"/jobs/{job}/events", timeout=5).status_code == 200


def test_head_of_a_stream_ends_under_a_server_that_tells_no_disconnect() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"data: x", "more_body": True})
            await asyncio.sleep(0.01)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    scope = {"type": "http", "method": "HEAD", "path": "/events"}
    asyncio.run(asyncio.wait_for(AnswerHead(app)(scope, receive, send), 5))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1] == {"type": "http.response.body", "body": b""}


def test_head_takes_nothing_from_gradios_streams(studio: Served) -> None:
    event = studio.http.post("/gradio_api/call/presets", json={"data": []}).json()["event_id"]
    path = f"/gradio_api/call/presets/{event}"
    assert studio.http.head(path, timeout=5).status_code == 405
    for stream in ("queue/data?session_hash=abc", "heartbeat/abc", "upload_progress?upload_id=abc"):
        assert studio.http.head(f"/gradio_api/{stream}", timeout=5).status_code == 405
    assert "event: complete" in studio.http.get(path).text


# Errors and doors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/nowhere", 404),
        ("GET", "/generate", 405),
        ("PUT", "/health", 405),
        ("TRACE", "/health", 405),
        ("OPTIONS", "/health", 405),
        ("GET", "/docs/files/nowhere.js", 404),
        ("POST", "/docs/files/swagger-ui.css", 405),
        ("POST", "/config", 405),
        ("GET", "/gradio_api/queue/join", 405),
        ("GET", "/gradio_api/nowhere", 404),
    ],
)
def test_unknown_paths_and_wrong_methods_have_the_one_error_body(
    studio: Served, method: str, path: str, status: int
) -> None:
    answer = studio.http.request(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"type", "message", "field"}
    assert error["type"] == {404: "not_found", 405: "method_not_allowed"}[status]
    assert bool(answer.headers.get("allow")) == (status == 405)


def test_a_wrong_method_is_told_the_right_ones(studio: Served) -> None:
    answer = studio.http.put("/jobs/x")
    assert answer.headers["allow"] == "DELETE, GET"
    assert answer.json()["error"]["message"] == "PUT is not possible at this address: send DELETE or GET."


def test_any_host_means_any_but_pages_of_other_sites_stay_out(service: str) -> None:
    for host in ("transcriber-abc-ew.a.run.app", "10.0.0.7:8080", "[fd00::1]:80"):
        assert ask(service, "GET", "/text", Host=host).status_code == 200
    assert ask(service, "GET", "/text", Origin="https://evil.example").status_code == 403
    allowed = ask(service, "GET", "/text", Origin="https://app.example.com")
    assert allowed.headers["access-control-allow-origin"] == "https://app.example.com"


def test_an_allowed_page_may_send_the_headers_that_routes_read(service: str) -> None:
    wanted = "authorization,content-type,idempotency-key,last-event-id,prefer"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    answer = httpx.options(f"{service}/text", headers={"Origin": "https://app.example.com", **asked})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Origin": "https://evil.example"}, 403), ({"Authorization": "Bearer wrong"}, 401)],
)
def test_refusals_have_the_headers_of_every_answer(service: str, headers: dict[str, str], status: int) -> None:
    for method in ("GET", "HEAD", "POST"):
        answer = httpx.request(method, f"{service}/text", headers=headers)
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_over_the_limit_is_413_through_all_of_it(service: str) -> None:
    token = {"Authorization": "Bearer a-token-of-enough-characters"}
    answer = httpx.post(f"{service}/v1/images/generations", content=b"x" * 1_000_000, headers=token)
    assert answer.status_code == 413
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "1000 bytes" in answer.json()["error"]["message"]
