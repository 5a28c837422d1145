"""The settings that a picture's file tells: our own recipe, or the text that A1111's program and its heirs write.

What is in it and cannot be used here is told, in sentences for a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.presets import NO_PRESET, Kind, Presets
from app.work.image import RECIPE, PlainRequest
from engines.errors import InvalidRequest
from engines.picture_parts import COMMENT
from engines.requests import MAX_SIDE, MIN_SIDE, SIDE_MULTIPLE, parse
from engines.results import ImageModelInfo
from engines.words import shown

PARAMETERS = "parameters"
"""Name of the text of a PNG that A1111 writes."""

FIELDS = (
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "num_inference_steps",
    "guidance_scale",
    "sampler",
    "seed",
)
"""What is taken over, by the names of a request."""

NEGATIVE = "Negative prompt:"

NAME = re.compile(r"\w[\w \-/]{0,60}")

LEAST_SETTINGS = 3
"""In the last line; with fewer it is a line of the prompt. A1111's own rule."""

SAMPLERS = {
    "dpm++ 2m karras": "dpmpp_2m_karras",
    "dpm++ 2m": "dpmpp_2m",
    "dpm++ 2m sde karras": "dpmpp_2m_sde_karras",
    "dpm++ 2m sde": "dpmpp_2m_sde",
    "dpm++ sde karras": "dpmpp_sde_karras",
    "dpm++ sde": "dpmpp_sde",
    "euler": "euler",
    "euler a": "euler_a",
    "heun": "heun",
    "ddim": "ddim",
    "unipc": "unipc",
}
"""A1111's names, in small letters, and ours."""

WIDE = 1.2
"""Wider than this for its height it is a hero image."""

MAX_TOLD = 12
"""Sentences about what is not used; a file may hold any number of settings."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a form is to be filled with."""

    kind: Kind
    preset: str
    """A preset's id or NO_PRESET."""
    values: Mapping[str, Any]
    """By names of FIELDS; what is absent was not told."""
    not_used: tuple[str, ...]
    """A sentence each."""


def settings_in(texts: Mapping[str, str], presets: Presets, info: ImageModelInfo) -> Found | None:
    """The settings in a file's texts (`engines.picture_parts.read_texts`), None where there are none.

    `info`: of the model that is loaded.
    """
    comment = texts.get(COMMENT, "")
    ours = texts.get(RECIPE) or (comment if comment.startswith("{") else "")
    if ours and (recipe := _object(ours)) is not None:
        return _of_recipe(recipe, presets, info)
    theirs = texts.get(PARAMETERS) or comment
    values, rest = read_parameters(theirs)
    return _of_parameters(values, rest, info) if values else None


def read_parameters(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """A1111's text: `prompt` and `negative_prompt`, and the settings by their names; both empty for any other text."""
    lines = text.replace("\r\n", "\n").strip().split("\n")
    settings = dict(_settings(lines[-1]))
    if len(settings) < LEAST_SETTINGS or "Steps" not in settings:
        return {}, {}
    words: dict[str, list[str]] = {"prompt": [], "negative_prompt": []}
    part = "prompt"
    for line in lines[:-1]:
        if part == "prompt" and line.startswith(NEGATIVE):
            part, line = "negative_prompt", line.removeprefix(NEGATIVE)
        words[part].append(line.strip())
    return {name: "\n".join(said).strip() for name, said in words.items()}, settings


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """`Steps: 20, Lora hashes: "a: 1, b: 2"`: a value in quotation marks may hold commas."""
    start, quoted, escaped = 0, False, False
    # By hand, since a regular expression for it takes minutes for a long line of quotation marks.
    for at, char in enumerate(f"{line},"):
        if char == '"' and not escaped:
            quoted = not quoted
        if (char == "," and not quoted) or at == len(line):
            name, _, value = line[start:at].partition(":")
            if value and NAME.fullmatch(name.strip()):
                yield name.strip(), _unquoted(value.strip())
            start = at + 1
        escaped = char == "\\" and not escaped


def _unquoted(value: str) -> str:
    if not (len(value) > 1 and value[0] == value[-1] == '"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value[1:-1]


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "prompt" in found else None


def _of_recipe(recipe: dict[str, Any], presets: Presets, info: ImageModelInfo) -> Found:
    values, not_used = _usable({name: recipe[name] for name in FIELDS if recipe.get(name) is not None}, info)
    not_used += _other_model(recipe.get("model"), info.name)
    photo = recipe.get("photo_sha256") is not None
    if photo:
        not_used.append("It started from a photo, which is not in the file: add it again for the same picture.")
    kind: Kind = _kind(values)
    chosen = recipe.get("preset")
    for known in ("avatar", "hero"):
        for preset in presets.of(known):
            subject = preset.subject_of(values.get("prompt", "")) if preset.id == chosen else None
            if subject is not None:
                own = values.get("negative_prompt", "").removeprefix(preset.negative_prompt).lstrip(", ")
                return Found(
                    known, preset.id, {**values, "prompt": subject, "negative_prompt": own}, tuple(not_used[:MAX_TOLD])
                )
    if isinstance(chosen, str):
        not_used.append(f"Its preset {shown(chosen)} is not as it was then: the whole prompt is in the form instead.")
    return Found("avatar" if photo else kind, NO_PRESET, values, tuple(not_used[:MAX_TOLD]))


def _of_parameters(words: dict[str, str], settings: dict[str, str], info: ImageModelInfo) -> Found:
    left = dict(settings)
    told: dict[str, Any] = {**words, "num_inference_steps": _number(left.pop("Steps"))}
    not_used: list[str] = []
    for name, theirs in (("guidance_scale", "CFG scale"), ("seed", "Seed")):
        if theirs in left:
            told[name] = _number(left.pop(theirs))
    if "Size" in left:
        told |= _size(left.pop("Size"), not_used)
    if "Sampler" in left:
        told |= _sampler(left.pop("Sampler"), left.pop("Schedule type", ""), not_used)
    not_used += _other_model(left.pop("Model", None), info.name)
    if left.pop("Denoising strength", None) is not None and "Hires upscale" not in left:
        not_used.append("It started from a picture, which is not in the file.")
    values, refused = _usable(told, info)
    if left:
        not_used.append(
            f"Not known here: {', '.join(f'{name[:40]}: {value[:40]}' for name, value in left.items())[:400]}."
        )
    return Found(_kind(values), NO_PRESET, values, (*refused, *not_used)[:MAX_TOLD])


def _usable(told: Mapping[str, Any], info: ImageModelInfo) -> tuple[dict[str, Any], list[str]]:
    """Those values that a request takes, and why it does not take the others."""
    values, refused = {}, []
    for name, value in told.items():
        try:
            values[name] = getattr(parse(PlainRequest, {"prompt": "x", name: value}), name)
        except InvalidRequest as error:
            refused.append(str(error))
    if "sampler" in values and values["sampler"] not in info.samplers:
        refused.append(f"The loaded model has no sampler {shown(values.pop('sampler'))}: its own takes the place.")
    return values, refused


def _other_model(then: object, now: str) -> list[str]:
    if not isinstance(then, str) or then == now:
        return []
    return [f"It was made with the model {shown(then)}; here {shown(now)} is loaded, which draws another picture."]


def _number(text: str) -> float | str:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _size(text: str, not_used: list[str]) -> dict[str, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        not_used.append(f"The size {shown(text)} is not understood.")
        return {}
    asked = int(match[1]), int(match[2])
    width, height = (min(max(round(side / SIDE_MULTIPLE) * SIDE_MULTIPLE, MIN_SIDE), MAX_SIDE) for side in asked)
    if (width, height) != asked:
        not_used.append(f"The size {text} became {width}x{height}: sides here are multiples of {SIDE_MULTIPLE}.")
    return {"width": width, "height": height}


def _sampler(name: str, schedule: str, not_used: list[str]) -> dict[str, str]:
    """Newer versions write the schedule apart: `Sampler: DPM++ 2M, Schedule type: Karras`."""
    plain = "" if schedule.lower() in ("automatic", "uniform", "normal") else f" {schedule.lower()}"
    known = SAMPLERS.get(f"{name.lower()}{plain}".strip())
    if known is not None:
        return {"sampler": known}
    whole = f"{name} {schedule}".strip()
    not_used.append(f"The sampler {shown(whole)} is not known here: the default takes its place.")
    return {}


def _kind(values: Mapping[str, Any]) -> Kind:
    return "hero" if values.get("width", 1) > WIDE * values.get("height", 1) else "avatar"
