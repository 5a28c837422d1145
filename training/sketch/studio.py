"""Draws as the app does, whole presets through the engine, and tells what the pictures show."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from app.presets import Preset, Presets
from app.work.image import PlainKind, PlainRequest
from app.work.presets import AvatarKind, AvatarRequest, HeroKind, HeroRequest
from engines.events import ignore
from engines.sdxl.engine import SdxlEngine
from training.sketch import judge
from training.sketch.sayings import of_face, of_place


def asked(preset: Preset) -> dict[str, str]:
    """What the preset's own words ask of a picture, for each attribute that the judge knows."""
    text = preset.fill("someone")
    said = of_face(text) if preset.kind == "avatar" else of_place(text)
    kind = {"kind": "face" if preset.kind == "avatar" else "place"}
    return kind | {name: next(iter(values)) for name, values in said.items() if name in judge.HEADS}


class Studio:
    """The engine and the judge."""

    def __init__(self, model: Path) -> None:
        self.engine = SdxlEngine(model, "cpu", offline=True)
        self.network, _ = judge.load()

    def draw(
        self, preset: Preset | None, subject: str, count: int, seed: int, *, wide: bool = False
    ) -> list[Image.Image]:
        """`count` pictures in a trained size: wide ones for heroes, and where there is no preset as `wide` tells."""
        wide = wide if preset is None else preset.kind == "hero"
        values = {"prompt": subject, "seed": seed, "count": count, "width": 448 if wide else 256, "height": 256}
        if preset is None:
            work, _ = PlainKind(self.engine).prepare(PlainRequest.model_validate(values), {})
        elif wide:
            work, _ = HeroKind(self.engine, Presets((), (preset,))).prepare(HeroRequest.model_validate(values), {})
        else:
            work, _ = AvatarKind(self.engine, Presets((preset,), ())).prepare(AvatarRequest.model_validate(values), {})
        made = self.engine.generate(work, None, ignore, threading.Event())
        return [one.image for one in made.images]

    def see(self, pictures: Sequence[Image.Image]) -> list[dict[str, str]]:
        """What the judge takes each picture to show."""
        with torch.no_grad():
            guess = self.network(judge.tensor(np.stack([judge.look(picture) for picture in pictures])))
        return [
            {name: values[int(guess[name][row].argmax())] for name, values in judge.HEADS.items()}
            for row in range(len(pictures))
        ]
