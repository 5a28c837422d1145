"""What a model is, known before its weights are read: from `studio.json` in its folder, or SDXL's own figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.errors import ModelInvalid
from engines.results import ImageModelInfo
from engines.sdxl.samplers import DEFAULT_SAMPLER, SAMPLERS

STUDIO_JSON = "studio.json"

SDXL_SIZES = (
    (1024, 1024), (1152, 896), (896, 1152), (1216, 832), (832, 1216), (1344, 768), (768, 1344), (1536, 640),
    (640, 1536), (1088, 960), (960, 1088), (1280, 768), (768, 1280), (1408, 704), (704, 1408), (1472, 704),
    (704, 1472), (1600, 640), (640, 1600), (1664, 576), (576, 1664), (1728, 576), (576, 1728), (1792, 576),
    (576, 1792), (1856, 512), (512, 1856), (1984, 512), (512, 1984), (2048, 512), (512, 2048),
)  # fmt: skip
"""Width and height, pixels: the buckets of appendix I of the SDXL paper, about a megapixel each, usual ones first."""

SDXL_STEPS = 30
SDXL_GUIDANCE = 5.0

MAX_PIXELS = 2048 * 2048
MAX_PIXELS_ON_CPU = 1536 * 1024
"""A full SDXL picture of this size takes a CPU many minutes; a fixed-size model only enlarges, so is not held to it."""


def read_info(model: str | Path, device: str) -> ImageModelInfo:
    """What the model at a path or hub id is. Raises ModelInvalid when its studio.json cannot be used."""
    file = Path(model) / STUDIO_JSON
    if file.is_file():
        return _described(_Description(file), device)
    name = _name(model)
    return ImageModelInfo(
        name=name,
        label=f"{name} (SDXL)",
        demo=False,
        device=device,
        sizes=SDXL_SIZES,
        fixed_sizes=False,
        num_inference_steps=SDXL_STEPS,
        guidance_scale=SDXL_GUIDANCE,
        sampler=DEFAULT_SAMPLER,
        samplers=tuple(SAMPLERS),
        own_recipe=False,
        max_pixels=MAX_PIXELS_ON_CPU if device == "cpu" else MAX_PIXELS,
    )


def _name(model: str | Path) -> str:
    path = Path(model)
    if path.suffix == ".safetensors":
        return path.stem
    return path.resolve().name if path.is_dir() else str(model)


def _described(description: _Description, device: str) -> ImageModelInfo:
    name = description.text("name", description.file.parent.resolve().name)
    demo = description.flag("demo", default=False)
    samplers = description.samplers()
    return ImageModelInfo(
        name=name,
        label=_label(description.text("label", name), demo=demo),
        demo=demo,
        device=device,
        sizes=description.sizes(),
        fixed_sizes=True,
        num_inference_steps=int(description.number("num_inference_steps", SDXL_STEPS, low=1, high=150, whole=True)),
        guidance_scale=description.number("guidance_scale", SDXL_GUIDANCE, low=1, high=30),
        sampler=description.choice("sampler", samplers),
        samplers=samplers,
        own_recipe=True,
        max_pixels=MAX_PIXELS,
    )


def _label(label: str, *, demo: bool) -> str:
    """A demo model says that it is one, whatever its studio.json says."""
    return label if not demo or "demo" in label.lower() else f"{label} (demo model)"


class _Description:
    """A studio.json whose values are checked as they are taken; every complaint names the file and the key."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:  # not JSON, or not UTF-8
            raise ModelInvalid(f"{file}: not readable as JSON ({error}). Correct or remove the file.") from error
        if not isinstance(values, dict):
            raise ModelInvalid(f"{file}: must hold one JSON object, not a {type(values).__name__}.")
        self._values: Mapping[str, Any] = values

    def text(self, key: str, default: str) -> str:
        value = self._values.get(key, default)
        if not isinstance(value, str) or not value.strip() or "\n" in value:
            raise self._invalid(key, "a line of text")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self._invalid(key, "true or false")
        return value

    def number(self, key: str, default: float, *, low: float, high: float, whole: bool = False) -> float:
        value = self._values.get(key, default)
        allowed = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed) or not low <= value <= high:
            raise self._invalid(key, f"a {'whole ' if whole else ''}number from {low} to {high}")
        return float(value)

    def sizes(self) -> tuple[tuple[int, int], ...]:
        value = self._values.get("sizes")
        if not isinstance(value, list) or not value or not all(map(_is_size, value)):
            raise self._invalid("sizes", "a list of [width, height], each a multiple of 8 from 8 to 2048")
        return tuple((width, height) for width, height in value)

    def samplers(self) -> tuple[str, ...]:
        value = self._values.get("samplers", list(SAMPLERS))
        if not isinstance(value, list) or not value or not all(isinstance(n, str) and n in SAMPLERS for n in value):
            raise self._invalid("samplers", f"a list of names out of {', '.join(SAMPLERS)}")
        return tuple(value)

    def choice(self, key: str, among: tuple[str, ...]) -> str:
        value = self._values.get(key, among[0])
        if value not in among:
            raise self._invalid(key, f"one of {', '.join(among)}")
        return str(value)

    def _invalid(self, key: str, wanted: str) -> ModelInvalid:
        found = json.dumps(self._values[key]) if key in self._values else "missing"
        return ModelInvalid(f"{self.file}: {key!r} is {found} but must be {wanted}.")


def _is_size(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(side) is int and 8 <= side <= 2048 and side % 8 == 0 for side in value)
    )
