"""Getting a model from the page: paused, gone on with, failed in words; over real HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.downloads import Download, Downloads, DownloadState
from engines.errors import InvalidRequest, ModelInvalid
from engines.weights.download import Patience, Source
from engines.weights.registry import Archive, Model, Registry
from engines.weights.store import ModelStore, State
from tests.engines.weights.model_server import Served, serving
from tests.engines.weights.test_store import FILES, zipped
from tests.serving import until

Make = Callable[..., Downloads]


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(zipped(FILES)) as it:
        yield it


@pytest.fixture
def make(tmp_path: Path, served: Served) -> Make:
    """Downloads that offer one speech model, `tiny`, and one that is built in."""

    def downloads(*, content: bytes | None = None, free: int = 10**9, **options: object) -> Downloads:
        right = served.content if content is None else content
        source = Source(served.url, len(right), hashlib.sha256(right).hexdigest())
        tiny = Model("tiny", "speech", "A tiny model", "MIT", "en", Archive(source, 1_000_000))
        demo = Model("demo", "speech", "A demo model", "MIT", "en", None)
        store = ModelStore(
            tmp_path / "models",
            Registry((tiny, demo), tmp_path / "built-in"),
            make_client=lambda: httpx.Client(timeout=5, trust_env=False),
            patience=Patience(attempts=2, first_pause=0.01),
            free=lambda _: free,
        )
        return Downloads(store, **options)  # type: ignore[arg-type]

    return downloads


def ended(downloads: Downloads, name: str = "tiny") -> Download:
    until(lambda: downloads.known()[name].state is not DownloadState.RUNNING)
    return downloads.known()[name]


def test_a_model_arrives_and_is_put_to_use(make: Make, tmp_path: Path) -> None:
    used: list[tuple[str, Path]] = []
    downloads = make(use=lambda model, folder: used.append((model.name, folder)))
    downloads.start("tiny")
    assert ended(downloads).state is DownloadState.DONE
    assert used == [("tiny", tmp_path / "models" / "tiny")]
    [tiny] = [model for model in downloads.offered("speech") if model.name == "tiny"]
    assert tiny.state is State.VERIFIED


def test_a_pause_keeps_what_has_arrived_and_it_goes_on_from_there(make: Make, served: Served) -> None:
    served.seconds_per_piece = 0.05
    downloads = make()
    downloads.start("tiny")
    until(lambda: (told := downloads.known()["tiny"].progress) and told.step > 20_000)
    downloads.pause("tiny")
    assert ended(downloads).state is DownloadState.PAUSED
    served.seconds_per_piece = 0.0
    downloads.start("tiny")
    assert ended(downloads).state is DownloadState.DONE
    assert int(served.requests[-1]["Range"].removeprefix("bytes=").rstrip("-")) > 20_000


def test_a_stop_of_the_studio_pauses(make: Make, served: Served) -> None:
    served.seconds_per_piece = 0.05
    downloads = make()
    downloads.start("tiny")
    until(lambda: downloads.known()["tiny"].progress)
    downloads.close()
    assert downloads.known()["tiny"].state is DownloadState.PAUSED


@pytest.mark.parametrize(
    ("prepare", "options", "told"),
    [
        (lambda served: setattr(served, "url", "http://127.0.0.1:9/x.zip"), {}, "Check the network connection"),
        (lambda served: None, {"free": 1000}, "Free "),
        (lambda served: None, {"content": bytes(200_500)}, "is damaged or not the expected file"),
        (lambda served: served.statuses.append(404), {}, "answered 404"),
    ],
    ids=["no network", "disk full", "checksum", "moved"],
)
def test_what_goes_wrong_is_told_in_words(
    make: Make, served: Served, prepare: Callable[[Served], None], options: dict[str, object], told: str
) -> None:
    prepare(served)
    if "content" in options:
        options = {"content": served.content[:-1] + b"?"}
    downloads = make(**options)
    downloads.start("tiny")
    failed = ended(downloads)
    assert failed.state is DownloadState.FAILED
    assert told in failed.problem


def test_a_model_that_cannot_be_used_is_told_too(make: Make) -> None:
    def use(*_: object) -> None:
        raise ModelInvalid("This model is for another program.")

    downloads = make(use=use)
    downloads.start("tiny")
    assert ended(downloads).problem == "This model is for another program."


@pytest.mark.parametrize("name", ["demo", "nothing", "owner/name", "../tiny"])
def test_only_what_is_offered_is_fetched(make: Make, name: str) -> None:
    downloads = make()
    with pytest.raises(InvalidRequest):
        downloads.start(name)
    assert downloads.known() == {}
