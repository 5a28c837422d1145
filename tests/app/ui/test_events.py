"""What Gradio's events make of hostile and of wrong values, through every door that leads to them."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from app.ui.blocks import build_blocks
from app.ui.cache import gradio_cache
from app.ui.events import StudioBlocks
from tests.app.conftest import Served
from tests.app.ui.caller import Caller, events, file_data
from tests.app.ui.picky import Picky
from tests.app.ui.test_endpoints import write_sound
from tests.serving import create_app, make_studio, serving, settings_in
from tests.small_engines import BlobEngine, EchoSpeech


@pytest.fixture
def caller(served: Served) -> Caller:
    return Caller(served)


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[int]]]:
    """An address on this machine, and how often somebody connected to it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        hits: list[int] = []

        def listen() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return
                hits.append(1)

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/sound.wav", hits


HOSTILE = {
    "an absolute path": file_data("{secret}"),
    "a relative path": file_data("{relative}"),
    "a file: address": file_data("file://{secret}"),
    "a path under the cache that leads out of it": file_data("{cache}/../../../../../../..{secret}"),
    "a link": file_data("{link}"),
    "a folder": file_data("{cache}"),
    "a device": file_data("/dev/zero"),
    "a terminal": file_data("/dev/stdin"),
    "a pipe": file_data("{pipe}"),
    "the environment": file_data("/proc/self/environ"),
    "an address": file_data("{address}"),
    "an address beside a path": {**file_data("{secret}"), "url": "{address}"},
    "an address alone": {"url": "{address}", "meta": {"_type": "gradio.FileData"}},
    "an address alone without meta": {"url": "{address}"},
    "a path without meta": {"path": "{secret}"},
    "a path of another meta": {"path": "{secret}", "meta": {"_type": "other"}},
    "a stream": file_data("{secret}", is_stream=True),
    "a file in a list": [file_data("{secret}")],
    "a file in lists in dicts": {"a": [[{"b": file_data("{secret}")}]]},
    "a null path": file_data(None),
    "a number for a path": file_data(7),
    "a list for a path": file_data(["{secret}"]),
    "a null byte": file_data("{secret}\x00.wav"),
    "half a character": file_data("\ud800"),
    "a very long path": file_data("/x" * 5000),
    "the job store": file_data("{data}/jobs.db"),
}


@pytest.fixture
def names(served: Served, tmp_path: Path, stranger: tuple[str, list[int]]) -> dict[str, str]:
    """What stands for the names in HOSTILE. The secret is a sound: whoever hears it tells so."""
    secret = write_sound(tmp_path)
    (tmp_path / "link.wav").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe.wav")
    return {
        "secret": str(secret),
        "relative": os.path.relpath(secret),
        "link": str(tmp_path / "link.wav"),
        "pipe": str(tmp_path / "pipe.wav"),
        "cache": str(gradio_cache().folder("local")),
        "data": str(served.studio.settings.data_dir),
        "address": stranger[0],
    }


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return value.format(**names) if isinstance(value, str) else value


def copies() -> set[Path]:
    """What lies in the caller's part of the cache."""
    return {Path(folder, name) for folder, _, names in os.walk(gradio_cache().folder("local")) for name in names}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_no_file_but_an_uploaded_one_is_opened_by_an_endpoint(
    caller: Caller, names: dict[str, str], stranger: tuple[str, list[int]], hostile: Any
) -> None:
    before, value = copies(), filled(hostile, names)
    kind, said = caller.call("transcribe", value)
    assert kind == "error"
    assert said["error"].startswith("audio must be an uploaded file")
    kind, said = caller.call("avatar", "x", "none", "", -1, 1, value, 0.1)
    assert kind == "error"
    assert said["error"].startswith("photo must be an uploaded file")
    by_name = caller.post_json("/gradio_api/call/v2/transcribe", {"audio": value})
    [*_, (kind, said)] = events(caller.get(f"/gradio_api/call/v2/transcribe/{by_name.json()['event_id']}"))
    assert kind == "error"
    assert said["error"].startswith("audio must be an uploaded file")
    assert (copies(), stranger[1]) == (before, [])


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_no_file_but_an_uploaded_one_is_opened_by_the_page(
    caller: Caller, names: dict[str, str], stranger: tuple[str, list[int]], hostile: Any
) -> None:
    before = copies()
    config = caller.get("/config").json()
    for component, button in (("avatar-photo", "avatar-go"), ("transcribe-file", "transcribe-go")):
        index, values = page_event(config, button, {component: filled(hostile, names)})
        assert "the file is not here any more. Choose it again" in told(caller.join(index, values, "page"))
    assert (copies(), stranger[1]) == (before, [])


def told(message: dict[str, Any]) -> str:
    """What an event of the page puts into its line of status, where it changes nothing else."""
    changes = [part["value"] for part in message["output"]["data"] if part and "value" in part]
    assert len(changes) == 1
    assert 'class="progress problem"' in changes[0]
    return str(changes[0])


def page_event(config: dict[str, Any], button: str, given: dict[str, Any]) -> tuple[int, list[Any]]:
    """The index of what a press of the button starts, and its values: those given by elem_id, else as on a new page."""
    ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    parts = {part["id"]: part for part in config["components"]}
    pressed = (fn for fn in config["dependencies"] if [ids[button], "click"] in fn["targets"])
    event = next(fn for fn in pressed if fn["backend_fn"])
    values = [
        given.get(parts[part]["props"].get("elem_id"), parts[part]["props"].get("value")) for part in event["inputs"]
    ]
    return event["id"], values


def test_the_check_does_not_lean_on_gradios_own(served: Served, tmp_path: Path) -> None:
    """Gradio's is off while an app has not been launched, as every mounted one was."""
    blocks = build_blocks(served.studio, gradio_cache())
    assert blocks.has_launched
    blocks.has_launched = False
    [endpoint] = [fn for fn in blocks.fns.values() if fn.api_name == "transcribe"]
    request = SimpleNamespace(request=SimpleNamespace(state=SimpleNamespace(account="ann")))
    secret = file_data(str(write_sound(tmp_path)))

    def process() -> None:
        asyncio.run(blocks.process_api(endpoint, [secret], request=request))

    # In a thread: other tests' browsers have an event loop in this one.
    with ThreadPoolExecutor() as pool, pytest.raises(gr.Error, match="audio must be an uploaded file"):
        pool.submit(process).result()


def test_an_address_beside_an_uploaded_file_is_not_looked_at(
    caller: Caller, stranger: tuple[str, list[int]], tmp_path: Path
) -> None:
    """The page sends one with every file: its own, for showing it."""
    uploaded = caller.upload("sound.wav", write_sound(tmp_path).read_bytes())
    kind, [text, *_] = caller.call("transcribe", file_data(uploaded, url=stranger[0], is_stream=True))
    assert (kind, text) == ("complete", "word1 word2")
    assert stranger[1] == []


def test_defaults_apply_to_values_that_are_left_out(caller: Caller) -> None:
    kind, [files, details] = caller.call("avatar", "a red fox")
    assert kind == "complete"
    assert details["recipe"]["preset"] == "studio-portrait"
    assert len(files) == 1
    kind, [_, again] = caller.call("job", details["job_id"])
    assert again["images"] == []


def test_values_go_by_name_too(caller: Caller) -> None:
    started = caller.post("/gradio_api/call/v2/hero", json={"title": "A red bicycle", "seed": 4})
    [*_, (kind, [_, details])] = events(caller.get(f"/gradio_api/call/v2/hero/{started.json()['event_id']}"))
    assert (kind, details["seeds"]) == ("complete", [4])


@pytest.mark.parametrize(
    ("endpoint", "values", "said"),
    [
        ("avatar", [], "prompt is missing: /avatar needs it."),
        ("transcribe", [], "audio is missing: /transcribe needs it."),
        ("avatar", ["x"] * 9, "/avatar takes 7 values (prompt, preset, "),
        ("presets", ["x"], "/presets takes no values, and 1 were sent."),
        ("avatar", ["x", "none", "", "seven"], "seed is 'seven': send a whole number from -1 to 4294967295."),
        ("avatar", [{"a": 1}], "prompt is {'a': 1}: send text of at most 4000 characters."),
    ],
)
def test_a_wrong_call_gets_a_sentence(caller: Caller, endpoint: str, values: list[Any], said: str) -> None:
    kind, answer = caller.call(endpoint, *values)
    assert kind == "error"
    assert answer["error"].startswith(said)


def test_what_was_sent_and_is_not_used_is_among_the_details(tmp_path: Path) -> None:
    studio = make_studio(settings_in(tmp_path), Picky(), EchoSpeech())
    with serving(create_app(studio)) as url:
        served = Served(url, studio, Picky(), EchoSpeech())
        with served.http:
            caller = Caller(served)
            said = [{"field": "prompt", "message": "<lora:hat:1> is not known here and was not used."}]
            for endpoint in ("avatar", "hero"):
                started = caller.start(endpoint, ["a red fox <lora:hat:1>"])
                told = list(events(caller.get(f"/gradio_api/call/{endpoint}/{started}")))
                assert [details["warnings"] for _, (_, details) in told] == [said] * len(told)
                assert caller.call("job", told[-1][1][1]["job_id"])[1][1]["warnings"] == said
            _, (_, details) = caller.call("avatar", "a red fox")
            assert details["warnings"] == []


@pytest.mark.timeout(60)
def test_many_who_wait_for_pictures_hold_up_nobody(tmp_path: Path) -> None:
    image = BlobEngine()
    image.gate.clear()
    studio = make_studio(settings_in(tmp_path, max_queue=100), image, EchoSpeech())
    with serving(create_app(studio)) as url:
        served = Served(url, studio, image, EchoSpeech())
        with served.http:
            caller = Caller(served)
            try:
                for _ in range(50):
                    caller.start("avatar", ["a red fox"])
                assert caller.call("presets")[0] == "complete"
            finally:
                image.gate.set()


def test_an_unknown_name_gets_a_sentence(caller: Caller) -> None:
    answer = caller.post("/gradio_api/call/v2/avatar", json={"prompt": "x", "steps": 3})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "steps"
    assert "It has: prompt, preset, " in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("button", "given"),
    [
        ("avatar-go", {"avatar-preset": "<img src=x onerror=alert(1)>"}),
        ("avatar-go", {"avatar-count": 999}),
        ("transcribe-go", {"transcribe-language": "xx"}),
        ("transcribe-go", {"transcribe-file": "no file"}),
        ("transcribe-go", {"transcribe-recording": 7}),
    ],
)
def test_a_value_that_the_page_cannot_have_sent_gets_a_sentence(
    caller: Caller, button: str, given: dict[str, Any]
) -> None:
    index, values = page_event(caller.get("/config").json(), button, given)
    assert "<img" not in told(caller.join(index, values, "page"))
    assert "This page is older than the studio: reload it." in told(caller.join(index, values[:-1], "page"))


def test_only_what_an_event_changes_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(SessionState, "_update_config", lambda state, number: made.append(number))
    with StudioBlocks(gradio_cache()) as blocks:
        boxes = [gr.Textbox() for _ in range(3)]
        gr.Button().click(lambda: {boxes[1]: gr.Textbox("new", visible=False)}, None, boxes)
    [event] = blocks.fns.values()
    # On a thread, because Playwright has a loop running in the tests' one.
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(asyncio.run, blocks.postprocess_data(event, event.fn(), None)).result()
    assert made == [boxes[1]._id]
    assert [update.get("value") for update in told] == [None, "new", None]
    assert [update.get("visible") for update in told] == [None, False, None]
