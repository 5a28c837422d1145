"""OpenAI's shapes through OpenAI's own client: edits, models, and pictures and text that come as events."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import openai
import pytest
from openai.types import (
    ImageEditCompletedEvent,
    ImageEditPartialImageEvent,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
)
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent
from PIL import Image

from tests.app.conftest import Served
from tests.app.http.test_jobs import ended, events_of, held, photo, sound
from tests.serving import until

ORANGE = (250, 120, 10)


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def picture(encoded: str | None) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(encoded or "")))


def corner(encoded: str | None) -> Any:
    return picture(encoded).convert("RGB").getpixel((0, 0))


def edit(served: Served, files: Any, **fields: str) -> httpx.Response:
    return served.http.post("/v1/images/edits", data={"prompt": "a knight", **fields}, files=files)


IMAGE = {"image": ("me.png", photo())}

# Models ---------------------------------------------------------------------------------------------------------------


def test_the_models_in_use_are_listed_and_read(client: openai.OpenAI) -> None:
    assert [(model.id, model.object) for model in client.models.list()] == [("blob", "model"), ("echo", "model")]
    assert client.models.retrieve("echo").owned_by == "carrot-studio"
    with pytest.raises(openai.NotFoundError, match="gpt/image") as refused:
        client.models.retrieve("gpt/image")
    assert refused.value.type == "model_not_found"


# Edits ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_list", [False, True])
def test_a_photo_is_edited(client: openai.OpenAI, as_list: bool) -> None:
    image = ("me.png", photo())
    answer = client.images.edit(
        image=[image] if as_list else image,
        prompt="a knight",
        n=2,
        size="512x256",
        output_format="webp",
        extra_body={"seed": 7},
    )
    assert answer.data is not None
    pictures = [picture(item.b64_json) for item in answer.data]
    assert [(one.format, one.size) for one in pictures] == [("WEBP", (128, 64))] * 2
    near = corner(answer.data[0].b64_json)
    assert all(abs(mine - theirs) < 8 for mine, theirs in zip(near, ORANGE, strict=True))


@pytest.mark.parametrize(
    ("fields", "strength"),
    [
        ({}, 0.6),
        ({"input_fidelity": "low"}, 0.6),
        ({"input_fidelity": "high"}, 0.35),
        ({"photo_strength": "0.8"}, 0.8),
    ],
)
def test_fidelity_is_how_far_the_picture_goes_from_the_photo(
    served: Served, fields: dict[str, str], strength: float
) -> None:
    job = served.http.get(f"/jobs/{edit(served, IMAGE, **fields).json()['job_id']}").json()
    recipe = job["result"]["images"][0]["recipe"]
    assert (recipe["photo_strength"], recipe["photo_sha256"]) == (strength, job["request"]["photo_sha256"])


@pytest.mark.parametrize(
    ("fields", "files", "field", "says"),
    [
        ({}, {"image": ("a.png", b"no picture")}, "image", "not a PNG"),
        ({}, {"image": ("a.png", photo()[:200])}, "image", "damaged"),
        ({}, {"file": ("a.png", photo())}, "file", "`image`"),
        ({}, [("image[]", ("a.png", photo())), ("image[]", ("b.png", photo()))], "image", "more than one file"),
        ({}, {**IMAGE, "mask": ("m.png", photo())}, "mask", "Leave mask out"),
        ({"mask": "data:image/png;base64,xyz"}, IMAGE, "mask", "Leave mask out"),
        ({"prompt": ""}, IMAGE, "prompt", "missing"),
        ({"n": "9"}, IMAGE, "n", "from 1 to 8"),
        ({"n": "many"}, IMAGE, "n", "from 1 to 8"),
        ({"input_fidelity": "odd"}, IMAGE, "input_fidelity", "low, high"),
        ({"input_fidelity": "low", "photo_strength": "0.5"}, IMAGE, "photo_strength", "not both"),
    ],
)
def test_a_wrong_edit_says_what_is_wrong_and_leaves_nothing(
    served: Served, fields: dict[str, str], files: Any, field: str, says: str
) -> None:
    answer = edit(served, files, **fields)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field), answer.text
    assert says in answer.json()["error"]["message"]
    assert list(served.studio.files.uploads.iterdir()) == []


def test_an_edit_says_what_was_sent_in_vain_and_knows_its_user(served: Served) -> None:
    answer = edit(served, IMAGE, model="blob", quality="high", user="u-1", safety_identifier="u-2").json()
    assert [warning["field"] for warning in answer["warnings"]] == ["quality"]
    assert served.job(answer["job_id"]).user == "u-2"
    body = {"prompt": "x", "user": "u-3", "partial_images": 2}
    made = served.http.post("/v1/images/generations", json=body).json()
    assert [warning["field"] for warning in made["warnings"]] == ["partial_images"]
    assert served.job(made["job_id"]).user == "u-3"


def test_a_repeated_edit_with_its_key_is_one_job(served: Served) -> None:
    def again(colour: tuple[int, int, int]) -> httpx.Response:
        files = {"image": ("me.png", photo(colour))}
        headers = {"Idempotency-Key": "edit-1"}
        return served.http.post("/v1/images/edits", data={"prompt": "a knight"}, files=files, headers=headers)

    assert again(ORANGE).json()["job_id"] == again(ORANGE).json()["job_id"]
    assert again((0, 0, 9)).status_code == 422


def test_a_job_of_kind_image_takes_a_photo_too(served: Served) -> None:
    job = '{"kind": "image", "request": {"prompt": "x", "photo_strength": 0.5}}'
    done = ended(
        served, served.http.post("/jobs/upload", data={"job": job}, files={"photo": ("a.png", photo())}).json()
    )
    assert done["result"]["images"][0]["recipe"]["photo_strength"] == 0.5
    alone = served.http.post("/jobs", json={"kind": "image", "request": {"prompt": "x", "photo_strength": 0.5}}).json()
    assert [warning["field"] for warning in alone["warnings"]] == ["photo_strength"]


# Pictures as events ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [1, 3])
def test_a_picture_comes_with_as_many_previews_as_asked_for(served: Served, client: openai.OpenAI, wanted: int) -> None:
    # It waits before its last step, with 7 previews told.
    with held(served):
        stream = client.images.generate(
            prompt="a red fox", size="512x256", stream=True, partial_images=wanted, output_format="jpeg", n=2
        )
        early = [next(stream) for _ in range(wanted)]
    events = [*early, *stream]
    for index, event in enumerate(events[:wanted]):
        partial = ImageGenPartialImageEvent.model_validate(event.to_dict())
        assert (partial.partial_image_index, partial.size, partial.output_format) == (index, "512x256", "jpeg")
        assert picture(partial.b64_json).format == "JPEG"
    completed = [ImageGenCompletedEvent.model_validate(event.to_dict()) for event in events[wanted:]]
    assert len(completed) == 2
    assert [picture(event.b64_json).size for event in completed] == [(128, 64)] * 2
    assert len({event.b64_json for event in completed}) == 2


def test_without_partial_images_only_the_picture_comes(client: openai.OpenAI) -> None:
    (event,) = client.images.generate(prompt="x", stream=True)
    assert event.type == "image_generation.completed"


def test_previews_are_spread_over_the_steps(served: Served) -> None:
    with held(served):
        body = {"prompt": "x", "stream": True, "partial_images": 3}
        with served.http.stream("POST", "/v1/images/generations", json=body) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["x-accel-buffering"] == "no"
            lines = answer.iter_lines()
            told = [line for line in (next(lines) for _ in range(9)) if line.startswith("data")]
            served.image.gate.set()
            rest = list(lines)
    assert len(told) == 3
    assert sum(line.startswith("event: image_generation.completed") for line in rest) == 1
    # The disc grows with the steps: 2, 4 and 6 of 8.
    assert len(set(told)) == 3


def test_an_edit_comes_as_events_too(served: Served, client: openai.OpenAI) -> None:
    with held(served):
        stream = client.images.edit(image=("me.png", photo()), prompt="a knight", stream=True, partial_images=1)
        partial = ImageEditPartialImageEvent.model_validate(next(stream).to_dict())
    (last,) = stream
    completed = ImageEditCompletedEvent.model_validate(last.to_dict())
    assert corner(partial.b64_json) == corner(completed.b64_json) == ORANGE


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"partial_images": 4}, "partial_images"),
        ({"partial_images": -1}, "partial_images"),
        ({"response_format": "url"}, "response_format"),
        ({"stream": "perhaps"}, "stream"),
        ({"size": "64x10000"}, "height"),
    ],
)
def test_what_is_wrong_before_the_first_event_has_its_status(served: Served, body: dict[str, Any], field: str) -> None:
    answer = served.http.post("/v1/images/generations", json={"prompt": "x", "stream": True, **body})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def test_a_damaged_photo_has_its_status_although_the_job_began(served: Served) -> None:
    answer = edit(served, {"image": ("a.png", photo()[:200])}, stream="true", partial_images="1")
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "image"), answer.text


def test_an_error_in_the_middle_is_raised_by_the_client(served: Served, client: openai.OpenAI) -> None:
    with held(served):
        stream = client.images.generate(prompt="x", stream=True, partial_images=1)
        next(stream)
        (job_id,) = served.running()
        served.http.delete(f"/jobs/{job_id}")
        with pytest.raises(openai.APIError, match="Cancelled") as raised:
            list(stream)
    assert (raised.value.type, raised.value.code) == ("cancelled", "cancelled")


@pytest.mark.parametrize(("headers", "state"), [({}, "cancelled"), ({"Idempotency-Key": "s1"}, "succeeded")])
@pytest.mark.parametrize("begun", [True, False])
def test_hanging_up_on_a_stream_frees_the_device_as_without(
    served: Served, headers: dict[str, str], state: str, begun: bool
) -> None:
    keyed = {name: f"{value}-{begun}" for name, value in headers.items()}
    body = {"prompt": "x", "stream": True, "partial_images": 1 if begun else 0}
    with held(served):

        def give_up() -> None:
            patience = httpx.Timeout(30, read=1.0)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{served.url}/v1/images/generations", json=body, headers=keyed, timeout=patience)

        impatient = threading.Thread(target=give_up)
        impatient.start()
        until(lambda: served.running())
        job_id = served.running()[0]
        impatient.join()
        if state == "cancelled":
            until(lambda: not served.running())
    until(lambda: served.http.get(f"/jobs/{job_id}").json()["state"] == state)


def test_a_repeated_stream_gets_the_pictures_that_are_there(served: Served) -> None:
    body = {"prompt": "a red fox", "stream": True}
    answers = []
    for _ in range(2):
        with served.http.stream("POST", "/v1/images/generations", json=body, headers={"Idempotency-Key": "s2"}) as one:
            answers.append(events_of(one))
    assert answers[0] == answers[1]


# Text as events -------------------------------------------------------------------------------------------------------


def test_text_comes_segment_by_segment(served: Served, client: openai.OpenAI) -> None:
    with held(served):
        stream = client.audio.transcriptions.create(
            model="echo", file=("a.wav", sound(4)), stream=True, extra_body={"user": "u-9"}
        )
        deltas = [TranscriptionTextDeltaEvent.model_validate(next(stream).to_dict()).delta for _ in range(4)]
        assert served.job(served.running()[0]).user == "u-9"
    (last,) = stream
    done = TranscriptionTextDoneEvent.model_validate(last.to_dict())
    assert deltas[:2] == ["word1 word2", " word3 word4"]
    assert "".join(deltas) == done.text
    assert done.usage is not None


def test_a_repeated_transcription_streams_its_text_again(served: Served) -> None:
    def told() -> list[Any]:
        files, data = {"file": ("a.wav", sound(3))}, {"stream": "true", "response_format": "text"}
        headers = {"Idempotency-Key": "t1"}
        with served.http.stream("POST", "/v1/audio/transcriptions", files=files, data=data, headers=headers) as one:
            return [event["data"].get("delta") or event["data"]["text"] for event in events_of(one)]

    first = told()
    assert told() == first == ["word1 word2", " word3 word4", " word5 word6", "word1 word2 word3 word4 word5 word6"]


def test_silence_streams_no_text(served: Served, client: openai.OpenAI) -> None:
    silence = sound(1).replace(b"\x10\x10", b"\0\0")
    (done,) = client.audio.transcriptions.create(model="echo", file=("a.wav", silence), stream=True)
    assert TranscriptionTextDoneEvent.model_validate(done.to_dict()).text == ""


@pytest.mark.parametrize(
    ("content", "fields", "field"),
    [
        (sound(), {"response_format": "srt"}, "response_format"),
        (sound(), {"response_format": "verbose_json"}, "response_format"),
        (sound(), {"user": "x" * 201}, "user"),
        (b"no sound", {}, "file"),
    ],
)
def test_a_transcription_that_cannot_be_streamed_is_422(
    served: Served, content: bytes, fields: dict[str, str], field: str
) -> None:
    files = {"file": ("a.wav", content)}
    answer = served.http.post("/v1/audio/transcriptions", files=files, data={"stream": "true", **fields})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field), answer.text


# Documentation --------------------------------------------------------------------------------------------------------


def test_forms_and_events_are_documented(served: Served) -> None:
    paths = served.http.get("/openapi.json").json()["paths"]
    edits = paths["/v1/images/edits"]["post"]
    form = edits["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"image", "prompt", "n", "size", "photo_strength", "input_fidelity", "stream"} <= set(form["properties"])
    for path in ("/v1/images/edits", "/v1/images/generations", "/v1/audio/transcriptions"):
        content = paths[path]["post"]["responses"]["200"]["content"]
        assert set(content) == {"application/json", "text/event-stream"}
