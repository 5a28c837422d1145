"""What the door refuses: every complaint names the field, the value and what to do instead."""

from __future__ import annotations

import math
from pathlib import Path

from engines.errors import InvalidRequest
from engines.sdxl.photo import check_photo
from engines.types import MAX_COUNT, MAX_PROMPT_CHARS, MAX_SEED, ImageModelInfo, ImageRequest

SIDE_MULTIPLE = 8
MAX_STEPS = 150
MAX_GUIDANCE = 30


def check_request(request: ImageRequest, info: ImageModelInfo) -> None:
    """Raise InvalidRequest (InvalidMedia for the photo) if the model cannot serve this request."""
    _check_text("prompt", request.prompt)
    if not request.prompt.strip():
        raise InvalidRequest("prompt", "prompt is empty: say in a few words what the picture shall show.")
    _check_text("negative_prompt", request.negative_prompt)
    _check_side("width", request.width, info)
    _check_side("height", request.height, info)
    _check_pixels(request, info)
    if request.num_inference_steps is not None:
        _check_int("num_inference_steps", request.num_inference_steps, 1, MAX_STEPS)
    if request.guidance_scale is not None:
        _check_number("guidance_scale", request.guidance_scale, 1, MAX_GUIDANCE)
    if request.seed is not None:
        _check_int("seed", request.seed, -1, MAX_SEED)
    _check_int("count", request.count, 1, MAX_COUNT)
    _check_sampler(request.sampler, info)
    _check_photo(request)


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidRequest(field, f"{field} is {_shown(value)}: send text.")
    if len(value) > MAX_PROMPT_CHARS:
        raise InvalidRequest(field, f"{field} has {len(value)} characters: shorten it to {MAX_PROMPT_CHARS} or fewer.")
    if "\0" in value:
        raise InvalidRequest(field, f"{field} has a null character at position {value.index(chr(0))}: remove it.")
    lone = next((i for i, char in enumerate(value) if "\ud800" <= char <= "\udfff"), None)
    if lone is not None:
        raise InvalidRequest(
            field, f"{field} has half of a character (a lone surrogate) at position {lone}: remove it."
        )


def _check_side(field: str, value: object, info: ImageModelInfo) -> None:
    side = _check_int(field, value, info.min_side, info.max_side, unit=" pixels")
    if side % SIDE_MULTIPLE:
        low = side // SIDE_MULTIPLE * SIDE_MULTIPLE
        nearest = " or ".join(str(s) for s in (low, low + SIDE_MULTIPLE) if info.min_side <= s <= info.max_side)
        raise InvalidRequest(field, f"{field} is {side}: it must be a multiple of {SIDE_MULTIPLE}; try {nearest}.")


def _check_pixels(request: ImageRequest, info: ImageModelInfo) -> None:
    pixels = request.width * request.height
    if pixels > info.max_pixels:
        raise InvalidRequest(
            "width",
            f"{request.width} x {request.height} is {pixels:,} pixels: {info.name} on {info.device} makes at most "
            f"{info.max_pixels:,}; choose a smaller width or height.",
        )


def _check_sampler(value: object, info: ImageModelInfo) -> None:
    if value is not None and value not in info.samplers:
        raise InvalidRequest(
            "sampler", f"sampler {_shown(value)} is unknown: choose one of {', '.join(info.samplers)}."
        )


def _check_photo(request: ImageRequest) -> None:
    if request.init_image is None:
        return
    strength = _check_number("strength", request.strength, 0, 1)
    if strength == 0:
        raise InvalidRequest("strength", "strength is 0, which changes nothing: choose above 0, up to 1.")
    if not isinstance(request.init_image, Path):
        raise InvalidRequest("init_image", f"init_image is a {type(request.init_image).__name__}: give a file's Path.")
    check_photo(request.init_image)


def _check_int(field: str, value: object, low: int, high: int, unit: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(field, f"{field} is {_shown(value)}: send a whole number from {low} to {high}.")
    if not low <= value <= high:
        raise InvalidRequest(field, f"{field} is {value}: choose {low} to {high}{unit}.")
    return value


def _check_number(field: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidRequest(field, f"{field} is {_shown(value)}: send a number from {low} to {high}.")
    if not low <= value <= high:
        raise InvalidRequest(field, f"{field} is {value}: choose {low} to {high}.")
    return value


def _shown(value: object) -> str:
    """A value as a message may show it: short, whatever was sent."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
