"""Another background than was drawn, by HTTP: of files, and as OpenAI's clients ask for it. With the real model."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from tests.app.conftest import Served, serve
from tests.portrait import BEHIND, FACE, PHOTO, PhotoEngine
from tests.serving import create_api

TOKEN, OTHER = "a-token-of-enough-characters", "another-token-long-enough-too"
OPENAI = "/v1/images/generations"
DISC = {"prompt": "a red disc", "seed": 3}
"""Of this seed the model is certain: a few colours of discs it takes for a person."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, portrait_models: Path) -> Iterator[Served]:
    options: dict[str, Any] = {"models_dir": portrait_models, "api_tokens": [f"me={TOKEN}", f"other={OTHER}"]}
    for one in serve(tmp_path_factory.mktemp("data"), create_api, PhotoEngine(), **options):
        one.http.headers["Authorization"] = f"Bearer {TOKEN}"
        yield one


def made(served: Served, prompt: str) -> str:
    """The address of a new picture of 512 x 512 pixels."""
    body = {"prompt": prompt, "width": 2048, "height": 2048, "seed": 5}
    return f"/files/{served.http.post('/generate', json=body).json()['job_id']}-0"


@pytest.fixture(scope="module")
def path(served: Served) -> str:
    return made(served, "astronaut")


def picture(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


def at(image: Image.Image, place: tuple[float, float]) -> Any:
    return image.getpixel((round(place[0] * image.width), round(place[1] * image.height)))


@pytest.mark.parametrize("query", [{}, {"format": "png"}, {"format": "webp"}, {"format": "avif"}, {"square": 96}])
def test_only_the_person_is_left(served: Served, path: str, query: dict[str, Any]) -> None:
    image = picture(served.http.get(path, params={"background": "transparent", **query}).content)
    assert image.mode == "RGBA"
    assert image.format == query.get("format", "png").upper()
    assert at(image, BEHIND)[3] == 0
    assert at(image, FACE)[3] == 255
    with Image.open(PHOTO) as photo:
        there = at(photo.convert("RGB"), FACE)
    assert max(abs(one - other) for one, other in zip(at(image, FACE), there, strict=False)) < 16
    # She takes up a good part of it, and her edge is soft.
    alpha = image.getchannel("A").histogram()
    assert 0.3 < sum(alpha[128:]) / sum(alpha) < 0.8
    assert 0.002 < sum(alpha[8:248]) / sum(alpha) < 0.1


@pytest.mark.parametrize("colour", ["#12a4F6", "12A4f6"])
def test_a_colour_is_laid_behind_exactly(served: Served, path: str, colour: str) -> None:
    answer = served.http.get(path, params={"background": colour, "disposition": "attachment"})
    image = picture(answer.content)
    assert (image.mode, image.format) == ("RGB", "PNG")
    assert at(image, BEHIND) == (0x12, 0xA4, 0xF6)
    assert 'filename="1-5-12a4f6.png"' in answer.headers["content-disposition"]
    jpeg = picture(served.http.get(path, params={"background": colour, "format": "jpeg"}).content)
    assert max(abs(one - other) for one, other in zip(at(jpeg, BEHIND), (0x12, 0xA4, 0xF6), strict=True)) < 4


def test_without_a_wish_and_with_keep_it_is_the_stored_file(served: Served, path: str) -> None:
    whole = served.http.get(path)
    kept = served.http.get(path, params={"background": "keep"})
    assert (kept.content, kept.headers["etag"]) == (whole.content, whole.headers["etag"])


def test_backgrounds_are_kept_apart_by_caches(served: Served, path: str) -> None:
    answers = [served.http.get(path, params={"background": one}) for one in ("keep", "transparent", "#000000")]
    assert len({answer.headers["etag"] for answer in answers}) == 3
    known = {"If-None-Match": answers[1].headers["etag"]}
    assert served.http.get(path, params={"background": "transparent"}, headers=known).status_code == 304


@pytest.mark.parametrize("value", ["", "none", "#12", "#gggggg", "#1234567", "red", "transparent;"])
def test_what_is_no_background_is_refused_in_words(served: Served, path: str, value: str) -> None:
    answer = served.http.get(path, params={"background": value})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["field"] == "background"
    assert error["message"].startswith("background is ")
    assert value in error["message"]
    assert "keep, transparent, or a colour as %23rrggbb" in error["message"]


def test_jpeg_cannot_be_transparent_and_says_what_can(served: Served, path: str) -> None:
    answer = served.http.get(path, params={"background": "transparent", "format": "jpeg"})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "background"
    assert "webp" in answer.json()["error"]["message"]


def test_a_picture_without_people_keeps_its_background(served: Served) -> None:
    answer = served.http.get(made(served, "a red disc"), params={"background": "transparent"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "nobody_found")


def test_nobody_elses_picture_is_cut_out(served: Served, path: str) -> None:
    assert served.http.get(path, params={"background": "transparent"}).status_code == 200
    headers = {"Authorization": f"Bearer {OTHER}"}
    assert served.http.get(path, params={"background": "transparent"}, headers=headers).status_code == 404


# As OpenAI's clients ask for it ---------------------------------------------------------------------------------------


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=TOKEN, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_an_openai_client_gets_a_transparent_picture(client: openai.OpenAI, kind: Any) -> None:
    answer = client.images.generate(prompt="astronaut", size="1024x1024", background="transparent", output_format=kind)
    assert answer.background == "transparent"
    assert answer.data is not None
    image = picture(base64.b64decode(answer.data[0].b64_json or ""))
    assert (at(image, BEHIND)[3], at(image, FACE)[3]) == (0, 255)


@pytest.mark.parametrize("background", ["opaque", "auto"])
def test_without_the_wish_it_is_opaque_and_says_so(client: openai.OpenAI, background: Any) -> None:
    answer = client.images.generate(prompt="astronaut", background=background)
    assert (answer.background, answer.warnings) == ("opaque", [])  # type: ignore[attr-defined]


def test_its_address_leads_to_the_same(served: Served) -> None:
    body = {"prompt": "astronaut", "background": "transparent", "response_format": "url", "output_format": "webp"}
    url = served.http.post(OPENAI, json=body).json()["data"][0]["url"]
    assert at(picture(httpx.get(url).content), BEHIND)[3] == 0


def test_its_events_tell_which_it_is(client: openai.OpenAI) -> None:
    events = list(client.images.generate(prompt="astronaut", background="transparent", stream=True, partial_images=1))
    assert [event.background for event in events] == ["opaque", "transparent"]
    assert at(picture(base64.b64decode(events[1].b64_json)), BEHIND)[3] == 0


def test_a_picture_without_people_is_delivered_as_it_is_and_says_so(served: Served) -> None:
    answer = served.http.post(OPENAI, json={**DISC, "background": "transparent"}).json()
    assert answer["background"] == "opaque"
    assert [warning["field"] for warning in answer["warnings"]] == ["background"]
    assert picture(base64.b64decode(answer["data"][0]["b64_json"])).mode == "RGB"
    body = {**DISC, "background": "transparent", "stream": True}
    [told] = [line for line in served.http.post(OPENAI, json=body).text.splitlines() if line.startswith("data: {")]
    event = json.loads(told.removeprefix("data: "))
    assert (event["background"], [warning["field"] for warning in event["warnings"]]) == ("opaque", ["background"])


def test_a_transparent_jpeg_is_refused_before_it_is_drawn(served: Served) -> None:
    before = len(served.recent("image", "me"))
    answer = served.http.post(OPENAI, json={"prompt": "x", "background": "transparent", "output_format": "jpeg"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "background")
    assert len(served.recent("image", "me")) == before


# Where the model is not here, or is not the model ---------------------------------------------------------------------


def test_without_the_model_it_says_how_to_get_it(tmp_path: Path) -> None:
    for bare in serve(tmp_path, create_api, models_dir=tmp_path / "models"):
        path = made(bare, "astronaut")
        for answer in (
            bare.http.get(path, params={"background": "transparent"}),
            bare.http.post(OPENAI, json={"prompt": "x", "background": "transparent"}),
        ):
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["field"]) == (422, "model_missing", "background")
            assert "launch.py models pull portrait" in error["message"]
            assert "MB" in error["message"]
        # Nothing was drawn that could not have been delivered.
        assert len(bare.recent("image")) == 1
        assert bare.http.get(path, params={"background": "keep"}).status_code == 200


def test_a_file_that_is_not_the_model_is_told_without_its_place(tmp_path: Path, portrait_models: Path) -> None:
    source = portrait_models / "portrait"
    folder = tmp_path / "models" / "portrait"
    folder.mkdir(parents=True)
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    model = folder / "selfie_segmentation.tflite"
    model.write_bytes(bytes(model.stat().st_size))
    for bare in serve(tmp_path / "data", create_api, models_dir=tmp_path / "models"):
        answer = bare.http.get(made(bare, "astronaut"), params={"background": "transparent"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "model_invalid")
        assert str(tmp_path) not in answer.text
