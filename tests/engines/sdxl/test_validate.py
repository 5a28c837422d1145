"""Every unusable request is refused before anything is loaded, with the field, the value and the remedy."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engines.errors import InvalidMedia, InvalidRequest
from engines.sdxl.engine import SdxlEngine
from engines.sdxl.validate import check_request
from engines.types import ImageRequest
from tests.engines.sdxl.picture_files import huge_png

INFO = SdxlEngine("a/b", "cpu").info


def gif() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "GIF")
    return file.getvalue()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("prompt", "", "is empty"),
        ("prompt", " \n\t", "is empty"),
        ("prompt", None, "is None: send text"),
        ("prompt", ["a"], "is ['a']: send text"),
        ("prompt", "a\0b", "null character at position 1"),
        ("prompt", "a\ud800", "lone surrogate"),
        ("prompt", "x" * 10_000, "has 10000 characters: shorten it to 4000"),
        ("negative_prompt", 5, "is 5: send text"),
        ("negative_prompt", "\0", "null character at position 0"),
        ("negative_prompt", "x" * 4001, "has 4001 characters"),
        ("width", 60_000, "width is 60000: choose 64 to 2048 pixels"),
        ("height", 60_000, "height is 60000: choose 64 to 2048 pixels"),
        ("width", 0, "choose 64 to 2048"),
        ("width", -64, "choose 64 to 2048"),
        ("width", 513, "must be a multiple of 8; try 512 or 520"),
        ("height", 2047, "try 2040 or 2048"),
        ("width", "512", "'512': send a whole number"),
        ("width", 512.0, "512.0: send a whole number"),
        ("width", True, "True: send a whole number"),
        ("num_inference_steps", 0, "choose 1 to 150"),
        ("num_inference_steps", -1, "choose 1 to 150"),
        ("num_inference_steps", 151, "choose 1 to 150"),
        ("num_inference_steps", "30", "send a whole number"),
        ("num_inference_steps", 2.5, "send a whole number"),
        ("guidance_scale", 0.5, "choose 1 to 30"),
        ("guidance_scale", 31, "choose 1 to 30"),
        ("guidance_scale", float("nan"), "nan: send a number"),
        ("guidance_scale", float("inf"), "inf: send a number"),
        ("guidance_scale", "5", "send a number"),
        ("seed", -2, "choose -1 to 4294967295"),
        ("seed", 2**32, "choose -1 to 4294967295"),
        ("seed", 1.5, "send a whole number"),
        ("count", 0, "choose 1 to 8"),
        ("count", 9, "choose 1 to 8"),
        ("count", "two", "send a whole number"),
        ("sampler", "magic", "'magic' is unknown: choose one of dpmpp_2m_karras, "),
        ("sampler", 5, "5 is unknown"),
        ("sampler", ["euler"], "is unknown"),
        ("sampler", "x" * 10_000, "... is unknown"),
        ("init_image", "text", "is a str: give a file's Path"),
        ("init_image", b"", "is empty (0 bytes)"),
        ("init_image", b"not a picture", "is not a PNG, JPEG or WebP picture"),
        ("init_image", gif(), "is not a PNG, JPEG or WebP picture"),
        ("init_image", huge_png(60_000, 60_000), "at most 64 megapixels"),
        ("init_image", huge_png(10_000, 9_500), "at most 64 megapixels"),
        ("init_image", huge_png(9_000, 8_000), "9000 x 8000 pixels: upload one of at most 64 megapixels"),
    ],
)
def test_unusable_values(field: str, value: Any, says: str, tmp_path: Path) -> None:
    media = isinstance(value, bytes)
    if media:
        (tmp_path / "photo").write_bytes(value)
        value = tmp_path / "photo"
    with pytest.raises(InvalidRequest) as caught:
        check_request(ImageRequest(**{"prompt": "a cat", field: value}), INFO)
    assert caught.value.field == field
    assert says in str(caught.value)
    assert field in str(caught.value)
    assert len(str(caught.value)) < 300
    assert isinstance(caught.value, InvalidMedia) == media


@pytest.mark.parametrize(
    ("strength", "says"),
    [
        (0, "changes nothing"),
        (-0.1, "choose 0 to 1"),
        (1.5, "choose 0 to 1"),
        ("0.5", "send a number"),
        (float("nan"), "send a number"),
        (False, "send a number"),
    ],
)
def test_unusable_strength(strength: Any, says: str, photo: Path) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        check_request(ImageRequest("a cat", init_image=photo, strength=strength), INFO)
    assert caught.value.field == "strength"


def test_too_many_pixels() -> None:
    with pytest.raises(InvalidRequest, match=r"2048 x 2048 is 4,194,304 pixels: a/b on cpu makes at most 1,572,864"):
        check_request(ImageRequest("a cat", width=2048, height=2048), INFO)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": "🥕😀 (unbalanced"},
        {"prompt": "x" * 4000},
        {"seed": -1},
        {"seed": 2**32 - 1},
        {"width": 64, "height": 2048},
        {"guidance_scale": 1, "num_inference_steps": 150, "count": 8},
        {"init_image": None, "strength": 0},
    ],
)
def test_usable_requests(fields: dict[str, Any]) -> None:
    check_request(ImageRequest(**{"prompt": "a cat", **fields}), INFO)


def test_a_usable_photo(photo: Path) -> None:
    check_request(ImageRequest("a cat", init_image=photo, strength=1), INFO)
