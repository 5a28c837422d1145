"""Which models there are, which of them are on disk, and how to get and remove the others.

`registry.toml` says what is known; a folder `<models_dir>/<name>` holds each model that was pulled. A folder has its
name only when it is whole: everything before happens beside it, under names that start with a dot.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx

from engines.errors import DownloadFailed, ModelInvalid, ModelMissing
from engines.speech.model import check_model_folder
from engines.types import ProgressCallback
from engines.weights.download import Patience, Source, default_client, download, part_file
from engines.weights.unpack import unpack_zip

RECEIPT = ".installed.json"
"""In a pulled model's folder: what was fetched, and the size of every file that came out of it."""

DESCRIPTION = "studio.json"

_WORKING = ".unpacking-"
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
class Model:
    """One entry of the registry. `source` is None for a built-in model."""

    name: str
    kind: str
    """image or speech."""
    label: str
    licence: str
    language: str
    """BCP 47, or empty."""
    source: Source | None
    unpacked_bytes: int
    """The most that the unpacked files may take."""


@dataclass(frozen=True, slots=True)
class Registry:
    """All known models, and the folder with the built-in ones."""

    models: tuple[Model, ...]
    built_in_folder: Path

    def find(self, name: str) -> Model:
        """Raises ModelMissing, naming what there is."""
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(model.name for model in self.models if model.source)
        raise ModelMissing(f"There is no model {name!r} to fetch. There is: {known}.")


@dataclass(frozen=True, slots=True)
class Installed:
    """A model as it is on this machine. `bytes`: what its folder takes, 0 if it is not here."""

    name: str
    label: str
    state: State
    bytes: int
    path: Path


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something in the models folder that no model needs."""

    path: Path
    bytes: int
    what: str


def read_registry(path: Path) -> Registry:
    """Read registry.toml. Raises ModelInvalid naming the file, the entry and the field."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("model", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ModelInvalid(f"{path} cannot be read: {error}. Restore it from the project's files.") from error
    return Registry(tuple(_model(table, path) for table in tables), path.parent)


def _model(table: dict[str, Any], path: Path) -> Model:
    try:
        source = None
        if not table.get("built_in", False):
            source = Source(str(table["url"]), int(table["bytes"]), str(table["sha256"]).lower())
        return Model(
            name=str(table["name"]),
            kind=str(table["kind"]),
            label=str(table["label"]),
            licence=str(table["licence"]),
            language=str(table.get("language", "")),
            source=source,
            unpacked_bytes=int(table["unpacked_bytes"]) if source else 0,
        )
    except (KeyError, ValueError) as error:
        name = table.get("name", "without a name")
        raise ModelInvalid(f"{path}: the model {name} has no usable value for {error}: correct the entry.") from error


def free_bytes(folder: Path) -> int:
    """Free space where `folder` is."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The models of one machine. `make_client`, `patience` and `free` are there for tests to replace."""

    models_dir: Path
    registry: Registry
    make_client: Callable[[], httpx.Client] = default_client
    patience: Patience = field(default_factory=Patience)
    free: Callable[[Path], int] = free_bytes

    def list(self) -> tuple[Installed, ...]:
        """Every model of the registry, here or not, and then the folders that were put here by hand."""
        known = tuple(self._installed(model) for model in self.registry.models)
        names = {model.name for model in self.registry.models}
        others = (folder for folder in self._folders() if folder.name not in names)
        return known + tuple(
            Installed(folder.name, "not one of Carrot Studio's models", State.BY_HAND, size_of(folder), folder)
            for folder in others
        )

    def pull(self, name: str, on_progress: ProgressCallback, on_wait: Callable[[], None] = lambda: None) -> Path:
        """Fetch, check and unpack a model unless it is here; return its folder.

        `on_wait` is called once if another process is pulling the same model: this one waits, and then finds it.
        Raises ModelMissing (no such model), DownloadFailed, ModelInvalid.
        """
        model = self.registry.find(name)
        if model.source is None:
            return self.registry.built_in_folder / name
        try:
            self.models_dir.mkdir(parents=True, exist_ok=True)
            with self._locked(name, on_wait):
                return self._pull(model, model.source, on_progress)
        except OSError as error:
            raise DownloadFailed(
                f"{name} could not be written to {self.models_dir}: {error}. Check the folder's rights and its disk."
            ) from error

    def leftovers(self, *, also_by_hand: bool = False) -> tuple[Leftover, ...]:
        """Interrupted downloads and unpackings, pulled models that the registry has dropped, and,
        if `also_by_hand`, every other folder that is no model of the registry. Leaves what is being pulled now."""
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
        return Installed(model.name, model.label, state, size_of(folder), folder)

    def _pull(self, model: Model, source: Source, on_progress: ProgressCallback) -> Path:
        folder = self.models_dir / model.name
        state = _state_of(folder, source)
        if state is State.VERIFIED:
            return folder
        if state is State.BY_HAND:
            raise ModelInvalid(
                f"{folder} is there, but was not made by pull. Move it away or delete it, then try again."
            )
        archive = self.models_dir / f".{model.name}.zip"
        self._check_space(model, source, archive)
        with self.make_client() as client:
            download(source, archive, client, on_progress, self.patience)
        try:
            self._unpack(model, source, archive, folder, on_progress)
        except ModelInvalid:
            archive.unlink()
            raise
        archive.unlink()
        return folder

    def _check_space(self, model: Model, source: Source, archive: Path) -> None:
        have = size_of(part_file(archive))
        needed, free = source.size - have + model.unpacked_bytes, self.free(self.models_dir)
        if free < needed:
            raise DownloadFailed(
                f"{model.name} needs {needed / 1e6:.0f} MB in {self.models_dir} while it is unpacked, and "
                f"{free / 1e6:.0f} MB are free. Free {(needed - free) / 1e6:.0f} MB, or choose another models folder."
            )

    def _unpack(self, model: Model, source: Source, archive: Path, folder: Path, on_progress: ProgressCallback) -> None:
        with tempfile.TemporaryDirectory(prefix=f"{_WORKING}{model.name}-", dir=self.models_dir) as outer:
            # One folder further in: TemporaryDirectory is for its owner only, a model may be for others too.
            working = Path(outer, model.name)
            working.mkdir()
            unpack_zip(archive, working, model.unpacked_bytes, on_progress)
            if model.kind == "speech":
                _check_speech_model(working, source)
            _describe(model, source, working)
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
        if path.name.startswith(".") and path.name.endswith((".zip", ".zip.part", ".zip.part.from")):
            return "interrupted download"
        if path.name.startswith(".") or not path.is_dir() or path.name in {m.name for m in self.registry.models}:
            return ""
        if (path / RECEIPT).is_file():
            return "no longer one of Carrot Studio's models"
        return "put here by hand" if also_by_hand else ""

    def _in_use(self, path: Path) -> bool:
        """Whether `path` belongs to a model that some process is pulling now."""
        for model in self.registry.models:
            if path.name.startswith((f".{model.name}.zip", f"{_WORKING}{model.name}-")):
                with self._lock_file(model.name).open("a") as file:
                    return not _try_lock(file.fileno())
        return False

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


def _check_speech_model(folder: Path, source: Source) -> None:
    try:
        check_model_folder(folder)
    except ModelInvalid as error:  # its own text names the temporary folder
        raise ModelInvalid(f"What {source.url} sends is not a complete Vosk model. Nothing was installed.") from error


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


def _state_of(folder: Path, source: Source) -> State:
    if not folder.is_dir():
        return State.MISSING
    try:
        receipt = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
        same_source, files = receipt["sha256"] == source.sha256, dict(receipt["files"])
    except FileNotFoundError:
        return State.BY_HAND
    except (ValueError, KeyError, TypeError):
        return State.DAMAGED
    whole = all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in files.items())
    return State.VERIFIED if same_source and whole else State.DAMAGED


def _describe(model: Model, source: Source, folder: Path) -> None:
    """Write the description that the speech engine reads, unless the model brings its own, and the receipt."""
    if not (folder / DESCRIPTION).exists():
        about = {"name": model.name, "label": model.label, "demo": False, "language": model.language}
        _write_json(folder / DESCRIPTION, about)
    files = {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
    receipt = {"name": model.name, "url": source.url, "sha256": source.sha256, "files": files}
    _write_json(folder / RECEIPT, receipt)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
