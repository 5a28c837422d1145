"""`python -m deploy.cloudrun.bake MODEL FOLDER`: put one speech model of the registry into an image.

It goes below FOLDER, where `current` leads to it. What is fetched is held to the registry's size and SHA-256, as by
`launch.py models pull`; a built-in model is copied. What each start would convert is converted once, afterwards.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

from engines.errors import ModelInvalid, StudioError
from engines.speech.ngram import NotConvertible, convert_in_place
from engines.weights.registry import read_registry
from engines.weights.store import ModelStore

ROOT = Path(__file__).resolve().parents[2]


def bake(name: str, folder: Path) -> Path:
    """The model's own folder. Raises StudioError."""
    store = ModelStore(folder, read_registry(ROOT / "models" / "registry.toml"))
    model = store.registry.find(name)
    if model.kind != "speech":
        raise ModelInvalid(f"{name} is no speech model: python3 launch.py models list shows which there are.")
    baked = store.pull(name, lambda _: None)
    if model.source is None:
        baked = Path(shutil.copytree(baked, folder / name))
    # As it is where it cannot be: a start says so, and the service works.
    with contextlib.suppress(NotConvertible):
        convert_in_place(baked)
    (folder / "current").symlink_to(name)
    return baked


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m deploy.cloudrun.bake MODEL FOLDER")
    try:
        sys.stdout.write(f"{sys.argv[1]} is in {bake(sys.argv[1], Path(sys.argv[2]))}\n")
    except StudioError as problem:
        sys.exit(str(problem))
