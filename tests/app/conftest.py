"""A studio over small engines, served for real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from starlette.types import ASGIApp

from app.downloads import Downloads
from app.jobs.model import Job, JobState
from app.studio import Studio
from tests.serving import create_app, make_studio, serving, settings_in
from tests.small_engines import BlobEngine, EchoSpeech

T = TypeVar("T")


@dataclass
class Served:
    """A running server, its parts, and a plain HTTP client for it."""

    url: str
    studio: Studio
    image: BlobEngine
    speech: EchoSpeech
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def job(self, job_id: str, account: str = "local") -> Job:
        return _run(self.studio.queue.get(job_id, account))

    def recent(self, kind: str, account: str = "local", limit: int = 1000) -> list[Job]:
        return _run(self.studio.queue.library.recent(account, kind, limit))

    def running(self) -> list[str]:
        """Ids of the jobs in work."""
        return [job.id for job in self.studio.queue.unfinished() if job.state is JobState.RUNNING]


def _run(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own, because Playwright has a loop running in the tests' one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Gradio's folder for these tests alone: without it, it would be one that all programs of this machine share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"))


def serve(
    folder: Path,
    create: Callable[[Studio], ASGIApp] = create_app,
    image: BlobEngine | None = None,
    downloads: Downloads | None = None,
    **values: Any,
) -> Iterator[Served]:
    image, speech = image or BlobEngine(), EchoSpeech()
    studio = make_studio(settings_in(folder, **values), image, speech, downloads=downloads)
    with serving(create(studio)) as url:
        served = Served(url, studio, image, speech)
        with served.http:
            yield served
