"""`launch.py models` as a person or a script meets it: lines, exit codes, and what is on the disk afterwards."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli import models as models_cli
from app.disk import size_words
from engines.speech import model
from engines.weights.download import Patience, Source
from engines.weights.hub import Hub, HubFolder
from engines.weights.published import Published
from engines.weights.registry import Archive, Model, Registry
from engines.weights.store import RECEIPT, ModelStore
from tests.engines.weights.hub_server import COMMIT, serving_hub
from tests.engines.weights.model_server import Served, serving
from tests.tiny_onnx import tone_model

CAPTURE = pytest.CaptureFixture[str]


def archive() -> bytes:
    """A zip of something that looks like a Vosk model."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name in ("am/final.mdl", "conf/mfcc.conf", "graph/HCLr.fst"):
            file.writestr(f"model/{name}", bytes(200_000))
    return data.getvalue()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(archive()) as it:
        yield it


@pytest.fixture
def store(tmp_path: Path, served: Served) -> ModelStore:
    source = Source(served.url, len(served.content), hashlib.sha256(served.content).hexdigest())
    models = (
        Model("tiny", "speech", "A tiny model", "MIT", "en", Archive(source, 1_000_000)),
        Model("inside", "image", "A built-in model", "MIT", "", None),
    )
    (tmp_path / "built-in" / "inside").mkdir(parents=True)
    (tmp_path / "built-in" / "inside" / "weights").write_bytes(bytes(1500))
    patience = Patience(attempts=2, sleep=lambda _: None)
    return ModelStore(tmp_path / "models", Registry(models, tmp_path / "built-in"), patience=patience)


def run(store: ModelStore, *argv: str) -> int:
    return models_cli.main(argv, store.models_dir, store)


def test_list_says_what_is_here_and_where(store: ModelStore, capsys: CAPTURE) -> None:
    assert run(store, "list") == 0
    header, tiny, inside = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "SIZE", "STATE", "PATH"]
    assert tiny.split() == ["tiny", "-", "not", "here", str(store.models_dir / "tiny")]
    assert inside.split() == ["inside", "1.5", "kB", "built", "in", str(store.registry.built_in_folder / "inside")]


def test_no_command_lists(store: ModelStore, capsys: CAPTURE) -> None:
    assert run(store) == 0
    assert "tiny" in capsys.readouterr().out


def test_pull_shows_plain_lines_and_then_lists_as_verified(store: ModelStore, capsys: CAPTURE) -> None:
    assert run(store, "pull", "tiny") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tiny: download")
    assert "tiny: download 100% of 0.6 MB" in lines
    assert lines[-1] == f"tiny is in {store.models_dir / 'tiny'} (MIT)."
    assert not any("\r" in line for line in lines)
    assert sum(line.startswith("tiny: download") for line in lines) <= 11  # one for every tenth
    run(store, "list")
    assert "verified" in capsys.readouterr().out


def test_pull_on_a_terminal_redraws_one_line(
    store: ModelStore, capsys: CAPTURE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(store, "pull", "tiny") == 0
    bar, last, end = capsys.readouterr().out.split("\n")
    assert bar.count("\r") >= 3
    assert "█" in bar
    assert last.startswith("tiny is in")
    assert end == ""


def test_pull_again_says_where_it_is(store: ModelStore, served: Served, capsys: CAPTURE) -> None:
    run(store, "pull", "tiny")
    capsys.readouterr()
    assert run(store, "pull", "tiny") == 0
    assert capsys.readouterr().out == f"tiny is in {store.models_dir / 'tiny'} (MIT).\n"
    assert len(served.requests) == 1


def test_pull_of_a_hub_model_fetches_what_it_needs_too(store: ModelStore, capsys: CAPTURE) -> None:
    files = {"config.json": b"{}", "model.safetensors": bytes(300_000)}
    large = HubFolder("tests/large", COMMIT, tuple(files), 1)
    models = (
        Model("large", "image", "A large model", "RAIL", "", large, needs=("part",)),
        Model("part", "vae", "Its part", "MIT", "", replace(large, hub_id="tests/part")),
    )
    with serving_hub({"tests/large": files, "tests/part": files}) as hub:
        of_hub = replace(store, registry=Registry(models, store.models_dir), hub=Hub(hub.url))
        assert run(of_hub, "pull", "large") == 0
        assert hub.fetched == [(name, None) for name in files] * 2
    lines = capsys.readouterr().out.splitlines()
    assert f"large is in {store.models_dir / 'large'} (RAIL)." in lines
    assert lines[-1] == f"part is in {store.models_dir / 'part'} (MIT)."
    assert "large: download 100% of 0.3 MB" in lines
    assert "large: verify 100% of 0.3 MB" in lines
    run(of_hub, "list")
    assert capsys.readouterr().out.count("verified") == 2


def test_a_hub_that_does_not_answer_is_one_sentence_and_exit_code_1(store: ModelStore, capsys: CAPTURE) -> None:
    with serving_hub({}) as hub:
        assert run(replace(store, hub=Hub(hub.url)), "pull", "owner/name") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "'owner/name' is neither on this machine nor could it be downloaded" in said.err
    assert said.err.count("\n") == 1


def test_sizes_are_told_in_the_unit_that_fits() -> None:
    assert [size_words(size) for size in (1500, 6_000_000, 6_900_000_000)] == ["1.5 kB", "6.0 MB", "6.90 GB"]


def test_pull_of_a_built_in_model_is_no_error(store: ModelStore, capsys: CAPTURE) -> None:
    assert run(store, "pull", "inside") == 0
    assert "built in" in capsys.readouterr().out


def test_failure_is_one_sentence_and_exit_code_1(store: ModelStore, served: Served, capsys: CAPTURE) -> None:
    served.statuses = [404]
    assert run(store, "pull", "tiny") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "404" in captured.err
    assert "Traceback" not in captured.err


def test_ctrl_c_says_how_to_go_on(store: ModelStore, capsys: CAPTURE, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelStore, "pull", interrupted)
    assert run(store, "pull", "tiny") == 1
    assert "goes on from here" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["pull", "nope"], ["nope"], ["list", "--nope"], ["list", "--language", "klingon"]])
def test_misuse_is_exit_code_2_and_says_what_there_is(argv: list[str], store: ModelStore, capsys: CAPTURE) -> None:
    assert run(store, *argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_help_is_exit_code_0(store: ModelStore, capsys: CAPTURE) -> None:
    assert run(store, "--help") == 0
    assert "prune" in capsys.readouterr().out


def test_prune_says_what_it_removed_and_what_it_kept(store: ModelStore, capsys: CAPTURE) -> None:
    old, own = store.models_dir / "old", store.models_dir / "own"
    for folder in (old, own):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(100_000))
    (old / RECEIPT).write_text("{}")
    assert run(store, "prune") == 0
    out = capsys.readouterr().out
    assert f"Removed {old} (0.1 MB)" in out
    assert "Freed 0.1 MB." in out
    assert f"Kept {own} (0.1 MB)" in out
    assert not old.exists()
    assert own.exists()
    assert run(store, "prune", "--all") == 0
    assert not own.exists()


def test_prune_with_nothing_to_do_says_so(store: ModelStore, capsys: CAPTURE) -> None:
    assert run(store, "prune") == 0
    assert capsys.readouterr().out == "Nothing to remove.\n"


def test_models_folder_that_is_a_file_is_said(store: ModelStore, capsys: CAPTURE) -> None:
    store.models_dir.write_text("a file")
    assert run(store, "pull", "tiny") == 1
    assert str(store.models_dir) in capsys.readouterr().err


def test_pull_tells_what_a_model_in_onnx_needs(
    tmp_path: Path, store: ModelStore, capsys: CAPTURE, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tone_model(tmp_path / "zipformer")
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*")}
    with serving_hub({"tests/zipformer": files}) as hub:
        source = HubFolder("tests/zipformer", COMMIT, tuple(files), 1)
        tones = Model("tones", "speech", "Tones", "MIT", "en", source)
        store = replace(store, registry=replace(store.registry, models=(tones,)), hub=Hub(hub.url))
        assert run(store, "pull", "tones") == 0
        assert "requirements-onnx.txt" not in capsys.readouterr().out
        monkeypatch.setattr(model, "ONNX_PACKAGES", ("no_such_package",))
        assert run(store, "pull", "tones") == 0
    assert "pip install -r requirements-onnx.txt" in capsys.readouterr().out


def test_without_a_store_the_projects_registry_is_used(tmp_path: Path, capsys: CAPTURE) -> None:
    assert models_cli.main(["list"], tmp_path / "models") == 0
    out = capsys.readouterr().out
    assert "vosk-demo-en" in out
    assert "sdxl" in out
    assert "small-en" in out


@pytest.fixture
def public(store: ModelStore) -> ModelStore:
    """The same store with two models of a publisher's list."""
    source = Published("vosk-model-de-0.21", 1_900_000_000)
    big = Model("big-de", "speech", "Vosk big German", "Apache-2.0", "de", source, published=source.name)
    french = replace(big, name="small-fr", label="Vosk small French", language="fr", published="x")
    models = (*store.registry.models, big, french)
    return replace(store, registry=replace(store.registry, models=models, public=frozenset({"big-de", "small-fr"})))


def test_list_leaves_out_the_many_that_are_not_here_and_says_how_to_see_them(
    public: ModelStore, capsys: CAPTURE
) -> None:
    assert run(public, "list") == 0
    out = capsys.readouterr().out
    assert "big-de" not in out
    assert "2 more speech models can be fetched: models list --language de" in out
    (public.models_dir / "big-de").mkdir(parents=True)
    run(public, "list")
    out = capsys.readouterr().out
    assert "big-de" in out
    assert "1 more" in out


@pytest.mark.parametrize("language", ["de", "German", "de-AT", "DE"])
def test_models_of_a_language_with_size_and_licence(language: str, public: ModelStore, capsys: CAPTURE) -> None:
    assert run(public, "list", "--language", language) == 0
    header, big, where = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "LANGUAGE", "SIZE", "LICENCE", "STATE", "WHAT", "IT", "IS"]
    assert big.split() == ["big-de", "de", "1.90", "GB", "Apache-2.0", "not", "here", "Vosk", "big", "German"]
    assert str(public.models_dir) in where


def test_pull_without_a_name_lists_all_that_can_be_fetched(public: ModelStore, capsys: CAPTURE) -> None:
    assert run(public, "pull") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("tiny", "inside", "big-de", "small-fr"))


def test_a_language_without_a_model_is_told_which_there_are(public: ModelStore, capsys: CAPTURE) -> None:
    assert run(public, "list", "--language", "klingon") == 2
    assert "no model for 'klingon'. There are some for: de, en, fr." in capsys.readouterr().err
