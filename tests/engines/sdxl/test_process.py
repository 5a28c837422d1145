"""Pictures in a process of their own: the same pictures, and what its end costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from engines import events
from engines.devices import Device
from engines.errors import (
    Cancelled,
    InvalidMedia,
    InvalidRequest,
    ModelInvalid,
    ModelMissing,
    OutOfMemory,
    ProcessLost,
    ServiceUnavailable,
    StudioError,
)
from engines.events import Preview, Progress
from engines.requests import ImageRequest
from engines.results import ImageResult
from engines.sdxl.messages import WorkerFailed
from engines.sdxl.process import SdxlProcess
from engines.sdxl.start import kept
from tests.conftest import ROOT
from tests.engines.sdxl.conftest import ignore, png
from tests.engines.sdxl.small_worker import SMALL, process
from tests.serving import until
from tests.small_engines import BlobEngine


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdxlProcess]:
    """Started again by each test that loses it."""
    made = process(tmp_path_factory.mktemp("models"))
    yield made
    made.close()


def request(prompt: str = "on blue", **fields: object) -> ImageRequest:
    return ImageRequest.model_validate({"prompt": prompt, "seed": 7, "width": 64, "height": 64, **fields})


def make(pictures: SdxlProcess, prompt: str = "on blue", cancel: Event | None = None) -> ImageResult:
    return pictures.generate(request(prompt), None, ignore, cancel or Event())


def test_pictures_and_events_are_those_of_the_engine(pictures: SdxlProcess, photo: Path) -> None:
    asked = request(count=2, photo_sha256="a" * 64, photo_strength=0.3)
    told: list[events.Event] = []
    made = pictures.generate(asked, photo, told.append, Event())
    expected: list[events.Event] = []
    here = BlobEngine().generate(asked, photo, expected.append, Event())
    assert [one.recipe for one in made.images] == [one.recipe for one in here.images]
    assert [one.image.tobytes() for one in made.images] == [one.image.tobytes() for one in here.images]
    assert [event.data() for event in told] == [event.data() for event in expected]
    assert {type(event) for event in told} == {Progress, Preview}


def test_errors_come_as_they_are(pictures: SdxlProcess, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(png()[:-40])
    with pytest.raises(InvalidMedia, match="photo is damaged or cut off") as damaged:
        pictures.generate(request(), cut, ignore, Event())
    assert damaged.value.field == "photo"
    with pytest.raises(InvalidRequest, match="width"):
        pictures.generate(request(width=2048, height=2048, sampler="heun"), None, ignore, Event())
    with pytest.raises(OutOfMemory, match="choose a smaller size"):
        make(pictures, "memory")
    assert make(pictures).images


def test_a_cancel_ends_the_picture_and_not_the_process(pictures: SdxlProcess) -> None:
    make(pictures)
    before = pictures.pid
    cancel = Event()
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(Cancelled):
        make(pictures, "wait", cancel)
    assert make(pictures).images
    assert pictures.pid == before


def test_a_process_that_hangs_is_ended_by_a_cancel(tmp_path: Path) -> None:
    pictures = process(tmp_path, cancel_seconds=0.2)
    make(pictures)
    before = pictures.pid
    cancel = Event()
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(Cancelled):
        make(pictures, "hang", cancel)
    assert gone(before)
    assert make(pictures).images
    pictures.close()


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("die", "was ended by signal 9 .*memory does not suffice"),
        ("lose", "the GPU reported an error"),
        ("nonsense", "was ended by"),
    ],
)
def test_a_process_that_is_lost_is_said_and_replaced(pictures: SdxlProcess, prompt: str, why: str) -> None:
    with pytest.raises(ProcessLost, match=f"The process that makes pictures .*{why}") as lost:
        make(pictures, prompt)
    assert "choose a smaller size" in str(lost.value)
    assert make(pictures).images


def test_a_caller_who_leaves_in_the_middle_leaves_no_picture_for_the_next(pictures: SdxlProcess) -> None:
    def leave(event: events.Event) -> None:
        raise KeyError(event)

    with pytest.raises(KeyError):
        pictures.generate(request("on red"), None, leave, Event())
    assert make(pictures).images[0].recipe.prompt == "on blue"


def test_a_bug_is_logged_by_its_place_and_told_without_its_text(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pictures = process(tmp_path)
    with pytest.raises(WorkerFailed) as failed:
        make(pictures, "fail canary-7f3e")
    logged = capfd.readouterr().err
    assert "builtins.LookupError (its text is not logged)" in logged
    assert "canary" not in logged + str(failed.value)
    assert make(pictures).images
    pictures.close()


def test_a_load_that_fails_says_why_and_may_be_tried_again(tmp_path: Path) -> None:
    pictures = process(tmp_path, choose=lambda _: "missing")
    told: list[Progress] = []
    for _ in range(2):
        with pytest.raises(ModelMissing, match="There is no model: fetch one"):
            pictures.load(told.append)
    assert [progress.stage for progress in told] == ["download", "download"]
    pictures.close()


def test_a_process_that_dies_while_it_loads_is_a_model_that_cannot_be_used(tmp_path: Path) -> None:
    pictures = process(tmp_path, choose=lambda _: "deadly")
    with pytest.raises(ModelInvalid, match=r"could not be loaded.* was ended by signal 9"):
        pictures.load()
    pictures.close()


def test_the_device_is_what_the_process_found(tmp_path: Path) -> None:
    asked: list[Device] = []

    def choose(device: Device) -> str:
        asked.append(device)
        return "own/model"

    pictures = process(tmp_path, "cuda:0", choose=choose)
    assert (pictures.info.name, pictures.info.device) == ("own/model", "cuda:0")
    assert asked == [pictures.device] == [Device("cuda:0", "A card", SMALL)]
    # While it loads, whatever that takes, nobody waits who only wants to know.
    told: list[Device] = []
    pictures.load(lambda _: told.append(pictures.device))
    assert told == [pictures.device]
    pictures.close()


def test_a_search_for_a_gpu_that_kills_the_process_leaves_the_cpu(tmp_path: Path) -> None:
    pictures = process(tmp_path, "dies")
    assert pictures.device.name == "cpu"
    assert "was ended by signal 9" in pictures.device.note
    pictures.close()


def test_closing_ends_the_process_and_who_waits_for_it(tmp_path: Path) -> None:
    pictures = process(tmp_path)
    make(pictures)
    ended: list[StudioError] = []

    def wait() -> None:
        try:
            make(pictures, "wait")
        except StudioError as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: pictures.busy)
    pictures.close()
    pictures.close()
    waiting.join(20)
    assert [type(error) for error in ended] == [ServiceUnavailable]
    assert gone(pictures.pid)
    with pytest.raises(ServiceUnavailable):
        make(pictures)


def test_it_outlives_a_service_managers_stop(pictures: SdxlProcess) -> None:
    make(pictures)
    before = pictures.pid
    os.kill(before, signal.SIGTERM)
    assert make(pictures).images
    assert pictures.pid == before


def test_it_ends_with_the_studio(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.engines.sdxl.small_worker import process\n"
        "made = process(Path(sys.argv[1]))\n"
        "made.load()\n"
        "print(made.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as studio:
        assert studio.stdout is not None
        pid = int(studio.stdout.readline())
        studio.kill()
    until(lambda: gone(pid))


def test_it_gets_what_gpus_and_downloads_need_and_no_tokens() -> None:
    given = {
        "CUDA_VISIBLE_DEVICES": "1",
        "HF_TOKEN": "hf",
        "https_proxy": "http://proxy",
        "LD_LIBRARY_PATH": "/cuda",
        "PYTORCH_CUDA_ALLOC_CONF": "x",
        "STUDIO_API_TOKENS": "web:secret",
        "STUDIO_WEBHOOK_SECRET": "whsec_x",
        "GOOGLE_APPLICATION_CREDENTIALS": "/key.json",
    }
    left = {name: value for name, value in given.items() if not name.startswith(("STUDIO_", "GOOGLE_"))}
    assert kept(given) == {**left, "GOMP_SPINCOUNT": "10000"}
    assert kept({"OMP_WAIT_POLICY": "ACTIVE"}) == {"OMP_WAIT_POLICY": "ACTIVE"}


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
