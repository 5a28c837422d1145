"""People parted from what is behind them, by the real model; and files that are not it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engines.errors import ModelInvalid, NobodyFound
from engines.portrait.cut_out import MODEL_FILE, CutOut
from engines.portrait.refine import cleaned, refined
from tests.portrait import BEHIND, FACE, PHOTO


@pytest.fixture(scope="module")
def cut_out(portrait_models: Path) -> CutOut:
    return CutOut(portrait_models / "portrait")


def at(values: Any, place: tuple[float, float]) -> Any:
    return values[round(place[1] * values.shape[0]), round(place[0] * values.shape[1])]


def test_the_model_tells_her_from_the_flag_behind(cut_out: CutOut) -> None:
    with Image.open(PHOTO) as photo:
        mask = cut_out.mask(photo)
    assert mask.shape == (256, 256)
    assert at(mask, FACE) > 0.95
    assert at(mask, BEHIND) < 0.05


@pytest.mark.parametrize("size", [(64, 64), (300, 500), (1024, 640)])
def test_a_cut_out_has_the_pictures_size(cut_out: CutOut, size: tuple[int, int]) -> None:
    with Image.open(PHOTO) as photo:
        done = cut_out(photo.resize(size))
    assert (done.mode, done.size) == ("RGBA", size)
    alpha = np.asarray(done)[..., 3]
    assert (at(alpha, FACE), at(alpha, BEHIND)) == (255, 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_an_empty_picture_has_nobody(cut_out: CutOut, mode: str) -> None:
    with pytest.raises(NobodyFound):
        cut_out(Image.new(mode, (512, 512), 120 if mode != "RGB" else (120, 130, 140)))


@pytest.mark.parametrize("off", [-2, 2])
def test_edges_are_those_of_the_picture_and_not_of_the_mask(off: int) -> None:
    """A dark shape on a light ground, whose mask is off by four of the picture's pixels."""
    picture = np.full((512, 512, 3), 230, np.uint8)
    picture[:, 200:] = 25
    mask = np.zeros((256, 256), np.float32)
    mask[:, 100 + off :] = 1
    alpha = refined(Image.fromarray(picture), mask)
    assert alpha.shape == (512, 512)
    # It goes up where the picture has its edge, within one pixel, and what is farther off is certain.
    assert (alpha[:, 200] - alpha[:, 199] > 0.55).all()
    assert (np.abs(np.diff(alpha, axis=1)).argmax(axis=1) == 199).all()
    assert alpha[:, :180].max() < 0.01
    assert alpha[:, 220:].min() > 0.99


def test_the_old_background_is_gone_from_the_edge() -> None:
    """A red person before green, blended over 12 pixels: what is left of green at the edge would be a green rim."""
    alpha = np.tile(np.clip((np.arange(256) - 100) / 12, 0, 1).astype(np.float32), (256, 1))
    red, green = np.array([200, 25, 25], np.float32), np.array([25, 200, 25], np.float32)
    picture = alpha[..., None] * red + (1 - alpha[..., None]) * green
    picture = picture.round().astype(np.uint8)
    found = cleaned(Image.fromarray(picture), alpha).astype(float)
    edge = (alpha > 0.2) & (alpha < 0.8)
    assert np.abs(found[edge] - red).max() < 30
    assert np.abs(picture[edge] - red).max() > 120
    certain = (alpha == 0) | (alpha == 1)
    assert (found[certain] == picture[certain]).all()


@pytest.mark.parametrize(
    "content",
    [b"", b"TFL3", bytes(1000), struct.pack("<I", 2**31) + b"TFL3" + bytes(100)],
    ids=["empty", "short", "zeros", "a wild offset"],
)
def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MODEL_FILE).write_bytes(content)
    with pytest.raises(ModelInvalid, match="pull it again") as refused:
        CutOut(tmp_path).mask(Image.new("RGB", (64, 64)))
    assert str(tmp_path) not in str(refused.value)


def test_a_model_that_is_cut_off_is_refused_too(tmp_path: Path, portrait_models: Path) -> None:
    whole = (portrait_models / "portrait" / MODEL_FILE).read_bytes()
    for length in range(8, len(whole), 9_973):
        (tmp_path / MODEL_FILE).write_bytes(whole[:length])
        with pytest.raises(ModelInvalid):
            CutOut(tmp_path).mask(Image.new("RGB", (64, 64)))
