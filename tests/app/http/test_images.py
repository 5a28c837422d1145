"""The plain HTTP routes for pictures, as existing clients, OpenAI's client and Next.js routes call them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from tests.app.conftest import Served
from tests.serving import until


def picture(encoded: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(encoded)))


@contextmanager
def held(served: Served) -> Iterator[None]:
    """While the block runs, no picture gets finished."""
    served.image.gate.clear()
    try:
        yield
    finally:
        served.image.gate.set()


@pytest.mark.parametrize("path", ["/generate", "/txt2img"])
@pytest.mark.parametrize(
    "body",
    [
        {"steps": 3, "cfg_scale": 5.5, "use_hires_fix": False, "model": "anything", "unknown": [1]},
        {"num_inference_steps": 3, "guidance_scale": 5.5, "hires_fix": False},
    ],
)
def test_existing_clients_get_a_picture_in_both_spellings(served: Served, path: str, body: dict[str, Any]) -> None:
    answer = served.http.post(path, json={"prompt": "a red fox", "seed": 7, "width": 512, "height": 256, **body})
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert got["success"] is True
    assert got["image"] == "data:image/png;base64," + got["image_base64"]
    image = picture(got["image_base64"])
    assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    assert got["final_resolution"] == f"{image.width}x{image.height}"
    assert (got["seed"], got["prompt"], got["model"]) == (7, "a red fox", "blob")
    assert (got["recipe"]["num_inference_steps"], got["recipe"]["guidance_scale"]) == (3, 5.5)
    assert got["generation_time_seconds"] >= 0


def test_a_seed_of_minus_one_is_drawn_and_told(served: Served) -> None:
    seeds = {served.http.post("/generate", json={"prompt": "x", "seed": -1}).json()["seed"] for _ in range(3)}
    assert len(seeds) == 3
    assert all(seed >= 0 for seed in seeds)


def test_a_stage_that_cannot_run_says_so(served: Served) -> None:
    body = {"prompt": "x", "use_refiner": True, "use_face_restoration": True, "use_realesrgan": True, "hires_fix": True}
    stages = served.http.post("/generate", json=body).json()["stages"]
    assert sorted(stages) == ["face_restoration", "hires_fix", "refiner", "upscale"]
    assert all(stage["applied"] is False and stage["reason"] for stage in stages.values())
    assert served.http.post("/generate", json={"prompt": "x"}).json()["stages"] == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x" * 10_000}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"prompt": "x", "steps": -1}, "steps"),
        ({"prompt": "x", "num_inference_steps": -1}, "num_inference_steps"),
        ({"prompt": "x", "steps": "many"}, "steps"),
        ({"prompt": "x", "steps": 2.5}, "steps"),
        ({"prompt": "x", "steps": True}, "steps"),
        ({"prompt": "x", "seed": "abc"}, "seed"),
        ({"prompt": "x", "seed": 2**40}, "seed"),
        ({"prompt": "x", "width": 1001}, "width"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "x", "use_refiner": "perhaps"}, "use_refiner"),
    ],
)
def test_a_bad_value_is_422_with_the_fields_name(served: Served, body: dict[str, Any], field: str) -> None:
    answer = served.http.post("/generate", json=body)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["field"] == field
    assert error["message"].startswith(field)
    assert served.http.post("/generate", json={"prompt": "x"}).status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"prompt": NaN}'])
def test_a_body_that_is_no_json_object_gets_a_clear_error(served: Served, content: bytes) -> None:
    answer = served.http.post("/generate", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"]


def test_any_openai_client_makes_pictures(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.images.generate(
            model="gpt-image-1", prompt="a blue bird", n=2, size="512x512", output_format="webp", extra_body={"seed": 3}
        )
        assert answer.data is not None
        images = [picture(item.b64_json or "") for item in answer.data]
        assert [image.format for image in images] == ["WEBP", "WEBP"]
        assert images[0].convert("RGB").getpixel((64, 64)) != images[1].convert("RGB").getpixel((64, 64))
        with pytest.raises(openai.UnprocessableEntityError, match="n is 9"):
            client.images.generate(prompt="x", n=9)
        with pytest.raises(openai.UnprocessableEntityError, match="WIDTHxHEIGHT"):
            client.images.generate(prompt="x", size="huge")


def test_openai_urls_lead_to_the_files(served: Served) -> None:
    body = {"prompt": "a green hill", "response_format": "url", "output_format": "jpeg"}
    url = served.http.post("/v1/images/generations", json=body).json()["data"][0]["url"]
    answer = httpx.get(url)
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(answer.content)).format == "JPEG"


def test_files_come_in_other_formats_and_widths_and_are_cached(served: Served) -> None:
    job_id = served.http.post("/generate", json={"prompt": "x", "width": 512, "height": 256}).json()["job_id"]
    path = f"/files/{served.http.get(f'/jobs/{job_id}').json()['files'][0]['id']}"
    original = served.http.get(path)
    assert original.headers["content-type"] == "image/png"
    assert json.loads(Image.open(BytesIO(original.content)).text["recipe"])["prompt"] == "x"  # type: ignore[attr-defined]
    for name in ("webp", "avif", "png", "jpeg"):
        small = Image.open(BytesIO(served.http.get(path, params={"format": name, "w": 32}).content))
        assert (small.format, small.size) == (name.upper(), (32, 16))
    again = served.http.get(path, headers={"If-None-Match": original.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert served.http.get(path, params={"format": "bmp"}).status_code == 422
    assert served.http.get("/files/nothing-0").status_code == 404


def test_a_repeated_idempotency_key_makes_one_picture(served: Served) -> None:
    headers = {"Idempotency-Key": "once"}
    first = served.http.post("/generate", json={"prompt": "x"}, headers=headers).json()
    again = served.http.post("/generate", json={"prompt": "x"}, headers=headers).json()
    assert (first["job_id"], first["image"]) == (again["job_id"], again["image"])
    other = served.http.post("/generate", json={"prompt": "y"}, headers=headers)
    assert other.status_code == 422
    assert "once" in other.json()["error"]["message"]


@pytest.mark.parametrize(("headers", "state"), [({}, "cancelled"), ({"Idempotency-Key": "mine"}, "succeeded")])
def test_hanging_up_frees_the_device_unless_the_result_can_be_asked_for_again(
    served: Served, headers: dict[str, str], state: str
) -> None:
    with held(served):

        def give_up() -> None:
            patience = httpx.Timeout(30, read=1.0)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{served.url}/generate", json={"prompt": "hang up"}, headers=headers, timeout=patience)

        impatient = threading.Thread(target=give_up)
        impatient.start()
        until(lambda: served.running())
        job_id = served.running()[0]
        impatient.join()
        if state == "cancelled":
            until(lambda: not served.running())
    until(lambda: served.http.get(f"/jobs/{job_id}").json()["state"] == state)


def test_a_running_job_is_cancelled_by_id(served: Served) -> None:
    with held(served):
        slow = threading.Thread(target=lambda: answers.append(served.http.post("/generate", json={"prompt": "slow"})))
        answers: list[httpx.Response] = []
        slow.start()
        until(lambda: served.running())
        job_id = served.running()[0]
        assert served.http.delete(f"/jobs/{job_id}").status_code == 202
        slow.join()
    assert answers[0].status_code == 499
    assert answers[0].json()["error"]["type"] == "cancelled"
    assert served.http.get(f"/jobs/{job_id}").json()["state"] == "cancelled"
    assert served.image.most_at_once == 1


def test_every_route_is_documented(served: Served) -> None:
    paths = served.http.get("/openapi.json").json()["paths"]
    assert {"/generate", "/txt2img", "/v1/images/generations", "/v1/audio/transcriptions", "/health"} <= set(paths)
    assert "prompt" in json.dumps(paths["/generate"]) + served.http.get("/openapi.json").text
    assert served.http.get("/docs").status_code == 200
