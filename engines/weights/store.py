"""Which models of the registry are on this machine, and how to get, verify and remove them.

A folder `<models_dir>/<name>` holds each model that was pulled. A folder has its name only when it is whole: everything
before happens beside it, under names that start with a dot.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx

from engines.errors import DownloadFailed, ModelInvalid
from engines.events import OnProgress, Progress
from engines.speech.model import check_model_folder, check_speaker_folder
from engines.weights.download import Patience, Source, default_client, download, fetch, part_file, verify
from engines.weights.hub import Hub, HubFolder, Listing
from engines.weights.published import UNPACKED_FACTOR, Published, VoskPublisher
from engines.weights.registry import Archive, Model, Registry
from engines.weights.unpack import unpack_package, unpack_zip

RECEIPT = ".installed.json"
"""In a pulled model's folder: what was fetched, and the size of every file that came out of it."""

DESCRIPTION = "studio.json"

_ARCHIVES = (".zip", ".tgz")
_WORKING = ".unpacking-"
_FETCHING = ".fetching-"
"""Of a hub model: one folder for each commit, so that files of two commits never mix."""
_REPLACED = ".replaced-"
_LOCK_POLL_SECONDS = 0.2


class State(StrEnum):
    """What can be said of a model on this machine."""

    BUILT_IN = "built in"
    VERIFIED = "verified"
    """Pulled, its checksum was right, and every file still has its size."""
    DAMAGED = "damaged"
    """Pulled, but files are missing or have another size, or the registry names other bytes now."""
    BY_HAND = "not verified"
    """A folder that `pull` did not make."""
    MISSING = "not here"


@dataclass(frozen=True, slots=True)
class Installed:
    """A model as it is on this machine. `bytes`: what its folder takes, 0 if it is not here."""

    name: str
    label: str
    state: State
    bytes: int
    path: Path
    language: str = ""
    """BCP 47, or empty."""
    licence: str = ""
    download_bytes: int = 0
    """About what has to be fetched; 0: nothing, or unknown."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something in the models folder that no model needs."""

    path: Path
    bytes: int
    what: str


def free_bytes(folder: Path) -> int:
    """Free space where `folder` is."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The models of one machine. `make_client`, `patience`, `free`, `hub` and `publisher` are there for tests
    to replace."""

    models_dir: Path
    registry: Registry
    make_client: Callable[[], httpx.Client] = default_client
    patience: Patience = field(default_factory=Patience)
    free: Callable[[Path], int] = free_bytes
    hub: Hub = field(default_factory=Hub)
    publisher: VoskPublisher = field(default_factory=VoskPublisher)

    def list(self) -> tuple[Installed, ...]:
        """Every model of the registry, here or not; those fetched by their hub id; what was put here by hand."""
        names = {model.name for model in self.registry.models}
        others = [folder for folder in self._folders() if folder.name not in names]
        by_id = [self.registry.find(hub_id) for folder in others if (hub_id := _fetched_by_id(folder))]
        unknown = (folder for folder in others if not _fetched_by_id(folder))
        return (
            *(self._installed(model) for model in (*self.registry.models, *by_id)),
            *(
                Installed(folder.name, "not one of Carrot Studio's models", State.BY_HAND, size_of(folder), folder)
                for folder in unknown
            ),
        )

    def here(self, name: str) -> Path | None:
        """The folder of a model (a name or a hub id) if it is here and whole; asks nobody. Raises ModelMissing."""
        model = self._installed(self.registry.find(name))
        return model.path if model.state in (State.BUILT_IN, State.VERIFIED) else None

    def pull(self, name: str, on_progress: OnProgress, on_wait: Callable[[], None] = lambda: None) -> Path:
        """Fetch, check and unpack a model (a name or a hub id) unless it is here; return its folder.

        `on_wait` is called once if another process is pulling the same model: this one waits, and then finds it.
        Raises ModelMissing (no such model, no answer from the hub), DownloadFailed, ModelInvalid.
        """
        model = self.registry.find(name)
        if model.source is None:
            return self.registry.built_in_folder / name
        try:
            self.models_dir.mkdir(parents=True, exist_ok=True)
            with self._locked(model.name, on_wait):
                return self._pull(model, model.source, on_progress)
        except OSError as error:
            raise DownloadFailed(
                f"{name} could not be written to {self.models_dir}: {error}. Check the folder's rights and its disk."
            ) from error

    def leftovers(self, *, also_by_hand: bool = False) -> tuple[Leftover, ...]:
        """Interrupted downloads and unpackings, pulled models that the registry has dropped, and,
        if `also_by_hand`, every other folder that is no model of the registry, those fetched by a hub id too.
        Leaves what is being pulled now."""
        found = []
        for path in sorted(self.models_dir.iterdir()) if self.models_dir.is_dir() else ():
            what = self._why_not_needed(path, also_by_hand)
            if what and not self._in_use(path):
                found.append(Leftover(path, size_of(path), what))
        return tuple(found)

    def remove(self, leftover: Leftover) -> None:
        """Delete one of `leftovers()`. Raises OSError."""
        if leftover.path.is_dir() and not leftover.path.is_symlink():
            shutil.rmtree(leftover.path)
        else:
            leftover.path.unlink(missing_ok=True)

    def _installed(self, model: Model) -> Installed:
        if model.source is None:
            folder = self.registry.built_in_folder / model.name
            state = State.BUILT_IN if size_of(folder) else State.MISSING
        else:
            folder = self.models_dir / model.name
            state = _state_of(folder, model.source)
        size = size_of(folder)
        return Installed(
            model.name, model.label, state, size, folder, model.language, model.licence, model.download_bytes
        )

    def _pull(self, model: Model, source: Archive | HubFolder | Published, on_progress: OnProgress) -> Path:
        folder = self.models_dir / model.name
        state = _state_of(folder, source)
        if state is State.VERIFIED:
            return folder
        if state is State.BY_HAND:
            raise ModelInvalid(
                f"{folder} is there, but was not made by pull. Move it away or delete it, then try again."
            )
        if isinstance(source, HubFolder):
            self._pull_from_hub(model, source, folder, on_progress)
        else:
            if isinstance(source, Published):
                with self.make_client() as client:
                    file = self.publisher.find(source, client)
                source = Archive(file, UNPACKED_FACTOR * file.size)
            self._pull_archive(model, source, folder, on_progress)
        return folder

    def _pull_archive(self, model: Model, source: Archive, folder: Path, on_progress: OnProgress) -> None:
        archive = self.models_dir / f".{model.name}{source.suffix}"
        self._check_space(
            model, source.file.size - size_of(part_file(archive)) + source.unpacked_bytes, " while it is unpacked"
        )
        with self.make_client() as client:
            download(source.file, archive, client, on_progress, self.patience)
        try:
            self._unpack(model, source, archive, folder, on_progress)
        except ModelInvalid:
            archive.unlink()
            raise
        archive.unlink()

    def _pull_from_hub(self, model: Model, folder_on_hub: HubFolder, folder: Path, on_progress: OnProgress) -> None:
        """All files arrive before any is verified, so that each stage's progress runs once from 0 to 1."""
        listing = self.hub.list(folder_on_hub)
        outer = self.models_dir / f"{_FETCHING}{model.name}"
        working = outer / listing.commit
        working.mkdir(parents=True, exist_ok=True)
        self._check_space(model, listing.size - size_of(working), "")
        with self.make_client() as client:
            client.headers.update(self.hub.headers())
            for source, path, told in _still_to_do(listing, working, on_progress):
                path.parent.mkdir(parents=True, exist_ok=True)
                fetch(source, path, client, told, self.patience)
        for source, path, told in _still_to_do(listing, working, on_progress):
            verify(source, path, told)
        if model.kind == "speech":
            _describe(model, working)
        _write_receipt(working, {"name": model.name, "hub": folder_on_hub.hub_id, "commit": listing.commit})
        if folder.exists():
            replaced = outer / _REPLACED
            shutil.rmtree(replaced, ignore_errors=True)
            folder.replace(replaced)
        working.replace(folder)
        shutil.rmtree(outer)

    def _check_space(self, model: Model, needed: int, when: str) -> None:
        free = self.free(self.models_dir)
        if free < needed:
            raise DownloadFailed(
                f"{model.name} needs {needed / 1e6:.0f} MB in {self.models_dir}{when}, and "
                f"{free / 1e6:.0f} MB are free. Free {(needed - free) / 1e6:.0f} MB, or choose another models folder."
            )

    def _unpack(self, model: Model, source: Archive, archive: Path, folder: Path, on_progress: OnProgress) -> None:
        with tempfile.TemporaryDirectory(prefix=f"{_WORKING}{model.name}-", dir=self.models_dir) as outer:
            # One folder further in: TemporaryDirectory is for its owner only, a model may be for others too.
            working = Path(outer, model.name)
            working.mkdir()
            if source.files:
                unpack_package(archive, working, source.files, source.unpacked_bytes, on_progress)
            else:
                unpack_zip(archive, working, source.unpacked_bytes, on_progress)
            if model.kind in ("speech", "speaker"):
                _check_vosk_model(working, source, model.kind)
            _describe(model, working)
            receipt = {"name": model.name, "url": source.file.url, **_checksum(source)}
            _write_receipt(working, receipt)
            if folder.exists():
                damaged = Path(outer, f"{_REPLACED}{model.name}")
                folder.replace(damaged)
            working.replace(folder)

    def _folders(self) -> Iterator[Path]:
        if self.models_dir.is_dir():
            yield from (p for p in sorted(self.models_dir.iterdir()) if p.is_dir() and not p.name.startswith("."))

    def _why_not_needed(self, path: Path, also_by_hand: bool) -> str:
        """In a few words why `path` can go; empty if it should stay."""
        if path.name.startswith(_WORKING):
            return "interrupted unpacking"
        endings = tuple(f"{suffix}{part}" for suffix in _ARCHIVES for part in ("", ".part", ".part.from"))
        archive = path.name.startswith(".") and path.name.endswith(endings)
        if archive or path.name.startswith(_FETCHING):
            return "interrupted download"
        if path.name.startswith(".") or not path.is_dir() or path.name in {m.name for m in self.registry.models}:
            return ""
        if _fetched_by_id(path):
            return "fetched by its hub id" if also_by_hand else ""
        if (path / RECEIPT).is_file():
            return "no longer one of Carrot Studio's models"
        return "put here by hand" if also_by_hand else ""

    def _in_use(self, path: Path) -> bool:
        """Whether `path` belongs to a model that some process is pulling now."""
        if path.name.startswith(_FETCHING):
            return self._being_pulled(path.name.removeprefix(_FETCHING))
        for model in self.registry.models:
            archives = (f".{model.name}{suffix}" for suffix in _ARCHIVES)
            if path.name.startswith((*archives, f"{_WORKING}{model.name}-")):
                return self._being_pulled(model.name)
        return False

    def _being_pulled(self, name: str) -> bool:
        with self._lock_file(name).open("a") as file:
            return not _try_lock(file.fileno())

    def _lock_file(self, name: str) -> Path:
        return self.models_dir / f".{name}.lock"

    @contextmanager
    def _locked(self, name: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the model's lock file. The system frees it when the process ends, however it ends."""
        with self._lock_file(name).open("a") as file:
            if not _try_lock(file.fileno()):
                on_wait()
                while not _try_lock(file.fileno()):
                    time.sleep(_LOCK_POLL_SECONDS)  # polled, so that Ctrl-C is heard
            yield


def _still_to_do(listing: Listing, working: Path, on_progress: OnProgress) -> Iterator[tuple[Source, Path, OnProgress]]:
    """The files that are not verified yet, where each goes, and how its progress is told as that of all files."""
    before = 0
    for name, source in listing.files.items():
        if not (working / name).exists():
            yield source, working / name, _as_part(on_progress, before, listing.size)
        before += source.size


def _as_part(on_progress: OnProgress, before: int, total: int) -> OnProgress:
    return lambda now: on_progress(Progress(now.stage, before + now.step, total, (before + now.step) / total))


def _checksum(source: Archive) -> dict[str, str]:
    return {"md5": source.file.md5} if source.file.md5 else {"sha256": source.file.sha256}


def _check_vosk_model(folder: Path, source: Archive, kind: str) -> None:
    try:
        (check_model_folder if kind == "speech" else check_speaker_folder)(folder)
    except ModelInvalid as error:  # its own text names the temporary folder
        raise ModelInvalid(
            f"What {source.file.url} sends is not a complete Vosk model. Nothing was installed."
        ) from error


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 if it is not there."""
    if path.is_dir():
        return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    return path.lstat().st_size if path.exists() else 0


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _state_of(folder: Path, source: Archive | HubFolder | Published) -> State:
    if not folder.is_dir():
        return State.MISSING
    try:
        receipt = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
        files = dict(receipt["files"])
        if isinstance(source, HubFolder):
            same = receipt["hub"] == source.hub_id and (not source.pinned or receipt["commit"] == source.revision)
        elif isinstance(source, Published):
            # Only its publisher could tell whether there are newer bytes under the same name; it never has changed any.
            same = str(receipt["url"]).endswith(f"/{source.name}.zip")
        else:
            same = _checksum(source).items() <= receipt.items()
    except FileNotFoundError:
        return State.BY_HAND
    except (ValueError, KeyError, TypeError):
        return State.DAMAGED
    whole = all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in files.items())
    return State.VERIFIED if same and whole else State.DAMAGED


def _fetched_by_id(folder: Path) -> str:
    """The hub id that a folder was fetched by, if it is named for it; else empty."""
    try:
        hub_id = str(json.loads((folder / RECEIPT).read_text(encoding="utf-8"))["hub"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return hub_id if hub_id.count("/") == 1 and folder.name == hub_id.replace("/", "--") else ""


def _describe(model: Model, folder: Path) -> None:
    """Write the description that the speech engine reads, unless the model brings its own."""
    if not (folder / DESCRIPTION).exists():
        about = {"name": model.name, "label": model.label, "demo": False, "language": model.language}
        _write_json(folder / DESCRIPTION, about)


def _write_receipt(folder: Path, receipt: dict[str, Any]) -> None:
    """Say what was fetched, and note every file that is there now."""
    files = {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
    _write_json(folder / RECEIPT, {**receipt, "files": files})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
