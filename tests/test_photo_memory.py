"""A small file that holds a large picture, sent by several at once through the public door: memory for one."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.conftest import Launched, launched

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="/proc tells a process's memory")

CALLS = 5
MEGABYTES = 700
"""One picture of 64 megapixels decoded (256 MB), what unpacking and making another takes, and slack. Five are 1.3 GB in
their decoded form alone."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """Of its own: what other tests leave in memory would count."""
    with launched(tmp_path_factory.mktemp("studio")) as running:
        yield running


def png(side: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (250, 120, 10)).save(file, "PNG")
    return file.getvalue()


def avatar(studio: Launched, photo: bytes) -> str:
    """Upload and call as @gradio/client does; the stream's last event, with its data."""
    with httpx.Client(base_url=f"{studio.url}/gradio_api", timeout=120) as http:
        [path] = http.post("/upload", files={"files": ("photo.png", photo)}).json()
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        call = http.post("/call/avatar", json={"data": ["a fox", "none", "", 1, 1, file, 0.5]}).json()
        return http.get(f"/call/avatar/{call['event_id']}").text.strip().rpartition("event: ")[2]


def megabytes(studio: Launched, name: str) -> int:
    """Of the studio and of the process that decodes its photos, together."""
    pids = (studio.process.pid, studio.image_process)
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def listen(studio: Launched, over: threading.Event) -> int:
    """How often /health/live answered until then. Raises for one that takes half a minute."""
    answers = 0
    with httpx.Client(base_url=studio.url, timeout=30) as http:
        while not over.wait(0.05):
            answers += http.get("/health/live").status_code == 200
    return answers


def test_five_calls_with_a_large_picture_take_the_memory_of_one(studio: Launched) -> None:
    assert avatar(studio, png(64)).startswith("complete")
    for pid in (studio.process.pid, studio.image_process):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
    before = megabytes(studio, "VmRSS")
    large, over = png(8000), threading.Event()
    assert len(large) < 2**20
    with ThreadPoolExecutor(CALLS + 1) as pool:
        live = pool.submit(listen, studio, over)
        try:
            ends = list(pool.map(lambda _: avatar(studio, large), range(CALLS)))
        finally:
            over.set()
    assert megabytes(studio, "VmHWM") - before < MEGABYTES
    assert live.result() >= CALLS
    for end in ends:
        assert end.startswith("complete")
        assert json.loads(end.partition("data: ")[2])[1]["state"] == "succeeded"


def test_a_photo_that_is_cut_off_is_refused_in_words(studio: Launched) -> None:
    end = avatar(studio, png(64)[:-40])
    assert end.startswith("error")
    assert "photo is damaged or cut off" in end
    assert list((studio.output.parent / "data" / "uploads").iterdir()) == []
