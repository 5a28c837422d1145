"""Recipes: how a preset and what the user gave become the one frozen request that an engine takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from app.presets import ASPECTS, Preset, did_you_mean
from engines.errors import InvalidRequest
from engines.types import MAX_PROMPT_CHARS, ImageModelInfo, ImageRequest

# A title, a summary and a template of 40 words stay within two of CLIP's chunks of 75 tokens, so that the look keeps
# its weight against the words.
MAX_TITLE_CHARS = 120
MAX_SUMMARY_CHARS = 240


def image_request(
    preset: Preset | None,
    info: ImageModelInfo,
    *,
    prompt: str,
    negative_prompt: str | None = None,
    seed: int | None = None,
    count: int = 1,
    aspect: str | None = None,
    width: int | None = None,
    height: int | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    sampler: str | None = None,
    init_image: Path | None = None,
    strength: float | None = None,
) -> ImageRequest:
    """One request of a preset (or of none) and the fields that were given; None means not given.

    What was given comes first; then the model's own default where it has its `own_recipe`; then the preset's.
    A negative prompt is the exception: it is added to the preset's. Ranges are the engine's to check.
    """
    if not prompt.strip():
        raise InvalidRequest("prompt", "The prompt is empty: say in a few words what the picture should show.")
    # Unset fields are left out, so that the defaults are ImageRequest's own.
    fields: dict[str, Any] = {"prompt": prompt.strip(), "seed": seed, "count": count, "init_image": init_image}
    if preset is not None:
        fields |= {"prompt": preset.fill(prompt), "width": preset.width, "height": preset.height}
        if not info.own_recipe:
            fields |= {name: getattr(preset, name) for name in ("num_inference_steps", "guidance_scale", "sampler")}
    if aspect is not None:
        if width is not None or height is not None:
            raise InvalidRequest("aspect", "Give either an aspect or width and height, not both.")
        fields["width"], fields["height"] = aspect_size(aspect)
    given = {
        "width": width,
        "height": height,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "sampler": sampler,
        "strength": strength,
    }
    fields |= {name: value for name, value in given.items() if value is not None}
    negatives = (preset.negative_prompt if preset else "", (negative_prompt or "").strip(" \t\r\n,"))
    fields["negative_prompt"] = ", ".join(filter(None, negatives))
    for name in ("prompt", "negative_prompt"):
        _check_length(name, fields[name], preset)
    return ImageRequest(**fields)


def aspect_size(aspect: str) -> tuple[int, int]:
    """Width and height of an aspect's name. Raises InvalidRequest that names what there is."""
    if aspect not in ASPECTS:
        guess = did_you_mean(aspect, ASPECTS)
        raise InvalidRequest("aspect", f"No aspect {aspect[:64]!r}.{guess} Available: {', '.join(ASPECTS)}.")
    return ASPECTS[aspect]


def _check_length(name: str, text: str, preset: Preset | None) -> None:
    """Here and not in the engine alone, because only here it is known that the preset's words count too."""
    if (excess := len(text) - MAX_PROMPT_CHARS) > 0:
        with_preset = f" with the words of preset {preset.id!r}" if preset else ""
        raise InvalidRequest(
            name,
            f"The {name.replace('_', ' ')}{with_preset} is {excess} characters too long (most: {MAX_PROMPT_CHARS}).",
        )


def hero_prompt(title: str, summary: str = "") -> str:
    """A subject made of a post's title and summary. Raises InvalidRequest if both say nothing.

    A title is words to be illustrated, not to be written into the picture: what would make a model write (quotation
    marks) or weigh words (compel's brackets and trailing + and -) is taken out.
    """
    parts = [_words(title, MAX_TITLE_CHARS), _words(summary, MAX_SUMMARY_CHARS)]
    if not any(parts):
        raise InvalidRequest("prompt", "Give a prompt, or the title or summary of a post, to make a picture of.")
    return "a scene about " + ", ".join(filter(None, parts))


def _words(text: str, limit: int) -> str:
    plain = re.sub(r"https?://\S+", " ", text)
    plain = re.sub(r"[\"“”„«»()\[\]{}<>\\#@*_|`\x00-\x1f]|(?<=\S)[+-]+(?=\s|$)", " ", plain)
    return _cut(" ".join(plain.split()), limit).strip(" .,;:!-–—+…")


def _cut(text: str, limit: int) -> str:
    """The first `limit` characters at most, ended between words where there is a gap."""
    if len(text) <= limit:
        return text
    return text[: limit + 1].rpartition(" ")[0] or text[:limit]
