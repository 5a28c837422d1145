"""Who gets in, how much, and what the server says of itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.conftest import Served, serve
from tests.app.http.test_images import held
from tests.serving import until

TOKEN = "a-token-of-enough-characters"
OTHER = "another-token-long-enough-too"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), api_tokens=[TOKEN, OTHER], max_queue=1, max_upload_mb=1)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("POST", "/generate"),
        ("GET", "/jobs/x"),
        ("GET", "/files/x-0"),
        ("GET", "/config"),
        ("GET", "/theme.css"),
        ("GET", "/gradio_api/info"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/call/avatar"),
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/heartbeat/x"),
    ],
)
def test_without_a_token_everything_but_liveness_is_closed(locked: Served, method: str, path: str) -> None:
    for headers in ({}, bearer("wrong-token-of-some-length"), {"Authorization": "Bearer"}, bearer(TOKEN + "x")):
        answer = locked.http.request(method, path, headers=headers)
        assert answer.status_code == 401, path
        assert "Bearer" in answer.headers["www-authenticate"]
        assert answer.json()["error"]["message"]
    assert locked.http.get("/health/live").status_code == 200


def test_with_a_token_everything_is_open_and_jobs_belong_to_their_token(locked: Served) -> None:
    assert locked.http.get("/", headers=bearer(TOKEN)).status_code == 200
    made = locked.http.post("/generate", json={"prompt": "x"}, headers=bearer(TOKEN)).json()
    assert locked.http.get(f"/jobs/{made['job_id']}", headers=bearer(TOKEN)).status_code == 200
    assert locked.http.get(f"/jobs/{made['job_id']}", headers=bearer(OTHER)).status_code == 404


def test_a_browser_is_asked_for_the_token_as_a_password(locked: Served) -> None:
    assert "Basic" in locked.http.get("/").headers["www-authenticate"]
    assert locked.http.get("/", auth=("anyone", TOKEN)).status_code == 200
    assert locked.http.get("/", auth=("anyone", "wrong")).status_code == 401


def test_overload_is_503_with_retry_after(locked: Served) -> None:
    with held(locked):

        def generate() -> httpx.Response:
            return locked.http.post("/generate", json={"prompt": "x"}, headers=bearer(TOKEN))

        threads = [threading.Thread(target=generate)]
        threads[0].start()
        until(lambda: locked.running())
        threads.append(threading.Thread(target=generate))
        threads[1].start()
        until(lambda: len(locked.studio.queue.unfinished()) == 2)
        refused = generate()
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert "waiting" in refused.json()["error"]["message"]
    for thread in threads:
        thread.join()


def test_a_body_over_the_limit_is_413(locked: Served) -> None:
    answer = locked.http.post("/generate", content=b" " * (2 * 2**20), headers=bearer(TOKEN))
    assert answer.status_code == 413
    assert "1" in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["evil.com", "evil.com:80", "localhost.evil.com", ""])
def test_a_foreign_host_header_is_refused(served: Served, host: str) -> None:
    answer = served.http.get("/health", headers={"Host": host})
    assert answer.status_code == 400
    assert "STUDIO_ALLOWED_HOSTS" in answer.json()["error"]["message"]


FOREIGN = ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:1", "http://localhost", "null", "x", ""]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(
    "path", ["/generate", "/gradio_api/queue/join", "/gradio_api/upload", "/v1/images/generations"]
)
def test_another_sites_page_cannot_make_the_browser_work_here(served: Served, path: str, origin: str) -> None:
    """Browsers send Sec-Fetch-Site to secure addresses only; Origin goes with every such request."""
    answer = served.http.post(path, content='{"prompt": "x"}', headers={"Origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error"]["field"] == "Origin"
    assert "STUDIO_ALLOWED_ORIGINS" in answer.json()["error"]["message"]
    assert "access-control-allow-origin" not in answer.headers


def test_another_sites_page_without_an_origin_is_known_by_the_browsers_word(served: Served) -> None:
    answer = served.http.post("/generate", json={"prompt": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_another_sites_page_reads_nothing(served: Served) -> None:
    assert served.http.get("/health", headers={"Origin": "https://evil.example"}).status_code == 403
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert served.http.options("/generate", headers=preflight).status_code == 400


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_studios_own_page_works_behind_a_tunnel_and_behind_tls(served: Served, scheme: str) -> None:
    for host in ("localhost:7861", "127.0.0.1:80", "localhost"):
        headers = {"Host": host, "Origin": f"{scheme}://{host}"}
        assert served.http.post("/generate", json={"prompt": "x"}, headers=headers).status_code == 200, host


def test_an_allowed_page_may_call(tmp_path: Path) -> None:
    for served in serve(tmp_path, allowed_origins=["https://app.example.com"]):
        headers = {"Origin": "https://app.example.com", "Sec-Fetch-Site": "cross-site"}
        answer = served.http.post("/generate", json={"prompt": "x"}, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example.com"


def test_health_tells_loading_healthy_and_draining(tmp_path: Path) -> None:
    from tests.serving import create_app, make_studio, serving, settings_in
    from tests.small_engines import BlobEngine, EchoSpeech

    image = BlobEngine()
    image.load_gate.clear()
    studio = make_studio(settings_in(tmp_path), image, EchoSpeech())
    with serving(create_app(studio)) as url:
        loading = httpx.get(f"{url}/health")
        assert (loading.status_code, loading.json()["status"]) == (503, "loading")
        assert loading.json()["models_loaded"] is False
        image.load_gate.set()
        until(lambda: httpx.get(f"{url}/health").status_code == 200)
        healthy = httpx.get(f"{url}/health").json()
        assert (healthy["status"], healthy["models_loaded"]) == ("healthy", True)
        studio.queue.drain()
        draining = httpx.get(f"{url}/health/ready")
        assert (draining.status_code, draining.json()["status"]) == (503, "draining")
        refused = httpx.post(f"{url}/generate", json={"prompt": "x"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "draining")
        assert "retry-after" in refused.headers
        assert httpx.get(f"{url}/health/live").status_code == 200


def test_liveness_answers_while_a_picture_is_made(served: Served) -> None:
    with held(served):
        thread = threading.Thread(target=lambda: served.http.post("/generate", json={"prompt": "x"}))
        thread.start()
        until(lambda: served.running())
        assert served.http.get("/health/live").json() == {"status": "alive"}
    thread.join()
