"""Every unusable value is refused with the field, the value and the remedy, whoever sent it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, ValidationError

from engines.errors import InvalidRequest
from engines.requests import ImageRequest, Request, SeedOrRandom, TranscribeRequest, parse, refusal, remedy


def refused(model: type[Request] = ImageRequest, /, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(model, {"prompt": "a cat", "seed": 1, **fields} if model is ImageRequest else fields)
    return caught.value


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("prompt", "", "prompt is empty: say in a few words"),
        ("prompt", " \n\t", "prompt is empty"),
        ("prompt", None, "prompt is None: send text"),
        ("prompt", ["a"], "prompt is ['a']: send text"),
        ("prompt", "a\0b", "null character at position 1: remove it"),
        ("prompt", "a\ud800", "lone surrogate) at position 1: remove it"),
        ("prompt", "x" * 10_000, "has 10000 characters: shorten it to 4000"),
        ("negative_prompt", 5, "is 5: send text of at most 4000 characters"),
        ("negative_prompt", "\0", "null character at position 0"),
        ("negative_prompt", "x" * 4001, "has 4001 characters"),
        ("width", 60_000, "width is 60000: send a multiple of 8 from 64 to 2048"),
        ("height", 60_000, "height is 60000: send a multiple of 8 from 64 to 2048"),
        ("width", 0, "from 64 to 2048"),
        ("width", -64, "from 64 to 2048"),
        ("width", 513, "width is 513: send a multiple of 8 from 64 to 2048, e.g. 512 or 520."),
        ("height", 2047, "e.g. 2040 or 2048."),
        ("width", 2049, "e.g. 2048."),
        ("width", 60_001, "e.g. 2048."),
        ("width", -3, "e.g. 64."),
        ("width", 10**80 + 1, "000...: send"),
        ("width", "512", "width is '512': send a multiple of 8"),
        ("width", 512.5, "width is 512.5: send a multiple of 8"),
        ("width", True, "width is True: send a multiple of 8"),
        ("num_inference_steps", 0, "0: send a whole number from 1 to 150"),
        ("num_inference_steps", -1, "from 1 to 150"),
        ("num_inference_steps", 151, "from 1 to 150"),
        ("num_inference_steps", "30", "send a whole number"),
        ("num_inference_steps", 2.5, "send a whole number"),
        ("guidance_scale", 0.5, "guidance_scale is 0.5: send a number from 1 to 30."),
        ("guidance_scale", 31, "from 1 to 30"),
        ("guidance_scale", float("nan"), "nan: send a number"),
        ("guidance_scale", float("inf"), "inf: send a number"),
        ("guidance_scale", 10**400, "0...: send a number"),
        ("guidance_scale", "5", "'5': send a number"),
        ("guidance_scale", True, "True: send a number"),
        ("seed", -1, "seed is -1: send a whole number from 0 to 4294967295."),
        ("seed", 2**32, "from 0 to 4294967295"),
        ("seed", 1.5, "send a whole number"),
        ("seed", None, "seed is None: send a whole number"),
        ("count", 0, "from 1 to 8"),
        ("count", 9, "from 1 to 8"),
        ("count", "two", "'two': send a whole number"),
        ("sampler", 5, "sampler is 5: send one of dpmpp_2m_karras, "),
        ("sampler", ["euler"], "send one of dpmpp_2m_karras, "),
        ("sampler", "x" * 10_000, "xxx...: send one of dpmpp_2m_karras, "),
        ("sampler", "eulr", "unipc. Did you mean 'euler'?"),
        ("photo_sha256", 5, "photo_sha256 is 5: send text"),
        ("photo_strength", 0, "photo_strength is 0: send a number above 0 and up to 1."),
        ("photo_strength", -0.1, "above 0 and up to 1"),
        ("photo_strength", 1.5, "above 0 and up to 1"),
        ("photo_strength", "0.5", "send a number"),
        ("photo_strength", float("nan"), "send a number"),
        ("photo_strength", False, "send a number"),
        ("sample", "euler", "sample is no field of this request. Did you mean 'sampler'? Leave it out."),
        ("x" * 10_000, 1, "is no field of this request. Leave it out."),
    ],
)
def test_unusable_values(field: str, value: Any, says: str) -> None:
    error = refused(**{field: value})
    assert error.field == field[:60]
    assert says in str(error)
    assert error.field in str(error)
    assert len(str(error)) < 300


def test_what_cannot_be_shown_is_refused_like_all_else() -> None:
    assert "width is too large to show (int): send a multiple of 8" in str(refused(width=10**5000))
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    assert "too large to show (list): send text" in str(refused(prompt=deep))


@pytest.mark.parametrize("field", ["prompt", "seed"])
def test_what_is_missing_is_said(field: str) -> None:
    values = {"prompt": "a cat", "seed": 1}
    del values[field]
    with pytest.raises(InvalidRequest, match=f"^{field} is missing: send ") as caught:
        parse(ImageRequest, values)
    assert caught.value.field == field


@pytest.mark.parametrize("values", [[], None, "text", 5])
def test_what_is_no_object_is_refused(values: Any) -> None:
    with pytest.raises(InvalidRequest, match="send a JSON object") as caught:
        parse(ImageRequest, values)
    assert caught.value.field == "body"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": "🥕😀 (unbalanced"},
        {"prompt": "x" * 4000},
        {"seed": 0},
        {"seed": 2**32 - 1},
        {"width": 64, "height": 2048},
        {"guidance_scale": 1, "num_inference_steps": 150, "count": 8},
        {"photo_strength": 1},
        {"num_inference_steps": None, "guidance_scale": None, "sampler": None},
    ],
)
def test_usable_requests(fields: dict[str, Any]) -> None:
    made = parse(ImageRequest, {"prompt": "a cat", "seed": 1, **fields})
    assert made.model_dump(include=set(fields)) == fields


def test_each_picture_has_the_next_seed_and_the_last_is_followed_by_the_first() -> None:
    assert ImageRequest(prompt="a cat", seed=2**32 - 2, count=3).seeds == (2**32 - 2, 2**32 - 1, 0)


def test_a_request_stays_as_it_is() -> None:
    with pytest.raises(ValidationError):
        ImageRequest(prompt="a cat", seed=1).seed = 2


def test_a_transcription_needs_nothing() -> None:
    assert parse(TranscribeRequest, {}) == TranscribeRequest(filename="", language=None)
    assert "language has 65 characters: shorten it to 64" in str(refused(TranscribeRequest, language="x" * 65))


class Inner(Request):
    width: int = Field(ge=1, le=9)


class Outer(Request):
    parts: list[Inner] = Field(default=[])
    names: list[str] = Field(default=[], max_length=2)
    size: int | str = Field(default=0)
    rate: float = Field(default=0.5, ge=0.25, le=1)


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({"parts": [{"width": 1}, {"width": 0}]}, "parts.1.width", "is 0: send a whole number from 1 to 9."),
        ({"parts": 5}, "parts", "parts is 5: send a list."),
        ({"parts": [5]}, "parts.0", "parts.0 is 5: send a JSON object."),
        ({"parts": [{"width": 1, "widht": 2}]}, "parts.0.widht", "Did you mean 'width'?"),
        ({"names": ["a", "b", "c"]}, "names", "names has 3 entries: send 2 or fewer."),
        ({"rate": 0.1}, "rate", "rate is 0.1: send a number from 0.25 to 1."),
    ],
)
def test_nested_fields_are_named_by_their_way(values: dict[str, Any], field: str, says: str) -> None:
    error = refused(Outer, **values)
    assert error.field == field
    assert says in str(error)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"enum": ["avatar", "hero"]}, "one of avatar, hero"),
        ({"const": "whole"}, "whole"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "integer"}, "a whole number"),
        ({"type": "number", "minimum": 0, "maximum": 0.5}, "a number from 0 to 0.5"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}, "a whole number or text"),
        ({}, ""),
    ],
)
def test_remedy(schema: dict[str, Any], says: str) -> None:
    assert remedy(schema) == says


def test_where_the_schema_says_nothing_the_checks_own_words_serve() -> None:
    with pytest.raises(ValidationError) as caught:
        Inner(width=0)
    (error,) = caught.value.errors()
    assert str(refusal(error, {}, ("width",))) == "width is 0: input should be greater than or equal to 1."


def test_a_seed_may_be_left_to_chance_where_it_is_said_so() -> None:
    class Asked(Request):
        seed: SeedOrRandom = -1

    assert parse(Asked, {"seed": -1}).seed == -1
    assert "seed is -2: send a whole number from -1 to 4294967295." in str(refused(Asked, seed=-2))
