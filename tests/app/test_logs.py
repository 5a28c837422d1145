"""Nothing that a user wrote gets into the log, whichever door it came through and whatever went wrong."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from engines.logs import PrivateFormatter
from tests.conftest import ROOT, Launched, launched
from tests.serving import until

CANARY = "canary-7f3e"
TOKEN = f"{CANARY}-token-of-enough-characters"
NOBODY = "http://127.0.0.1:1"
"""Nothing listens there."""


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What the product's log would hold."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrivateFormatter("%(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def fail() -> None:
    try:
        int(CANARY)
    except ValueError as error:
        raise KeyError(CANARY) from error


def test_an_exception_is_logged_by_kind_and_place(told: io.StringIO) -> None:
    try:
        fail()
    except KeyError:
        logging.getLogger("tests").exception("it failed")
    text = told.getvalue()
    assert text.startswith("tests: it failed\nbuiltins.KeyError (its text is not logged)")
    assert "builtins.ValueError" in text
    assert text.count("in fail") == 2
    assert "int(CANARY)" in text
    assert CANARY not in text


def test_every_exception_of_a_group_is_told_and_none_quoted(told: io.StringIO) -> None:
    try:
        raise ExceptionGroup(CANARY, [OSError(CANARY), TypeError(CANARY)])
    except ExceptionGroup:
        logging.getLogger("tests").exception("it failed")
    assert {"OSError", "TypeError", "ExceptionGroup"} <= {
        line.partition(" (")[0].rpartition(".")[2] for line in told.getvalue().splitlines()
    }
    assert CANARY not in told.getvalue()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_task_does_not_quote_its_exception(told: io.StringIO) -> None:
    async def lose() -> None:
        async def doomed() -> None:
            raise ValueError(CANARY)

        task = asyncio.create_task(doomed())
        await asyncio.wait([task])
        del task

    asyncio.run(lose(), debug=True)
    assert "asyncio: Task exception was never retrieved" in told.getvalue()
    assert "ValueError" in told.getvalue()
    assert CANARY not in told.getvalue()


def test_warnings_and_dying_threads_are_logged_without_their_text() -> None:
    program = f"""
import threading, warnings
from app.logs import set_up_logging
set_up_logging()
def die():
    raise ValueError("{CANARY}"[:])
warnings.warn("about {CANARY}"[:])
thread = threading.Thread(target=die, name="worker-1")
thread.start()
thread.join()
""".replace(f'"{CANARY}"[:]', "input_text").replace(f'"about {CANARY}"[:]', "input_text")
    program = f"input_text = {CANARY!r}\n{program}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "engines.logs: UserWarning at <string>:" in done.stderr
    assert "thread worker-1 ended with an error\nbuiltins.ValueError" in done.stderr
    assert CANARY not in done.stderr + done.stdout


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    folder = tmp_path_factory.mktemp("canary")
    with launched(
        folder,
        STUDIO_API_TOKENS=TOKEN,
        STUDIO_FETCH_HOSTS=NOBODY,
        STUDIO_MCP="1",
        STUDIO_WEBHOOK_SECRET=f"whsec_{32 * 'A'}",
        STUDIO_WEBHOOK_HOSTS=NOBODY,
        FIREBASE_PROJECT_ID="demo-canary",
        FIRESTORE_EMULATOR_HOST="127.0.0.1:1",
    ) as running:
        yield running


def test_no_door_lets_what_a_user_wrote_into_the_log(studio: Launched) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=studio.url, headers=headers, timeout=120) as http:
        use_every_door(http)
        use_gradios_doors(http)
        use_the_sockets(studio.url)
        until(lambda: all(backlog["problem"] for backlog in http.get("/health/ready").json()["deliveries"]), 60)
    with httpx.Client(base_url=studio.url, headers={"Authorization": f"Bearer {CANARY}-wrong"}) as stranger:
        stranger.get(f"/jobs/{CANARY}")
        stranger.post("/generate", json={"prompt": CANARY}, headers={"Host": f"{CANARY}.example"})
        stranger.post("/generate", json={"prompt": CANARY}, headers={"Origin": f"https://{CANARY}.example"})
    assert studio.stop() == 0
    output = studio.output.read_text()
    assert "Carrot Studio" in output
    assert CANARY not in output
    assert "Traceback" not in output
    # And each job has its line.
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"job_id"')]
    assert {(line["kind"], line["state"]) for line in lines} >= {
        ("image", "succeeded"),
        ("avatar", "failed"),
        ("transcription", "succeeded"),
        ("transcription", "failed"),
    }
    [picture, *_] = [line for line in lines if line["kind"] == "image" and line["state"] == "succeeded"]
    assert {"starting", "encode", "denoise", "decode"} <= set(picture["stages"])
    assert sum(picture["stages"].values()) <= picture["run_seconds"] + 0.01
    assert len({line["job_id"] for line in lines}) == len(lines)


def use_every_door(http: httpx.Client) -> None:
    picture = {"prompt": f"{CANARY} red hair", "negative_prompt": CANARY, "seed": 1, "model": CANARY, CANARY: CANARY}
    assert http.post("/generate", json=picture, headers={"Idempotency-Key": CANARY}).status_code == 200
    http.post("/generate", json={**picture, "prompt": "x"}, headers={"Idempotency-Key": CANARY})
    http.post("/generate", json={**picture, "width": CANARY})
    http.post("/generate", json={**picture, "prompt": f"(({CANARY}))" * 300})
    http.post("/generate", content=f'{{"prompt": "{CANARY}')
    http.post("/txt2img", json={"prompt": f"({CANARY}:1.5) ((({CANARY} [x] <lora:{CANARY}:1> " + CANARY * 30})
    http.post("/v1/images/generations", json={"prompt": CANARY, "size": CANARY})
    for name in ("sentence.wav", "noise.wav", "sentences.json"):
        data = (ROOT / "tests" / "data" / "speech" / name).read_bytes()
        form = {"language": "en", "response_format": "verbose_json", "prompt": CANARY}
        http.post("/v1/audio/transcriptions", files={"file": (f"{CANARY}.wav", data)}, data=form)
    http.post("/v1/audio/transcriptions", files={"file": (CANARY, b"x")}, data={"language": CANARY})
    http.post("/v1/audio/transcriptions", content=CANARY, headers={"Content-Type": f"multipart/{CANARY}"})
    for path in (f"/jobs/{CANARY}", f"/files/{CANARY}?w={CANARY}", f"/{CANARY}?{CANARY}", f"/jobs/{CANARY}/events"):
        http.get(path)
    http.request(CANARY.upper(), "/generate")
    for address in (f"https://{CANARY}.example/{CANARY}", f"{NOBODY}/{CANARY}?token={CANARY}"):
        http.post("/transcribe", json={"postId": CANARY, "audioUrl": address, CANARY: CANARY})
        job = {"kind": "avatar", "request": {"prompt": CANARY, "photo": address}, "user": CANARY}
        http.post("/jobs", json=job, headers={"Idempotency-Key": CANARY * 2})
    # Nobody takes these, and the studio goes on trying.
    sound = (ROOT / "tests" / "data" / "speech" / "sentence.wav").read_bytes()
    told = {
        "kind": "transcription",
        "request": {"post_id": CANARY},
        "webhook": f"{NOBODY}/{CANARY}?token={CANARY}",
        "user": CANARY,
    }
    files = {"job": (None, json.dumps(told).encode()), "audio": (f"{CANARY}.wav", sound)}
    assert http.post("/jobs/upload", files=files).status_code == 202
    agents = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    for tool, arguments in (("avatar", {"prompt": CANARY, "count": CANARY}), (CANARY, {CANARY: CANARY})):
        call = {**agents, "params": {"name": tool, "arguments": arguments}}
        http.post("/mcp", json=call, headers={"Accept": "application/json, text/event-stream"})


def use_the_sockets(url: str) -> None:
    address = f"{url.replace('http', 'ws', 1)}/v1/vosk?token={TOKEN}&user={CANARY}"
    with connect(address) as socket:
        socket.send(
            json.dumps({"config": {"sample_rate": 16000, "words": True, "phrase_list": ["hello", CANARY], CANARY: 1}})
        )
        socket.send(bytes(3200))
        socket.send('{"eof": 1}')
        for _ in socket:
            pass
    for bad in (f"token={CANARY}", f"token={TOKEN}&language={CANARY}", f"token={TOKEN}&sample_rate={CANARY}"):
        with pytest.raises(InvalidStatus):
            connect(f"{url.replace('http', 'ws', 1)}/v1/vosk?{bad}")


def use_gradios_doors(http: httpx.Client) -> None:
    api = "/gradio_api"
    config = http.get("/config").json()
    file = {"path": f"/{CANARY}", "meta": {"_type": "gradio.FileData"}}
    calls: list[tuple[str, list[Any]]] = [
        ("avatar", [CANARY]),
        ("avatar", []),
        ("avatar", [CANARY] * 9),
        ("avatar", [CANARY, CANARY, CANARY, CANARY, CANARY, file, CANARY]),
        ("hero", ["", CANARY, CANARY]),
        ("transcribe", [file, CANARY]),
        ("job", [CANARY]),
        (CANARY, [CANARY]),
    ]
    for endpoint, values in calls:
        started = http.post(f"{api}/call/{endpoint}", json={"data": values, "session_hash": CANARY})
        if started.status_code == 200:
            http.get(f"{api}/call/{endpoint}/{started.json()['event_id']}")
    http.post(f"{api}/call/v2/avatar", json={CANARY: CANARY})
    for fn in config["dependencies"]:
        wrong: tuple[Any, ...] = ([CANARY] * len(fn["inputs"]), [{CANARY: CANARY}] * len(fn["inputs"]), [CANARY])
        for values in wrong:
            event = {"index": [CANARY], "value": {CANARY: CANARY}}
            body: dict[str, Any] = {
                "data": values,
                "fn_index": fn["id"],
                "session_hash": f"{CANARY}-{fn['id']}",
                "event_data": event,
            }
            if http.post(f"{api}/queue/join", json=body).status_code == 200:
                http.get(f"{api}/queue/data", params={"session_hash": body["session_hash"]})
    http.get(f"{api}/queue/data", params={"session_hash": f"{CANARY}-none"})
    http.get(f"{api}/call/avatar/{CANARY}")
    http.get(f"{api}/file=/{CANARY}")
    http.post(f"{api}/upload", files={"files": (f"{CANARY}.png", CANARY.encode())}, params={"upload_id": CANARY})
    http.post(f"{api}/upload", files={CANARY: (f"{CANARY}.png", CANARY.encode())})
    [path] = http.post(f"{api}/upload", files={"files": (f"{CANARY}.png", CANARY.encode())}).json()
    broken = {"path": path, "orig_name": CANARY, "meta": {"_type": "gradio.FileData"}}
    started = http.post(f"{api}/call/avatar", json={"data": ["x", "none", "", 1, 1, broken]})
    answer = http.get(f"{api}/call/avatar/{started.json()['event_id']}").text
    assert "error" in answer
    http.post(f"{api}/cancel", json={"event_id": CANARY, "fn_index": 0, "session_hash": CANARY})
    http.post(f"{api}/queue/join", content=json.dumps({"data": CANARY}) + CANARY)
    http.get(f"/?deep_link={CANARY}&{CANARY}")
