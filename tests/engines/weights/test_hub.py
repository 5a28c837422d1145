"""Models from the hub over a real HTTP connection: what is chosen, resumed, verified, and refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from engines.errors import DownloadFailed, ModelInvalid, ModelMissing
from engines.events import Progress
from engines.speech.model import Layout, check_model_folder, read_model_info
from engines.weights.download import Patience
from engines.weights.hub import PIPELINE_FILES, Hub, HubFolder, choose
from engines.weights.registry import Model, Registry
from engines.weights.store import RECEIPT, ModelStore, State
from tests.engines.weights.hub_server import COMMIT, HubServer, serving_hub

PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
NOISE = random.Random(1).randbytes(300_000)


def weights(part: str) -> str:
    return "model" if part.startswith("text") else "diffusion_pytorch_model"


FILES = {
    "model_index.json": b"{}",
    "scheduler/scheduler_config.json": b"{}",
    "tokenizer/vocab.json": b"",
    "tokenizer/merges.txt": b"#version: 0.2\n",
    "tokenizer_2/vocab.json": b"{}",
    **{f"{part}/config.json": b'{"part": true}' for part in PARTS},
    **{f"{part}/{weights(part)}.fp16.safetensors": NOISE[: 1000 * len(part)] for part in PARTS},
    UNET: NOISE,
}
UNWANTED = {
    "README.md": b"read me",
    "sd_xl_base_1.0.safetensors": NOISE,
    "unet/diffusion_pytorch_model.safetensors": NOISE,
    "unet/diffusion_pytorch_model.non_ema.safetensors": NOISE,
    "unet/diffusion_pytorch_model.fp16.bin": b"pickle",
    "unet/model.onnx": b"onnx",
    "unet/config.py": b"import os",
    "vae_1_0/diffusion_pytorch_model.fp16.safetensors": NOISE,
    "tokenizer/../../outside.json": b"{}",
    "tokenizer/tokenizer.pkl": b"pickle",
}


def nothing(_: Progress) -> None:
    """A progress callback."""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with serving_hub({"tests/tiny": {**FILES, **UNWANTED}}) as it:
        yield it


@pytest.fixture
def store(hub: HubServer, tmp_path: Path) -> ModelStore:
    """Knows one model, `tiny`: the hub's, pinned to its commit."""
    tiny = Model("tiny", "image", "Tiny", "MIT", "", HubFolder("tests/tiny", COMMIT, PIPELINE_FILES, 1))
    return ModelStore(
        tmp_path / "models",
        Registry((tiny,), tmp_path / "built-in"),
        make_client=lambda: httpx.Client(timeout=2),
        patience=Patience(attempts=2, sleep=lambda _: None),
        free=lambda _: 10**9,
        hub=Hub(hub.url),
    )


def impatient(store: ModelStore) -> ModelStore:
    return replace(store, patience=Patience(attempts=1, sleep=lambda _: None))


def content(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if name != RECEIPT}


def test_pull_fetches_what_the_model_needs_and_nothing_that_can_run(store: ModelStore, hub: HubServer) -> None:
    folder = store.pull("tiny", nothing)
    assert folder == store.models_dir / "tiny"
    assert content(folder) == FILES
    assert sorted(name for name, _ in hub.fetched) == sorted(name for name, data in FILES.items() if data)
    assert [one.state for one in store.list()] == [State.VERIFIED]
    assert sorted(path.name for path in store.models_dir.iterdir()) == [".tiny.lock", "tiny"]


def test_what_is_here_is_used_without_asking_the_hub(store: ModelStore, hub: HubServer) -> None:
    assert store.here("tiny") is None
    folder = store.pull("tiny", nothing)
    asked = hub.asked
    assert store.pull("tests/tiny", nothing) == store.here("tiny") == store.here("tests/tiny") == folder
    assert hub.asked == asked


def test_progress_is_that_of_all_files_and_never_goes_back(store: ModelStore) -> None:
    seen: dict[str, list[Progress]] = {}
    store.pull("tiny", lambda now: seen.setdefault(now.stage, []).append(now))
    assert list(seen) == ["download", "verify"]
    for stage in seen.values():
        assert [now.step for now in stage] == sorted(now.step for now in stage)
        assert {now.total for now in stage} == {sum(map(len, FILES.values()))}
        assert stage[-1].fraction == 1


def test_a_cut_is_gone_on_from_in_the_same_call(store: ModelStore, hub: HubServer) -> None:
    hub.cuts[UNET] = [100_000]
    store.pull("tiny", nothing)
    assert [wanted for name, wanted in hub.fetched if name == UNET] == [None, "bytes=100000-"]


def test_a_later_call_goes_on_and_fetches_nothing_twice(store: ModelStore, hub: HubServer) -> None:
    hub.cuts[UNET] = [100_000]
    with pytest.raises(DownloadFailed, match=r"0\.1 MB are kept"):
        impatient(store).pull("tiny", nothing)
    assert [leftover.what for leftover in store.leftovers()] == ["interrupted download"]
    seen: list[int] = []
    store.pull("tiny", lambda now: seen.append(now.step))
    assert seen[0] > 100_000
    assert [wanted for name, wanted in hub.fetched if name == UNET] == [None, "bytes=100000-"]
    others = [name for name, _ in hub.fetched if name != UNET]
    assert sorted(others) == sorted(set(others))


def test_an_interrupted_download_can_be_pruned(store: ModelStore, hub: HubServer) -> None:
    hub.cuts[UNET] = [100_000]
    with pytest.raises(DownloadFailed):
        impatient(store).pull("tiny", nothing)
    for leftover in store.leftovers():
        store.remove(leftover)
    assert [path.name for path in store.models_dir.iterdir()] == [".tiny.lock"]


def test_what_is_being_fetched_is_no_leftover(store: ModelStore) -> None:
    found = []
    store.pull("tiny", lambda _: found.append(store.leftovers()))
    assert found
    assert not any(found)


@pytest.mark.parametrize(("path", "checksum"), [(UNET, "SHA-256"), ("vae/config.json", "git SHA-1")])
def test_damage_is_seen_and_only_that_file_is_fetched_again(
    path: str, checksum: str, store: ModelStore, hub: HubServer
) -> None:
    hub.damaged.add(path)
    with pytest.raises(DownloadFailed, match=rf"{path} is damaged .* its {checksum} is .* It was deleted"):
        store.pull("tiny", nothing)
    assert store.here("tiny") is None
    hub.damaged.clear()
    hub.fetched.clear()
    assert content(store.pull("tiny", nothing)) == FILES
    assert [name for name, _ in hub.fetched] == [path]


def test_too_little_space_is_said_before_anything_is_fetched(store: ModelStore, hub: HubServer) -> None:
    hub.models["tests/tiny"][UNET] = NOISE * 20
    small = replace(store, free=lambda _: 4_000_000)
    with pytest.raises(DownloadFailed, match=r"tiny needs 6 MB in .*models, and 4 MB are free\. Free 2 MB"):
        small.pull("tiny", nothing)
    assert hub.fetched == []


def test_space_for_what_arrived_already_is_not_asked_again(store: ModelStore, hub: HubServer) -> None:
    hub.cuts[UNET] = [200_000]
    with pytest.raises(DownloadFailed):
        impatient(store).pull("tiny", nothing)
    assert content(replace(store, free=lambda _: 150_000).pull("tiny", nothing)) == FILES


def test_a_damaged_model_is_seen_and_replaced(store: ModelStore) -> None:
    folder = store.pull("tiny", nothing)
    (folder / UNET).write_bytes(b"half")
    assert [one.state for one in store.list()] == [State.DAMAGED]
    assert store.here("tiny") is None
    assert content(store.pull("tiny", nothing)) == FILES
    assert sorted(path.name for path in store.models_dir.iterdir()) == [".tiny.lock", "tiny"]


def test_another_pinned_commit_counts_as_another_model(store: ModelStore) -> None:
    store.pull("tiny", nothing)
    (tiny,) = store.registry.models
    moved = replace(tiny, source=HubFolder("tests/tiny", "f" * 40, PIPELINE_FILES, 1))
    assert replace(store, registry=Registry((moved,), store.models_dir)).here("tiny") is None


def test_a_model_that_the_registry_does_not_know_is_fetched_by_its_hub_id(store: ModelStore, hub: HubServer) -> None:
    hub.models["someone/own-model"] = FILES
    folder = store.pull("someone/own-model", nothing)
    assert folder == store.models_dir / "someone--own-model"
    assert content(folder) == FILES
    assert store.here("someone/own-model") == folder
    assert [(one.name, one.label, one.state) for one in store.list()] == [
        ("tiny", "Tiny", State.MISSING),
        ("someone--own-model", "someone/own-model", State.VERIFIED),
    ]
    assert store.leftovers() == ()
    assert [leftover.what for leftover in store.leftovers(also_by_hand=True)] == ["fetched by its hub id"]


def test_a_token_is_sent_to_the_hub(store: ModelStore, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    store.pull("tiny", nothing)
    assert set(hub.tokens) == {"Bearer hf_secret"}


@pytest.mark.parametrize("hub_id", ["tests/absent", "tests/hanging-up", "../etc", "a--b/c"])
def test_a_model_that_the_hub_does_not_give(hub_id: str, store: ModelStore) -> None:
    with pytest.raises(ModelMissing, match=rf"'{hub_id}' is neither on this machine nor could it be downloaded \(.+\)"):
        store.pull(hub_id, nothing)


@pytest.mark.parametrize(
    ("lacks", "said"), [(UNET, r"no unet/\*\.safetensors"), ("model_index.json", r"no model_index\.json")]
)
def test_a_model_without_what_is_needed_is_refused_unfetched(
    lacks: str, said: str, store: ModelStore, hub: HubServer
) -> None:
    files = {name: data for name, data in FILES.items() if name != lacks}
    hub.models["tests/pickled"] = {**files, "unet/diffusion_pytorch_model.bin": b"pickle"}
    with pytest.raises(ModelInvalid, match=rf"'tests/pickled' has {said} on the hub.*pickle files"):
        store.pull("tests/pickled", nothing)
    assert hub.fetched == []


def test_without_half_precision_the_usual_weights_are_taken_shard_by_shard() -> None:
    names = (
        "unet/config.json",
        "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
        "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
        "unet/diffusion_pytorch_model.safetensors.index.json",
    )
    other = ("unet/diffusion_pytorch_model.ema.safetensors", "unet/diffusion_pytorch_model.safetensors.index.ema.json")
    patterns = ("unet/config.json", "unet/*.safetensors", "unet/*.safetensors.index*.json")
    assert choose("a/b", (*names, *other), patterns) == names
    half = ("unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors",)
    assert choose("a/b", (*names, *half), patterns) == ("unet/config.json", *half)


def test_a_speech_model_in_onnx_is_fetched_and_knows_its_language(hub: HubServer, store: ModelStore) -> None:
    parts = {
        f"am/{part}{kind}.onnx": part.encode() for part in ("encoder", "decoder", "joiner") for kind in ("", ".int8")
    }
    files = {**parts, "lang/tokens.txt": b"<blk> 0", "lang/bpe.model": b"pickled", "decode.py": b"import os"}
    hub.models["tests/zipformer"] = files
    wanted = ("am/encoder.onnx", "am/decoder.onnx", "am/joiner.onnx", "lang/tokens.txt")
    model = Model("small-ru", "speech", "Small", "MIT", "ru", HubFolder("tests/zipformer", COMMIT, wanted, 1))
    store = replace(store, registry=replace(store.registry, models=(model,)))
    folder = store.pull("small-ru", nothing)
    assert set(content(folder)) == {*wanted, "studio.json"}
    assert check_model_folder(folder) is Layout.ONNX
    assert read_model_info(folder).language == "ru"
    assert [one.state for one in store.list()] == [State.VERIFIED]
    del files["am/joiner.onnx"]
    with pytest.raises(ModelInvalid, match=r"no am/joiner\.onnx"):
        replace(store, models_dir=store.models_dir / "other").pull("small-ru", nothing)
