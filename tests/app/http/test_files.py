"""The files of pictures as a page wants them: other formats, sizes, squares, enlarged, with a headline."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from app.work.found import settings_in
from engines.picture_parts import read_texts
from tests.app.conftest import Served, serve
from tests.serving import create_api

SUFFIXES = {"png": "png", "jpeg": "jpg", "webp": "webp"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    yield from serve(tmp_path_factory.mktemp("data"), create_api)


@pytest.fixture(scope="module")
def path(served: Served) -> str:
    """Of a picture of 96 x 48 pixels, red with a disc."""
    body = {"prompt": "a red fox, “näher”", "width": 384, "height": 192, "seed": 5}
    job = served.http.post("/generate", json=body).json()["job_id"]
    return f"/files/{served.job(job).files[0].id}"


def picture(served: Served, path: str, **query: Any) -> Image.Image:
    answer = served.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    image = Image.open(BytesIO(answer.content))
    assert image.format is not None
    assert answer.headers["content-type"] == f"image/{image.format.lower()}"
    return image


@pytest.mark.parametrize("kind", SUFFIXES)
def test_each_format_tells_how_the_picture_was_made(served: Served, path: str, kind: str) -> None:
    answer = served.http.get(path, params={"format": kind, "disposition": "attachment"})
    texts = read_texts(BytesIO(answer.content))
    recipe = json.loads(texts["recipe" if kind == "png" else "UserComment"])
    assert (recipe["prompt"], recipe["seed"]) == ("a red fox, “näher”", 5)
    assert answer.headers["content-disposition"] == f'attachment; filename="1-5.{SUFFIXES[kind]}"'
    found = settings_in(texts, served.studio.presets, served.studio.image.info)
    assert found is not None
    assert found.values["seed"] == 5


def test_a_png_is_the_stored_file(served: Served, path: str) -> None:
    assert served.http.get(path, params={"format": "png"}).content == served.http.get(path).content


@pytest.mark.parametrize("wish", [{"recipe": "false"}, {"w": 40}, {"square": 32}])
@pytest.mark.parametrize("kind", SUFFIXES)
def test_what_is_made_to_be_shown_tells_nothing(served: Served, path: str, kind: str, wish: dict[str, Any]) -> None:
    content = served.http.get(path, params={"format": kind, **wish}).content
    assert read_texts(BytesIO(content)) == {}
    assert b"fox" not in content


def test_a_square_is_the_middle_at_its_side(served: Served, path: str) -> None:
    square = picture(served, path, square=128)
    assert square.size == (128, 128)
    whole = picture(served, path)
    assert square.getpixel((64, 64)) == whole.getpixel((48, 24))


def test_enlarged_is_twice_the_size_and_says_so_in_its_name(served: Served, path: str) -> None:
    answer = served.http.get(path, params={"enlarge": 2, "disposition": "attachment"})
    with Image.open(BytesIO(answer.content)) as image:
        assert image.size == (192, 96)
    assert 'filename="1-5-enlarged-lanczos.png"' in answer.headers["content-disposition"]
    assert "recipe" in read_texts(BytesIO(answer.content))


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_a_headline_is_laid_over_the_foot(served: Served, path: str, kind: str) -> None:
    plain = picture(served, path).convert("RGB")
    laid = picture(served, f"{path}/headline", text="A fox", format=kind).convert("RGB")
    assert laid.size == plain.size
    foot = (0, 24, 96, 48)
    assert laid.crop(foot).getextrema() != plain.crop(foot).getextrema()


def test_a_headline_is_kept_apart_from_another(served: Served, path: str) -> None:
    one, other = (served.http.get(f"{path}/headline", params={"text": text}) for text in ("A fox", "A hen"))
    assert one.headers["etag"] != other.headers["etag"]
    assert one.content != other.content
    known = {"If-None-Match": one.headers["etag"]}
    assert served.http.get(f"{path}/headline", params={"text": "A fox"}, headers=known).status_code == 304


@pytest.mark.parametrize(
    ("end", "query", "field"),
    [
        ("/headline", {}, "text"),
        ("/headline", {"text": " "}, "text"),
        ("/headline", {"text": "日本"}, "text"),
        ("/headline", {"text": "A fox", "format": "gif"}, "format"),
        ("", {"square": 8}, "square"),
        ("", {"square": 64, "w": 64}, "square"),
        ("", {"enlarge": 9}, "enlarge"),
    ],
)
def test_what_cannot_be_made_is_refused_by_its_field(
    served: Served, path: str, end: str, query: dict[str, Any], field: str
) -> None:
    answer = served.http.get(f"{path}{end}", params=query)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


def test_nobody_elses_picture_gets_a_headline(served: Served) -> None:
    assert served.http.get("/files/nobody-0/headline", params={"text": "A fox"}).status_code == 404


def test_a_picture_that_is_gone_meanwhile_is_not_found(served: Served) -> None:
    job = served.job(served.http.post("/generate", json={"prompt": "a blue fox", "seed": 6}).json()["job_id"])
    served.studio.files.delete([job.files[0].sha256])
    answer = served.http.get(f"/files/{job.files[0].id}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "file_not_found")
