"""Back from a finished job to the form that would make its picture again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.jobs.model import Job
from app.presets import ASPECTS, SUBJECT, Kind, Preset, Presets
from engines.types import ImageModelInfo


@dataclass(frozen=True, slots=True)
class FormValues:
    """What the form's fields must hold. None leaves a field to its default."""

    prompt: str
    negative_prompt: str
    preset: str | None
    seed: int
    width: int | None
    height: int | None
    steps: int | None
    guidance: float | None
    sampler: str | None
    had_photo: bool
    strength: float


def form_values(job: Job, number: int, presets: Presets, kind: Kind, info: ImageModelInfo) -> FormValues:
    """The values for picture `number` of the job: the user's own words where the preset's can be taken away again."""
    request = job.request
    image = (job.result or {})["images"][number]
    preset = _preset_of(request, presets, kind)
    subject = None if preset is None else _subject(request["prompt"], preset)
    negative = None if preset is None else _own_negative(request["negative_prompt"], preset)
    if preset is None or subject is None or negative is None:
        preset, subject, negative = None, request["prompt"], request["negative_prompt"]
    same_size = preset is not None and (request["width"], request["height"]) == (preset.width, preset.height)
    same_recipe = preset is not None and not info.own_recipe

    def unless_presets(name: str) -> Any:
        value = request[name]
        return None if preset is not None and same_recipe and value == getattr(preset, name) else value

    return FormValues(
        prompt=subject,
        negative_prompt=negative,
        preset=None if preset is None else preset.id,
        seed=image["seed"],
        width=None if same_size else request["width"],
        height=None if same_size else request["height"],
        steps=unless_presets("num_inference_steps"),
        guidance=unless_presets("guidance_scale"),
        sampler=unless_presets("sampler"),
        had_photo=request["init_image_sha256"] is not None,
        strength=request["strength"],
    )


def belongs(job: Job, presets: Presets, kind: Kind) -> bool:
    """Whether a job is shown among a tab's recent ones; without a preset its shape decides."""
    preset = job.request["preset"]
    if preset is not None:
        return any(known.id == preset for known in presets.of(kind))
    wide = job.request["width"] > job.request["height"]
    return bool(wide) == (kind == "hero")


def aspect_of(width: int, height: int) -> str | None:
    return next((name for name, size in ASPECTS.items() if size == (width, height)), None)


def _preset_of(request: dict[str, Any], presets: Presets, kind: Kind) -> Preset | None:
    return next((preset for preset in presets.of(kind) if preset.id == request["preset"]), None)


def _subject(prompt: str, preset: Preset) -> str | None:
    """What the user put into the template; None if the template has been edited since."""
    before, _, after = preset.prompt.partition(SUBJECT)
    if not (prompt.startswith(before) and prompt.endswith(after) and len(prompt) > len(before) + len(after)):
        return None
    return prompt[len(before) : len(prompt) - len(after)]


def _own_negative(negative: str, preset: Preset) -> str | None:
    if not negative.startswith(preset.negative_prompt):
        return None
    return negative[len(preset.negative_prompt) :].removeprefix(", ")
