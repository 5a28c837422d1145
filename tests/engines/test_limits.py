"""What a model cannot do is refused before anything is loaded."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from engines.errors import InvalidMedia, InvalidRequest
from engines.limits import check_image
from engines.requests import ImageRequest
from engines.sdxl.engine import SdxlEngine
from tests.engines.sdxl.picture_files import huge_png

ENGINE = SdxlEngine("a/b", "cpu")
CAT = ImageRequest(prompt="a cat", seed=1)


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


def test_too_many_pixels() -> None:
    request = CAT.model_copy(update={"width": 2048, "height": 2048})
    says = r"2048 x 2048 is 4,194,304 pixels: a/b on cpu makes at most 1,572,864; choose a smaller"
    with pytest.raises(InvalidRequest, match=says) as caught:
        check_image(request, ENGINE.info)
    assert caught.value.field == "width"
    check_image(request, replace(ENGINE.info, max_pixels=2048 * 2048))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("magic", "sampler is 'magic'. Choose one of dpmpp_2m_karras, "),
        ("euler_b", "sampler is 'euler_b'. Did you mean 'euler_a'? Choose one of"),
        ("", "sampler is ''. Choose"),
    ],
)
def test_a_sampler_that_the_model_has_not(name: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_image(CAT.model_copy(update={"sampler": name}), ENGINE.info)
    assert caught.value.field == "sampler"
    assert says in str(caught.value)


@pytest.mark.parametrize("sampler", [None, *ENGINE.info.samplers])
def test_a_sampler_that_it_has(sampler: str | None) -> None:
    check_image(CAT.model_copy(update={"sampler": sampler}), ENGINE.info)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"not a picture", "is not a PNG, JPEG or WebP picture"),
        (picture("GIF"), "is not a PNG, JPEG or WebP picture"),
        (huge_png(60_000, 60_000), "at most 64 megapixels"),
        (huge_png(9_000, 8_000), "9000 x 8000 pixels: upload one of at most 64 megapixels"),
    ],
)
def test_an_unusable_photo(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "photo").write_bytes(data)
    with pytest.raises(InvalidMedia, match=says):
        ENGINE.check(CAT, tmp_path / "photo")


def test_all_of_a_usable_request_is_used(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(picture("PNG"))
    assert ENGINE.check(CAT, tmp_path / "photo") == ENGINE.check(CAT, None) == ()


def test_no_stage_is_promised_that_cannot_run() -> None:
    assert ENGINE.info.stages == frozenset()
