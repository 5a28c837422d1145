"""Small SDXL models, made once, and the engine that runs them. torch comes in only with the tests that need it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engines import events
from engines.requests import ImageRequest
from engines.results import ImageResult
from engines.sdxl.engine import SdxlEngine
from engines.sdxl.libraries import import_libraries

Pixels = NDArray[np.int16]
Generate = Callable[..., ImageResult]


def request(prompt: str = "a red cat", **fields: Any) -> ImageRequest:
    """A request that the small models answer in a tenth of a second."""
    small = {"width": 64, "height": 64, "num_inference_steps": 3, "seed": 1}
    return ImageRequest(prompt=prompt, **{**small, **fields})


def pixels(result: ImageResult, index: int = 0) -> Pixels:
    return np.asarray(result.images[index].image).astype(np.int16)


def difference(one: Pixels, other: Pixels) -> int:
    """The largest difference of any colour of any pixel, 0 to 255."""
    return int(np.abs(one - other).max())


def png(width: int = 96, height: int = 64, mode: str = "RGB") -> bytes:
    """A picture dark on the left and light on the right."""
    file = io.BytesIO()
    Image.linear_gradient("L").rotate(90).resize((width, height)).convert(mode).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """`png()` as a file."""
    path = tmp_path / "photo.png"
    path.write_bytes(png())
    return path


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import_libraries()
    from tests.tiny_sdxl import build_folder

    return build_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def sketch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As unlike SDXL as a fixed-size model may be: 8 latent channels, 16 pixels a latent, v-prediction, zero SNR."""
    import_libraries()
    from tests.tiny_sdxl import Shape, build_folder

    folder = build_folder(tmp_path_factory.mktemp("models") / "sketch", Shape(8, 5, v_prediction=True))
    description = {
        "name": "sketch",
        "demo": True,
        "label": "A sketch",
        "sizes": [[64, 64], [96, 64]],
        "num_inference_steps": 2,
        "guidance_scale": 3.0,
        "sampler": "euler",
        "samplers": ["euler", "dpmpp_2m_karras"],
    }
    (folder / "studio.json").write_text(json.dumps(description))
    return folder


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """So small a model only waits for a second one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def engine(model_folder: Path, one_thread: None) -> Iterator[SdxlEngine]:
    engine = SdxlEngine(model_folder, "cpu")
    engine.load()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def generate(engine: SdxlEngine) -> Generate:
    """Run `request(...)` on the small model."""

    def run(prompt: str = "a red cat", photo: Path | None = None, **fields: Any) -> ImageResult:
        return engine.generate(request(prompt, **fields), photo, ignore, Event())

    return run


def ignore(event: events.Event) -> None:
    """For tests that do not look at events."""
