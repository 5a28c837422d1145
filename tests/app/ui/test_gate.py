"""Gradio's routes: which there are, and whose sessions, events and files each caller gets."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.routes import App

from app.jobs.model import JobState
from app.ui.cache import gradio_cache
from tests.app.conftest import Served, serve
from tests.app.http.test_images import held
from tests.app.ui.caller import Caller, events, file_data
from tests.serving import until

ANN, BOB = "the-token-of-ann-long-enough", "the-token-of-bob-long-enough"

OPEN = {
    ("GET", "/"),
    ("GET", "/assets/{path:path}"),
    ("GET", "/config"),
    ("GET", "/favicon.ico"),
    ("GET", "/gradio_api/app_id"),
    ("GET", "/gradio_api/call/v2/{api_name}/{event_id}"),
    ("GET", "/gradio_api/call/{api_name}/{event_id}"),
    ("GET", "/gradio_api/file={path_or_url:path}"),
    ("GET", "/gradio_api/heartbeat/{session_hash}"),
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/queue/data"),
    ("GET", "/gradio_api/upload_progress"),
    ("GET", "/manifest.json"),
    ("GET", "/static/{path:path}"),
    ("GET", "/theme.css"),
    ("POST", "/gradio_api/call/v2/{api_name}"),
    ("POST", "/gradio_api/call/{api_name}"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/reset"),
    ("POST", "/gradio_api/upload"),
}
"""What the page, gradio_client and @gradio/client call. All else that Gradio has, or will have, is closed."""

OURS = {"/openapi.json", "/docs", "/login", "/login/", "/logout"}
"""Paths that Gradio has too and that are ours: the studio's own routes come first."""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), api_tokens=[ANN, BOB])


@pytest.fixture
def ann(locked: Served) -> Caller:
    return Caller(locked, ANN)


@pytest.fixture
def bob(locked: Served) -> Caller:
    return Caller(locked, BOB)


def gradios_routes() -> set[tuple[str, str]]:
    """Method and path of every route that the installed Gradio has, whether documented or not."""
    with gr.Blocks() as blocks:
        gr.Textbox()
    blocks.config = blocks.get_config_file()
    blocks.custom_mount_path = "/"
    blocks.max_file_size = None
    return set(_routes(App.create_app(blocks).routes))


def _routes(routes: Any) -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes)
        else:
            yield from ((method, route.path) for method in route.methods if method != "HEAD")


def test_every_route_of_gradio_that_is_not_listed_is_closed(ann: Caller) -> None:
    routes = gradios_routes()
    assert len(routes) > 60
    assert routes >= OPEN
    for method, path in sorted(routes - OPEN):
        if path in OURS:
            continue
        filled = re.sub(r"\{[^}]*\}", "x", path)
        answer = ann.served.http.request(method, filled, headers=ann.headers, json={})
        assert answer.status_code in (404, 405), (method, filled)
        assert answer.json()["error"]["type"] in ("not_found", "method_not_allowed"), (method, filled)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/deep_link?session_hash=x",
        "/gradio_api/dev/reload",
        "/gradio_api/run/avatar",
        "/gradio_api/api/avatar",
        "/gradio_api/component_server",
        "/gradio_api/stream/x",
        "/gradio_api/queue/status",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/file/etc/passwd",
        "/monitoring",
        "//gradio_api/deep_link",
        "/gradio_api/../gradio_api/run/avatar",
        "/GRADIO_API/run/avatar",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_doors_of_old_attacks_are_closed(ann: Caller, method: str, path: str) -> None:
    answer = ann.served.http.request(method, path, headers=ann.headers, json={"data": ["x"]})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("There is nothing at this address.")


def test_deep_links_and_hidden_endpoints_cannot_be_asked_for(ann: Caller) -> None:
    plain = ann.get("/config").json()
    assert ann.get("/config", params={"deep_link": "../../x", "page": "nope"}).json() == plain
    assert "deep_link_state" not in plain
    named = {"/avatar", "/hero", "/transcribe", "/presets", "/cancel", "/job"}
    info = ann.get("/gradio_api/info", params={"all_endpoints": "True"}).json()
    assert info["named_endpoints"].keys() == named
    assert info["unnamed_endpoints"] == {}


def test_an_events_result_is_for_who_started_it(ann: Caller, bob: Caller) -> None:
    event = ann.start("avatar", ["a red fox"])
    for path in (f"/gradio_api/call/avatar/{event}", f"/gradio_api/call/v2/avatar/{event}"):
        stolen = bob.get(path)
        assert stolen.status_code == 404
        assert stolen.json()["error"]["type"] == "not_found"
    name, (files, details) = list(events(ann.get(f"/gradio_api/call/avatar/{event}")))[-1]
    assert name == "complete"
    assert details["state"] == "succeeded"
    assert len(files) == 1


def test_a_session_is_another_one_for_another_caller(ann: Caller, bob: Caller) -> None:
    presets = ann.get("/config").json()["dependencies"]
    [index] = [fn["id"] for fn in presets if fn["api_name"] == "presets"]
    body = {"data": [], "fn_index": index, "session_hash": "shared"}
    assert ann.post("/gradio_api/queue/join", json=body).status_code == 200
    [message] = bob.messages("shared")
    assert message["session_not_found"] is True
    assert bob.post("/gradio_api/queue/join", json=body).status_code == 200
    for caller in (ann, bob):
        done = [message for message in caller.messages("shared") if message["msg"] == "process_completed"]
        assert len(done) == 1
        assert "avatar" in done[0]["output"]["data"][0]


def test_nobody_cancels_another_callers_event(locked: Served, ann: Caller, bob: Caller) -> None:
    with held(locked):
        event = ann.start("avatar", ["a green fox"], session="anns")
        until(locked.running)
        cancel = {"event_id": event, "fn_index": 0, "session_hash": "anns"}
        assert bob.post("/gradio_api/cancel", json=cancel).json() == {"success": True}
        assert bob.post("/gradio_api/reset", json={"event_id": event}).json() == {"success": True}
    name, (_, details) = list(events(ann.get(f"/gradio_api/call/avatar/{event}")))[-1]
    assert (name, details["state"]) == ("complete", "succeeded")


def test_who_started_an_event_may_cancel_it(locked: Served, ann: Caller) -> None:
    with held(locked):
        event = ann.start("avatar", ["a blue fox"], session="mine")
        until(locked.running)
        read: list[str] = []
        reader = threading.Thread(
            target=lambda: read.append(ann.get("/gradio_api/queue/data", params={"session_hash": "mine"}).text)
        )
        reader.start()
        cancel = {"event_id": event, "fn_index": 0, "session_hash": "mine"}
        until(lambda: ann.post("/gradio_api/cancel", json=cancel).status_code == 200 and not reader.is_alive())
        reader.join()
    assert "process_completed" in read[0]


def test_a_result_file_is_for_whose_job_made_it(ann: Caller, bob: Caller) -> None:
    _, (files, _) = ann.call("avatar", "a red fox")
    path = f"/gradio_api/file={files[0]['path']}"
    assert ann.get(path).headers["content-type"] == "image/png"
    stolen = bob.get(path)
    assert stolen.status_code == 404
    assert "no such file" in stolen.json()["error"]["message"]
    part = ann.served.http.get(path, headers={**ann.headers, "Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "/dev/stdin",
        "file:/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:1/",
        "https://example.com/x.png",
        "{own}",
        "{own}/../../../../../../etc/passwd",
        "{own}/%2e%2e/%2e%2e/jobs.db",
        "{root}",
        "{data}/jobs.db",
        "",
        ".",
        "x" * 5000,
        "%00",
        "README.md",
    ],
)
def test_only_files_of_ones_own_are_served(ann: Caller, path: str) -> None:
    own = gradio_cache().folder("nobody").parent
    filled = path.format(own=own, root=own.parent, data=ann.served.studio.settings.data_dir)
    answer = ann.get(f"/gradio_api/file={filled}")
    assert answer.status_code == 404
    assert "root:" not in answer.text


def test_a_link_in_ones_own_folder_leads_nowhere(ann: Caller, tmp_path: Path) -> None:
    uploaded = Path(ann.upload("a.txt", b"mine"))
    assert ann.get(f"/gradio_api/file={uploaded}").content == b"mine"
    secret = tmp_path / "secret.txt"
    secret.write_text("not yours")
    (uploaded.parent / "link.txt").symlink_to(secret)
    assert ann.get(f"/gradio_api/file={uploaded.parent / 'link.txt'}").status_code == 404
    kind, said = ann.call("transcribe", file_data(str(uploaded.parent / "link.txt")))
    assert kind == "error"
    assert said["error"].startswith("audio must be an uploaded file")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"[1]", "body"),
        (b'"x"', "body"),
        (b"{", "body"),
        (b'{"data": ' + b"[" * 100_000, "body"),
        (b'{"data": ' + b"[" * 60 + b"]" * 60 + b"}", "body"),
        (b'{"data": [' + b"9" * 5000 + b"]}", "body"),
        (b'{"data": [], "fn_index": true, "session_hash": "a"}', "fn_index"),
        (b'{"data": [], "fn_index": 9999, "session_hash": "a"}', "fn_index"),
        (b'{"data": [], "fn_index": "0", "session_hash": "a"}', "fn_index"),
        (b'{"data": [], "fn_index": -1, "session_hash": "a"}', "fn_index"),
        (b'{"data": {}, "fn_index": 0, "session_hash": "a"}', "data"),
        (b'{"fn_index": 0, "session_hash": "a"}', "data"),
        (b'{"data": [], "fn_index": 0}', "session_hash"),
        (b'{"data": [], "fn_index": 0, "session_hash": "../x"}', "session_hash"),
        (b'{"data": [], "fn_index": 0, "session_hash": ["a"]}', "session_hash"),
    ],
)
def test_a_wrong_body_is_refused_with_the_field(ann: Caller, body: bytes, field: str) -> None:
    answer = ann.post("/gradio_api/queue/join", content=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["type"], error["field"]) == ("invalid_request", field)
    # What gradio_client and @gradio/client show.
    assert answer.json()["detail"][0]["message"] == error["message"]


def test_a_body_that_no_form_has_is_refused_by_its_size(ann: Caller) -> None:
    answer = ann.post("/gradio_api/call/avatar", json={"data": ["x" * 2**20]})
    assert answer.status_code == 413
    assert answer.json()["error"]["message"].startswith("The request is larger than 1 MB")


def test_the_wrong_method_and_the_wrong_endpoint_are_told(ann: Caller) -> None:
    assert ann.get("/gradio_api/queue/join").status_code == 405
    answer = ann.post("/gradio_api/call/nope", json={"data": []})
    assert answer.status_code == 404
    assert "/avatar, /hero, /transcribe" in answer.json()["error"]["message"]


def test_a_page_event_is_no_endpoint(ann: Caller) -> None:
    assert ann.post("/gradio_api/call/start", json={"data": []}).status_code == 404


def test_jobs_made_through_gradio_belong_to_their_caller(locked: Served, ann: Caller, bob: Caller) -> None:
    _, (_, details) = ann.call("avatar", "a red fox")
    assert ann.get(f"/jobs/{details['job_id']}").json()["state"] == JobState.SUCCEEDED
    assert bob.get(f"/jobs/{details['job_id']}").status_code == 404
    kind, said = bob.call("job", details["job_id"])
    assert kind == "error"
    assert said["error"].startswith("There is no job")
