"""Models that are files of a package of the npm registry: what is taken out of it, and what is not."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from engines.errors import DownloadFailed, ModelInvalid
from engines.weights.download import Patience, Source
from engines.weights.registry import Archive, Model, Registry, read_registry
from engines.weights.store import RECEIPT, ModelStore, State
from tests.engines.weights.model_server import Served, serving

ROOT = Path(__file__).parents[3]
WEIGHTS = bytes(range(256)) * 40
WANTED = "package/model.tflite"
FILES = {"package/package.json": b"{}", "package/wasm/code.wasm": bytes(100_000), WANTED: WEIGHTS}


def packed(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            file.addfile(member)
    return data.getvalue()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(packed(FILES), "model-1.0.tgz") as it:
        yield it


Make = Callable[..., ModelStore]


@pytest.fixture
def store_of(tmp_path: Path, served: Served) -> Make:
    def make(unpacked_bytes: int = 20_000) -> ModelStore:
        source = Source(served.url, len(served.content), hashlib.sha256(served.content).hexdigest())
        tiny = Model("tiny", "portrait", "A tiny model", "MIT", "", Archive(source, unpacked_bytes, (WANTED,)))
        registry = Registry((tiny,), tmp_path / "built-in")
        patience = Patience(attempts=1, sleep=lambda _: None)
        return ModelStore(tmp_path / "models", registry, lambda: httpx.Client(timeout=5, trust_env=False), patience)

    return make


def test_only_the_named_file_is_taken(store_of: Make) -> None:
    store = store_of()
    stages: list[str] = []
    folder = store.pull("tiny", lambda now: stages.append(now.stage))
    assert (folder / "model.tflite").read_bytes() == WEIGHTS
    assert sorted(path.name for path in folder.iterdir()) == [RECEIPT, "model.tflite", "studio.json"]
    assert [one.state for one in store.list()] == [State.VERIFIED]
    assert list(dict.fromkeys(stages)) == ["download", "verify", "unpack"]
    assert not list(store.models_dir.glob("*.tgz*"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (packed({"package/other.tflite": WEIGHTS}), "lacks package/model.tflite"),
        (packed({}, {WANTED: "/etc/passwd"}), "lacks package/model.tflite"),
        (packed({WANTED: WEIGHTS})[:-3000], "not a sound package"),
        (b"no archive at all", "not a sound package"),
        (packed({WANTED: bytes(30_000)}), "would unpack to 30,000 bytes"),
    ],
    ids=["another package", "a link", "cut off", "no archive", "too large"],
)
def test_what_is_not_the_model_leaves_nothing(store_of: Make, served: Served, content: bytes, told: str) -> None:
    served.content = content
    store = store_of()
    with pytest.raises(ModelInvalid, match=told):
        store.pull("tiny", lambda _: None)
    assert [path.name for path in store.models_dir.iterdir()] == [".tiny.lock"]


def test_what_an_interrupted_download_leaves_is_gone_on_with_or_pruned(store_of: Make, served: Served) -> None:
    served.cuts = [500]
    store = store_of()
    with pytest.raises(DownloadFailed):
        store.pull("tiny", lambda _: None)
    assert {(one.path.name, one.what) for one in store.leftovers()} == {
        (".tiny.tgz.part", "interrupted download"),
        (".tiny.tgz.part.from", "interrupted download"),
    }
    store.pull("tiny", lambda _: None)
    assert served.requests[-1]["Range"] == "bytes=500-"
    assert store.leftovers() == ()


def test_the_model_of_portraits_is_pinned_to_what_its_publisher_has(portrait_models: Path) -> None:
    """Its package came from the npm registry, and was held to the size and the SHA-256 that our registry names."""
    store = ModelStore(portrait_models, read_registry(ROOT / "models" / "registry.toml"))
    [portrait] = [model for model in store.list() if model.name == "portrait"]
    assert (portrait.state, portrait.licence) == (State.VERIFIED, "Apache-2.0")
    model = portrait.path / "selfie_segmentation.tflite"
    assert 200_000 < model.stat().st_size < 300_000
