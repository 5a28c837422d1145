"""Models over a real HTTP connection: cut, slow, changed, damaged, hostile, and two at a time."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from engines.errors import DownloadFailed, ModelInvalid, ModelMissing
from engines.events import Progress
from engines.languages import primary
from engines.speech.model import SPEAKER_FILES, check_model_folder, guess_language, read_model_info
from engines.weights.download import Patience, Source
from engines.weights.hub import HubFolder
from engines.weights.published import Published, VoskPublisher
from engines.weights.registry import Archive, Model, Registry, read_registry
from engines.weights.store import RECEIPT, Installed, ModelStore, State
from tests.engines.weights.model_server import Served, serving

ROOT = Path(__file__).parents[3]
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
FP16_VAE = "madebyollin/sdxl-vae-fp16-fix"
ZIPFORMERS = ["alphacep/vosk-model-small-ru", "alphacep/vosk-model-ru"]
NOISE = random.Random(1).randbytes(200_000)
FILES = {
    "vosk-model-tiny/am/final.mdl": NOISE,
    "vosk-model-tiny/conf/mfcc.conf": b"--dither=0\n",
    "vosk-model-tiny/graph/HCLr.fst": b"graph",
}


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive, stored, so that sizes are near to what goes in."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return data.getvalue()


PULL_AND_DIE = """
import os, sys
from pathlib import Path
from engines.weights.download import Source
from engines.weights.published import Published, VoskPublisher
from engines.weights.registry import Archive, Model, Registry
from engines.weights.store import ModelStore

def die(now):
    if now.stage == "unpack":
        os._exit(9)

folder, url, size, sha256 = sys.argv[1:]
tiny = Model("tiny", "speech", "", "MIT", "en", Archive(Source(url, int(size), sha256), 1_000_000))
ModelStore(Path(folder), Registry((tiny,), Path(folder))).pull("tiny", die)
"""


def nothing(_: Progress) -> None:
    """A progress callback."""


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(zipped(FILES)) as it:
        yield it


@pytest.fixture
def pauses() -> list[float]:
    """Seconds that the downloader wanted to wait between attempts."""
    return []


StoreMaker = Callable[..., ModelStore]


@pytest.fixture
def store_of(tmp_path: Path, served: Served, pauses: list[float]) -> StoreMaker:
    """Makes a store that knows one model, `tiny`: what the server serves when this is called."""

    def make(*, unpacked_bytes: int = 1_000_000, free: int = 10**9, content: bytes | None = None) -> ModelStore:
        right = served.content if content is None else content
        source = Source(served.url, len(right), hashlib.sha256(right).hexdigest())
        tiny = Model("tiny", "speech", "A tiny model", "MIT", "en", Archive(source, unpacked_bytes))
        return ModelStore(
            tmp_path / "models",
            Registry((tiny,), tmp_path / "built-in"),
            make_client=lambda: httpx.Client(timeout=2),
            patience=Patience(attempts=3, sleep=pauses.append),
            free=lambda _: free,
        )

    return make


def state(store: ModelStore) -> Installed:
    """What `list` says of the one model."""
    (tiny,) = store.list()
    return tiny


def visible(store: ModelStore) -> list[str]:
    """Names in the models folder, but for lock files."""
    return sorted(path.name for path in store.models_dir.iterdir() if not path.name.endswith(".lock"))


# Getting one.


def test_pull_makes_a_model_folder_that_the_speech_engine_accepts(store_of: StoreMaker) -> None:
    store = store_of()
    stages: list[str] = []
    folder = store.pull("tiny", lambda now: stages.append(now.stage))
    check_model_folder(folder)
    info = read_model_info(folder)
    assert (info.name, info.language, info.demo) == ("tiny", "en", False)
    assert (folder / "am" / "final.mdl").read_bytes() == NOISE
    assert list(dict.fromkeys(stages)) == ["download", "verify", "unpack"]
    assert visible(store) == ["tiny"]
    assert state(store).state is State.VERIFIED
    assert state(store).bytes > len(NOISE)


def test_pull_again_asks_the_server_for_nothing(store_of: StoreMaker, served: Served) -> None:
    store = store_of()
    store.pull("tiny", nothing)
    store.pull("tiny", nothing)
    assert len(served.requests) == 1


def test_progress_never_goes_back_within_a_stage_and_ends_at_one(store_of: StoreMaker) -> None:
    seen: dict[str, list[float]] = {}
    store_of().pull("tiny", lambda now: seen.setdefault(now.stage, []).append(now.fraction))
    for fractions in seen.values():
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1


def test_unknown_model_names_the_nearest_and_how_to_see_all(store_of: StoreMaker) -> None:
    with pytest.raises(ModelMissing, match=r"'tiney'.*Did you mean 'tiny'.*models pull"):
        store_of().pull("tiney", nothing)


# A bad connection.


def test_cut_connection_goes_on_from_where_it_was(store_of: StoreMaker, served: Served, pauses: list[float]) -> None:
    served.cuts = [70_000, 50_000]
    store_of().pull("tiny", nothing)
    assert [request.get("Range") for request in served.requests] == [None, "bytes=70000-", "bytes=120000-"]
    assert served.requests[1]["If-Range"] == '"one"'
    assert pauses == [1, 1]  # each attempt brought something, so none counts as a second failure


def test_next_call_goes_on_from_what_an_earlier_one_left(store_of: StoreMaker, served: Served) -> None:
    served.cuts, served.statuses = [70_000], []
    store = store_of()
    impatient = ModelStore(
        store.models_dir, store.registry, store.make_client, Patience(attempts=1, sleep=lambda _: None), store.free
    )
    with pytest.raises(DownloadFailed, match=r"0\.1 MB are kept"):
        impatient.pull("tiny", nothing)
    assert state(store).state is State.MISSING
    store.pull("tiny", nothing)
    assert served.requests[-1]["Range"] == "bytes=70000-"
    assert state(store).state is State.VERIFIED


def test_date_serves_where_there_is_no_strong_etag(store_of: StoreMaker, served: Served) -> None:
    served.etag, served.last_modified, served.cuts = 'W/"weak"', "Mon, 02 Nov 2026 10:00:00 GMT", [70_000]
    store_of().pull("tiny", nothing)
    assert served.requests[1]["If-Range"] == served.last_modified


def test_part_of_no_known_version_is_not_gone_on_with(store_of: StoreMaker, served: Served) -> None:
    served.etag, served.cuts = None, [70_000]
    store_of().pull("tiny", nothing)
    assert "Range" not in served.requests[1]


def test_server_that_ignores_ranges_sends_all_again(store_of: StoreMaker, served: Served) -> None:
    served.ranges, served.cuts = False, [70_000]
    store = store_of()
    store.pull("tiny", nothing)
    assert state(store).state is State.VERIFIED


def test_file_that_changed_meanwhile_is_taken_from_its_start(store_of: StoreMaker, served: Served) -> None:
    new = served.content
    served.content, served.etag, served.cuts = b"x" * len(new), '"old"', [70_000]
    store = store_of(content=new)
    client = store.make_client()

    def make_client() -> httpx.Client:
        return client

    def change(_: float) -> None:
        served.content, served.etag = new, '"new"'

    changing = ModelStore(store.models_dir, store.registry, make_client, Patience(3, sleep=change), store.free)
    changing.pull("tiny", nothing)
    assert state(store).state is State.VERIFIED


def test_end_without_announced_length_counts_as_a_cut(store_of: StoreMaker, served: Served) -> None:
    served.chunked, served.cuts = True, [70_000]
    store = store_of()
    store.pull("tiny", nothing)
    assert state(store).state is State.VERIFIED


def test_overload_is_waited_out_as_long_as_the_server_asks(
    store_of: StoreMaker, served: Served, pauses: list[float]
) -> None:
    served.statuses, served.retry_after = [503, 429], "7"
    store_of().pull("tiny", nothing)
    assert pauses == [7, 7]


def test_patience_ends_and_pauses_grow(store_of: StoreMaker, served: Served, pauses: list[float]) -> None:
    served.statuses = [500] * 9
    with pytest.raises(DownloadFailed, match="500 Internal Server Error"):
        store_of().pull("tiny", nothing)
    assert pauses == [1, 2]
    assert len(served.requests) == 3


def test_not_found_is_final_at_once(store_of: StoreMaker, served: Served) -> None:
    served.statuses = [404] * 9
    with pytest.raises(DownloadFailed, match="404"):
        store_of().pull("tiny", nothing)
    assert len(served.requests) == 1


def test_range_that_the_server_cannot_serve_starts_over(store_of: StoreMaker, served: Served) -> None:
    served.cuts = [70_000]
    store = store_of()

    def refuse_once(_: float) -> None:
        if len(served.requests) == 1:
            served.statuses = [416]

    ModelStore(store.models_dir, store.registry, store.make_client, Patience(3, sleep=refuse_once), store.free).pull(
        "tiny", nothing
    )
    assert "Range" not in served.requests[-1]


def test_silent_server_fails_in_the_clients_time(store_of: StoreMaker, served: Served) -> None:
    served.seconds_per_piece = 1.0
    store = store_of()
    hasty = ModelStore(
        store.models_dir,
        store.registry,
        lambda: httpx.Client(timeout=0.2),
        Patience(attempts=2, sleep=lambda _: None),
        store.free,
    )
    started = time.monotonic()
    with pytest.raises(DownloadFailed, match="timed out"):
        hasty.pull("tiny", nothing)
    assert time.monotonic() - started < 5


def test_nobody_listening_is_said(store_of: StoreMaker, tmp_path: Path) -> None:
    store = store_of()
    gone = Model("tiny", "speech", "", "MIT", "en", Archive(Source("http://127.0.0.1:9/x.zip", 1, "0" * 64), 1_000_000))
    with pytest.raises(DownloadFailed, match="Check the network"):
        ModelStore(tmp_path, Registry((gone,), tmp_path), store.make_client, store.patience).pull("tiny", nothing)


# What came is wrong.


def test_damaged_download_is_deleted_and_said(store_of: StoreMaker, served: Served) -> None:
    right = served.content
    served.content = right[:-1] + b"\1"
    store = store_of(content=right)
    with pytest.raises(DownloadFailed, match=r"SHA-256.*deleted"):
        store.pull("tiny", nothing)
    assert visible(store) == []
    served.content = right
    store.pull("tiny", nothing)
    assert state(store).state is State.VERIFIED


def test_longer_file_than_announced_is_not_taken(store_of: StoreMaker, served: Served) -> None:
    right = served.content
    served.content = right + bytes(1_000_000)
    store, seen = store_of(content=right), []
    with pytest.raises(DownloadFailed, match="sends more than"):
        store.pull("tiny", lambda now: seen.append(now.fraction))
    assert max(seen) <= 1  # what goes beyond is not even written
    assert visible(store) == []


HOSTILE: dict[str, tuple[dict[str, bytes], str]] = {
    "parent": ({"a/x": b"", "../evil": b"!"}, "outside"),
    "deep parent": ({"a/x": b"", "a/../../evil": b"!"}, "outside"),
    "absolute": ({"a/x": b"", "/tmp/evil": b"!"}, "outside"),
    "backslash": ({"a/x": b"", "..\\evil": b"!"}, "outside"),
    "drive": ({"a/x": b"", "C:evil": b"!"}, "outside"),
    "empty": ({}, "0 files"),
    "not a model": ({"a/readme.txt": b"hello"}, "not a complete Vosk model"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archive_leaves_nothing(case: str, store_of: StoreMaker, served: Served, tmp_path: Path) -> None:
    files, reason = HOSTILE[case]
    served.content = zipped(files)
    store = store_of()
    with pytest.raises(ModelInvalid, match=reason):
        store.pull("tiny", nothing)
    assert visible(store) == []
    assert not list(tmp_path.rglob("*evil*"))


def test_link_in_an_archive_is_refused(store_of: StoreMaker, served: Served) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        link = zipfile.ZipInfo("a/am")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc")
        file.writestr("a/am/final.mdl", b"!")
    served.content = data.getvalue()
    store = store_of()
    with pytest.raises(ModelInvalid, match="link"):
        store.pull("tiny", nothing)
    assert visible(store) == []


def test_archive_larger_than_announced_is_refused(store_of: StoreMaker) -> None:
    store = store_of(unpacked_bytes=100_000)
    with pytest.raises(ModelInvalid, match="100,000 at most"):
        store.pull("tiny", nothing)
    assert visible(store) == []


def test_bomb_that_lies_about_its_size_is_stopped(store_of: StoreMaker, served: Served) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/bomb", bytes(50_000_000))
    size = (50_000_000).to_bytes(4, "little")
    served.content = data.getvalue().replace(size, (10).to_bytes(4, "little"))
    store = store_of()
    with pytest.raises(ModelInvalid, match="not a sound zip"):
        store.pull("tiny", nothing)
    assert visible(store) == []


def test_damaged_member_is_refused(store_of: StoreMaker, served: Served) -> None:
    served.content = served.content.replace(NOISE[:100], b"\0" * 100)
    store = store_of()
    with pytest.raises(ModelInvalid, match="Bad CRC"):
        store.pull("tiny", nothing)
    assert visible(store) == []


def test_text_instead_of_a_zip_is_refused(store_of: StoreMaker, served: Served) -> None:
    served.content = b"<html>Please sign in to this network</html>"
    store = store_of()
    with pytest.raises(ModelInvalid, match="not a sound zip"):
        store.pull("tiny", nothing)
    assert visible(store) == []


# This machine.


def test_too_little_space_is_said_before_anything_is_fetched(store_of: StoreMaker, served: Served) -> None:
    store = store_of(unpacked_bytes=50_000_000, free=20_000_000)
    with pytest.raises(DownloadFailed, match=r"needs 50 MB.*20 MB are free.*Free 30 MB"):
        store.pull("tiny", nothing)
    assert served.requests == []


def test_stopped_while_unpacking_is_no_model_and_needs_no_new_download(store_of: StoreMaker, served: Served) -> None:
    store = store_of()

    def stop(now: Progress) -> None:
        if now.stage == "unpack":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull("tiny", stop)
    assert state(store).state is State.MISSING
    store.pull("tiny", nothing)
    assert state(store).state is State.VERIFIED
    assert len(served.requests) == 1


def test_killed_while_unpacking_is_no_model_and_can_be_pruned(store_of: StoreMaker) -> None:
    store = store_of()
    (tiny,) = store.registry.models
    assert isinstance(tiny.source, Archive)
    file = tiny.source.file
    arguments = [str(store.models_dir), file.url, str(file.size), file.sha256]
    child = subprocess.run([sys.executable, "-c", PULL_AND_DIE, *arguments], cwd=ROOT, check=False)
    assert child.returncode == 9
    assert state(store).state is State.MISSING
    assert [leftover.what for leftover in store.leftovers()] == ["interrupted download", "interrupted unpacking"]
    store.pull("tiny", nothing)
    assert state(store).state is State.VERIFIED


def test_two_at_once_fetch_it_once(store_of: StoreMaker, served: Served) -> None:
    served.seconds_per_piece = 0.01
    store, waited, folders = store_of(), [], []

    def pull() -> None:
        folders.append(store.pull("tiny", nothing, on_wait=lambda: waited.append(True)))

    threads = [threading.Thread(target=pull) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(served.requests) == 1
    assert waited == [True]
    assert folders == [store.models_dir / "tiny"] * 2
    assert state(store).state is State.VERIFIED


def test_damaged_model_is_seen_and_pulled_anew(store_of: StoreMaker, served: Served) -> None:
    store = store_of()
    folder = store.pull("tiny", nothing)
    (folder / "am" / "final.mdl").write_bytes(b"half")
    assert state(store).state is State.DAMAGED
    store.pull("tiny", nothing)
    assert (folder / "am" / "final.mdl").read_bytes() == NOISE
    assert visible(store) == ["tiny"]


@pytest.mark.parametrize("receipt", ["", "[]", '{"sha256": 1}', '{"sha256": "x", "files": 3}'])
def test_unreadable_receipt_counts_as_damage(receipt: str, store_of: StoreMaker) -> None:
    store = store_of()
    folder = store.pull("tiny", nothing)
    (folder / RECEIPT).write_text(receipt)
    assert state(store).state is State.DAMAGED


def test_folder_made_by_hand_is_never_replaced(store_of: StoreMaker) -> None:
    store = store_of()
    own = store.models_dir / "tiny"
    own.mkdir(parents=True)
    (own / "mine.txt").write_text("keep me")
    assert state(store).state is State.BY_HAND
    with pytest.raises(ModelInvalid, match="not made by pull"):
        store.pull("tiny", nothing)
    assert (own / "mine.txt").exists()


def test_folder_that_cannot_be_made_is_said(store_of: StoreMaker) -> None:
    store = store_of()
    store.models_dir.write_text("a file")
    with pytest.raises(DownloadFailed, match="could not be written"):
        store.pull("tiny", nothing)


# What is left over.


def test_prune_finds_what_can_go_and_keeps_what_is_a_persons_own(store_of: StoreMaker, tmp_path: Path) -> None:
    store = store_of()
    kept = store.pull("tiny", nothing)
    (store.models_dir / ".tiny.zip.part").write_bytes(b"12345")
    (store.models_dir / ".unpacking-tiny-abc").mkdir()
    dropped = store.models_dir / "old"
    dropped.mkdir()
    (dropped / RECEIPT).write_text("{}")
    own = store.models_dir / "my-own"
    own.mkdir()
    (own / "file").write_bytes(b"123")
    found = {leftover.path.name: (leftover.bytes, leftover.what) for leftover in store.leftovers()}
    assert found == {
        ".tiny.zip.part": (5, "interrupted download"),
        ".unpacking-tiny-abc": (0, "interrupted unpacking"),
        "old": (2, "no longer one of Carrot Studio's models"),
    }
    assert own in [leftover.path for leftover in store.leftovers(also_by_hand=True)]
    assert kept not in [leftover.path for leftover in store.leftovers(also_by_hand=True)]
    for leftover in store.leftovers(also_by_hand=True):
        store.remove(leftover)
    assert visible(store) == ["tiny"]


def test_prune_removes_a_link_and_not_what_it_points_to(store_of: StoreMaker, tmp_path: Path) -> None:
    store = store_of()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep me")
    store.models_dir.mkdir()
    (store.models_dir / "link").symlink_to(precious)
    for leftover in store.leftovers(also_by_hand=True):
        store.remove(leftover)
    assert (precious / "file").exists()
    assert visible(store) == []


def test_prune_leaves_what_is_being_pulled(store_of: StoreMaker, served: Served) -> None:
    served.seconds_per_piece = 0.02
    store, found = store_of(), []

    def look(now: Progress) -> None:
        if now.stage == "unpack":
            found.append(store.leftovers())

    store.pull("tiny", look)
    assert found
    assert not any(found)


def test_list_of_an_absent_folder_makes_nothing(store_of: StoreMaker) -> None:
    store = store_of()
    assert state(store).state is State.MISSING
    assert store.leftovers() == ()
    assert not store.models_dir.exists()


# The registry.


def test_projects_registry_is_readable_and_its_built_in_speech_model_is_one() -> None:
    registry = read_registry(ROOT / "models" / "registry.toml")
    names = [model.name for model in registry.models if model.name not in registry.public]
    assert names == ["sketch", "sdxl", "sdxl-vae", "portrait", "vosk-demo-en", "small-en"]
    check_model_folder(registry.built_in_folder / "vosk-demo-en")
    small = registry.find("small-en")
    assert isinstance(small.source, Archive)
    assert small.source.file.url.startswith("https://")
    assert len(bytes.fromhex(small.source.file.sha256)) == 32


def test_every_hub_model_of_the_projects_registry_is_pinned_to_a_commit() -> None:
    registry = read_registry(ROOT / "models" / "registry.toml")
    folders = [model.source for model in registry.models if isinstance(model.source, HubFolder)]
    assert [folder.hub_id for folder in folders] == [SDXL, FP16_VAE, *ZIPFORMERS]
    assert all(folder.pinned and folder.about_bytes for folder in folders)
    assert registry.find("sdxl").needs == ("sdxl-vae",)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[[model]]\nname='x'\nkind='speech'\nlabel='x'\nlicence='x'\nsha256='00'\nbytes=1\n", "'url'"),
        ("[[model]]\nname='x'\nlabel='x'\nlicence='x'\nbuilt_in=true\n", "'kind'"),
        ("[[model]]\nname='x'\nkind='k'\nlabel='x'\nlicence='x'\nurl='u'\nsha256='00'\nbytes='many'\n", "many"),
        ("[[model]]\nname='x'\nkind='k'\nlabel='x'\nlicence='x'\nhub='a/b'\nabout_bytes=1\n", "'revision'"),
        ("[[model]", "registry.toml"),
    ],
)
def test_wrong_registry_names_file_and_field(text: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(text)
    with pytest.raises(ModelInvalid, match=named):
        read_registry(path)


def test_empty_built_in_folder_is_no_model(tmp_path: Path) -> None:
    sketch = Model("sketch", "image", "", "MIT", "", None)
    (tmp_path / "sketch").mkdir()
    store = ModelStore(tmp_path / "models", Registry((sketch,), tmp_path))
    assert state(store).state is State.MISSING
    (tmp_path / "sketch" / "weights").write_bytes(b"1")
    assert state(store).state is State.BUILT_IN


def test_built_in_model_needs_no_pull(tmp_path: Path) -> None:
    registry = read_registry(ROOT / "models" / "registry.toml")
    store = ModelStore(tmp_path / "models", registry)
    assert store.pull("vosk-demo-en", nothing) == ROOT / "models" / "vosk-demo-en"
    assert json.loads((ROOT / "models" / "vosk-demo-en" / "studio.json").read_text())["demo"] is True


# The publisher's many.


def test_every_public_vosk_model_has_what_it_takes_to_fetch_it() -> None:
    registry = read_registry(ROOT / "models" / "registry.toml")
    public = [model for model in registry.models if model.name in registry.public]
    assert len(public) >= 50
    assert len({model.name for model in registry.models}) == len(registry.models)
    for model in public:
        assert model.published.startswith("vosk-model-"), model.name
        assert model.licence
        assert model.download_bytes > 10_000_000
        assert model.kind == "speaker" or primary(guess_language(model.published)) == primary(model.language), (
            model.name
        )
        if isinstance(model.source, Archive):
            assert len(bytes.fromhex(model.source.file.md5)) == 16
            assert model.source.file.url == f"https://alphacephei.com/vosk/models/{model.published}.zip"


def test_a_model_is_found_by_its_publishers_name() -> None:
    registry = read_registry(ROOT / "models" / "registry.toml")
    assert registry.find("vosk-model-small-de-0.15").name == "small-de"
    assert registry.find("vosk-model-small-en-us-0.15").name == "small-en"
    with pytest.raises(ModelMissing, match="Did you mean 'small-de'"):
        registry.find("smal-de")


@pytest.mark.parametrize("named", [{}, {"url": "http://127.0.0.1:9/elsewhere.zip"}])
def test_the_publishers_size_and_md5_are_asked_for_and_kept_to(
    named: dict[str, str], tmp_path: Path, served: Served
) -> None:
    md5 = hashlib.md5(served.content, usedforsecurity=False).hexdigest()
    entry = {"name": "model", "size": len(served.content), "md5": md5, **named}
    with serving(json.dumps([entry]).encode(), "model-list.json") as listed:
        # One server has the list, the other the archive: a redirect joins them, as publishers do.
        listed.elsewhere["/model.zip"] = served.url
        german = Model("german", "speech", "", "", "de", Published("model", 1))
        store = ModelStore(
            tmp_path / "models",
            Registry((german,), tmp_path),
            patience=Patience(attempts=2, sleep=lambda _: None),
            publisher=VoskPublisher(listed.url.rpartition("/")[0] + "/"),
        )
        folder = store.pull("german", nothing)
        assert store.list()[0].state is State.VERIFIED
        assert json.loads((folder / RECEIPT).read_text())["md5"] == md5
        shutil.rmtree(folder)
        entry["md5"] = "0" * 32
        listed.content = json.dumps([entry]).encode()
        with pytest.raises(DownloadFailed, match="its MD5 is"):
            store.pull("german", nothing)
        listed.content = b"[]"
        with pytest.raises(ModelMissing, match="does not list model any more"):
            store.pull("german", nothing)
        listed.content = b"<html>"
        with pytest.raises(ModelMissing, match="could not be read"):
            store.pull("german", nothing)
    assert not folder.exists()


def test_a_speaker_model_is_checked_as_one(tmp_path: Path) -> None:
    for files, right in ((SPEAKER_FILES, True), (SPEAKER_FILES[1:], False)):
        with serving(zipped(dict.fromkeys(files, b"x"))) as it:
            md5 = hashlib.md5(it.content, usedforsecurity=False).hexdigest()
            source = Archive(Source(it.url, len(it.content), "", md5=md5), 1000)
            registry = Registry((Model("speakers", "speaker", "", "", "", source),), tmp_path)
            store = ModelStore(tmp_path / str(right), registry)
            if right:
                assert store.pull("speakers", nothing).is_dir()
            else:
                with pytest.raises(ModelInvalid, match="not a complete Vosk model"):
                    store.pull("speakers", nothing)
