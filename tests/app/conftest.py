"""A studio over small engines, served for real."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from app.http.apps import create_app
from app.work.studio import Studio
from tests.serving import make_studio, serving, settings_in
from tests.small_engines import BlobEngine, EchoSpeech


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


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Gradio's folder for these tests alone: without it, it would be one that all programs of this machine share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"))


def serve(folder: Path, **values: object) -> Iterator[Served]:
    image, speech = BlobEngine(), EchoSpeech()
    studio = make_studio(settings_in(folder, **values), image, speech)
    with serving(create_app(studio)) as url:
        served = Served(url, studio, image, speech)
        with served.http:
            yield served
