"""Which models there are: `registry.toml`, read and checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import ModelInvalid, ModelMissing
from engines.weights.download import Source
from engines.weights.hub import PIPELINE_FILES, HubFolder


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip archive, pinned to exactly its bytes."""

    file: Source
    unpacked_bytes: int
    """The most that the unpacked files may take."""


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the registry. `source` is None for a built-in model."""

    name: str
    kind: str
    """image, vae or speech."""
    label: str
    licence: str
    language: str
    """BCP 47, or empty."""
    source: Archive | HubFolder | None
    needs: tuple[str, ...] = ()
    """Names of other models that may be needed with it."""


@dataclass(frozen=True, slots=True)
class Registry:
    """All known models, and the folder with the built-in ones."""

    models: tuple[Model, ...]
    built_in_folder: Path

    def find(self, name: str) -> Model:
        """The model of this name or hub id; a hub id (`owner/name`) that is not in the registry makes its own entry.

        Raises ModelMissing, naming what there is.
        """
        for model in self.models:
            if name == model.name or (isinstance(model.source, HubFolder) and name == model.source.hub_id):
                return model
        if name.count("/") == 1:
            # The hub allows no `--` in names, so no two ids share a folder.
            source = HubFolder(name, "main", PIPELINE_FILES, 0)
            return Model(name.replace("/", "--"), "image", name, f"see https://huggingface.co/{name}", "", source)
        known = ", ".join(model.name for model in self.models if model.source)
        raise ModelMissing(f"There is no model {name!r} to fetch. There is: {known}.")


def read_registry(path: Path) -> Registry:
    """Read registry.toml. Raises ModelInvalid naming the file, the entry and the field."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("model", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ModelInvalid(f"{path} cannot be read: {error}. Restore it from the project's files.") from error
    return Registry(tuple(_model(table, path) for table in tables), path.parent)


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
        )
    except (KeyError, ValueError) as error:
        name = table.get("name", "without a name")
        raise ModelInvalid(f"{path}: the model {name} has no usable value for {error}: correct the entry.") from error


def _source(table: dict[str, Any]) -> Archive | HubFolder | None:
    if table.get("built_in", False):
        return None
    if "hub" in table:
        files = tuple(table.get("files", PIPELINE_FILES))
        return HubFolder(str(table["hub"]), str(table["revision"]), files, int(table["about_bytes"]))
    file = Source(str(table["url"]), int(table["bytes"]), str(table["sha256"]).lower())
    return Archive(file, int(table["unpacked_bytes"]))
