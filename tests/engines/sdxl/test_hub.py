"""A hub id, from the engine's side: fetched once from a hub on this machine, read from the models folder ever after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import httpx
import pytest

from engines.errors import DownloadFailed, ModelMissing
from engines.events import Progress
from engines.sdxl.engine import SdxlEngine
from engines.weights.download import Patience
from engines.weights.hub import Hub
from engines.weights.registry import Registry
from engines.weights.store import ModelStore
from tests.engines.sdxl.conftest import Generate, difference, ignore, pixels, request
from tests.engines.weights.hub_server import HubServer, serving_hub

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def hub(model_folder: Path) -> Iterator[HubServer]:
    files = {str(path.relative_to(model_folder)): path.read_bytes() for path in model_folder.rglob("*.*")}
    with serving_hub({"tests/tiny": files}) as it:
        yield it


@pytest.fixture
def store(hub: HubServer, tmp_path: Path) -> ModelStore:
    return ModelStore(
        tmp_path / "models",
        Registry((), tmp_path),
        make_client=lambda: httpx.Client(timeout=2),
        patience=Patience(attempts=1, sleep=lambda _: None),
        hub=Hub(hub.url),
    )


def test_a_hub_model_is_fetched_once_and_then_read_offline(
    hub: HubServer, store: ModelStore, generate: Generate
) -> None:
    told: list[Progress] = []
    engine = SdxlEngine("tests/tiny", "cpu", store=store)
    engine.load(told.append)
    assert list(dict.fromkeys(now.stage for now in told)) == ["download", "verify", "load"]
    assert all(0 <= now.step <= now.total for now in told)
    assert difference(pixels(engine.generate(request(), None, ignore, Event())), pixels(generate())) == 0
    asked = hub.asked
    offline = SdxlEngine("tests/tiny", "cpu", store=store, offline=True)
    assert difference(pixels(offline.generate(request(), None, ignore, Event())), pixels(generate())) == 0
    assert hub.asked == asked


def test_a_load_that_was_cut_goes_on_at_the_next(hub: HubServer, store: ModelStore) -> None:
    hub.cuts[UNET] = [10_000]
    engine = SdxlEngine("tests/tiny", "cpu", store=store)
    with pytest.raises(DownloadFailed, match="are kept; the next try goes on"):
        engine.load()
    engine.load()
    assert [wanted for name, wanted in hub.fetched if name == UNET] == [None, "bytes=10000-"]


def test_a_hub_model_that_is_not_here_and_may_not_be_fetched(hub: HubServer, store: ModelStore) -> None:
    for engine in (SdxlEngine("tests/tiny", "cpu", store=store, offline=True), SdxlEngine("tests/tiny", "cpu")):
        with pytest.raises(ModelMissing, match=r"'tests/tiny' is not on this machine.*models pull tests/tiny"):
            engine.load()
    assert hub.asked == 0


@pytest.mark.parametrize("absent", ["tests/absent", "tests/hanging-up"])
def test_a_hub_model_that_the_hub_does_not_give(absent: str, store: ModelStore) -> None:
    with pytest.raises(ModelMissing, match=f"'{absent}' is neither on this machine nor could it be downloaded"):
        SdxlEngine(absent, "cpu", store=store).load()
