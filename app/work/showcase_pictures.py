"""The pictures of a showcase: one of each preset and one of each example, small, made by the model in use.

Those of the built-in model are shipped. For any other they are made one at a time where its device has nothing else to
do, and kept in the data folder. A picture's name holds a digest of all that decides it: a preset that has changed, or
another model, has other pictures.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from PIL import Image

from app.presets import KINDS, Kind, Preset, Presets
from app.work.image import PictureWork
from app.work.presets import AvatarKind, AvatarRequest, HeroKind, HeroRequest
from app.work.showcase import Showcase
from engines.errors import Cancelled, InvalidRequest, StudioError
from engines.events import ignore
from engines.protocols import ImageEngine

log = logging.getLogger(__name__)

PRESET_SIZES: Mapping[Kind, tuple[int, int]] = {"avatar": (168, 168), "hero": (224, 128)}
EXAMPLE_SIZES: Mapping[Kind, tuple[int, int]] = {"avatar": (360, 360), "hero": (448, 256)}
"""Width and height, pixels: twice those on the page."""

QUALITY = 78


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture that is there or is to be made."""

    file: str
    work: PictureWork
    size: tuple[int, int]


class ShowcasePictures:
    """All of them, by what they are of. Thread-safe, but for `make_one`."""

    def __init__(
        self,
        engine: ImageEngine,
        presets: Presets,
        showcase: Showcase,
        *,
        shipped: Path | None,
        own: Path,
        makes: bool = True,
    ) -> None:
        """`shipped`: where the built-in model's are; `own`: where those that are made go. Neither need exist. `makes`:
        whether somebody calls `make_one`."""
        self.makes = makes
        """Whether those that are missing will come."""
        self._engine = engine
        self._own = own
        self._folders = [folder for folder in (shipped, own) if folder is not None]
        avatars, heroes = AvatarKind(engine, presets), HeroKind(engine, presets)

        def work_of(kind: Kind, prompt: str, preset: str, seed: int) -> PictureWork:
            values = {"prompt": prompt, "preset": preset, "seed": seed}
            if kind == "avatar":
                return avatars.prepare(AvatarRequest.model_validate(values), {})[0]
            return heroes.prepare(HeroRequest.model_validate(values), {})[0]

        self._examples: dict[tuple[Kind, int], ShownPicture] = {}
        self._presets: dict[tuple[Kind, str], ShownPicture] = {}
        for kind in KINDS:
            of_kind = showcase.of(kind)
            for number, example in enumerate(of_kind.examples):
                try:
                    work = work_of(kind, example.prompt, example.preset, example.seed)
                except InvalidRequest:  # a size, say, that this model cannot draw
                    continue
                self._examples[kind, number] = self._picture(kind, f"example-{number + 1}", work, EXAMPLE_SIZES[kind])
            for preset in showcase.in_order(kind, presets):
                try:
                    work = work_of(kind, of_kind.subject, preset.id, of_kind.seed)
                except InvalidRequest:
                    continue
                self._presets[kind, preset.id] = self._picture(kind, preset.id, work, PRESET_SIZES[kind])
        self._by_file = {picture.file: picture for picture in (*self._examples.values(), *self._presets.values())}

    def of_preset(self, preset: Preset) -> str | None:
        """The name of its picture, if that is there."""
        return self._if_here(self._presets.get((preset.kind, preset.id)))

    def of_example(self, kind: Kind, number: int) -> str | None:
        """The name of its picture, if that is there. Numbers start at 0."""
        return self._if_here(self._examples.get((kind, number)))

    def path(self, file: str) -> Path | None:
        """Where a picture lies, if it is one of these and there."""
        if file not in self._by_file:
            return None
        return next((folder / file for folder in self._folders if (folder / file).is_file()), None)

    @property
    def files(self) -> frozenset[str]:
        """The names of all, there or not."""
        return frozenset(self._by_file)

    def missing(self) -> list[ShownPicture]:
        """What is still to be made, in the order in which a person sees it."""
        return [picture for file, picture in self._by_file.items() if self.path(file) is None]

    def make_one(self, cancel: Event) -> bool:
        """Make the next missing picture, on the thread that may use the engine. Whether it is worth calling again.

        Ends early where `cancel` is set: a person's work goes first.
        """
        missing = self.missing()
        if not missing:
            return False
        try:
            self._make(missing[0], cancel)
        except Cancelled:
            return True
        except (StudioError, OSError) as error:
            # Nobody waits for it, and the next would fail alike.
            log.warning("the pictures of presets are not made: %s", error)
            self.makes = False
            return False
        return len(missing) > 1

    def _make(self, picture: ShownPicture, cancel: Event) -> None:
        image = self._engine.generate(picture.work, None, ignore, cancel).images[0].image
        self._own.mkdir(parents=True, exist_ok=True)
        part = self._own / f".{secrets.token_hex(4)}.part"
        fitted(image, picture.size).save(part, "WEBP", quality=QUALITY, method=6)
        part.replace(self._own / picture.file)

    def _if_here(self, picture: ShownPicture | None) -> str | None:
        return picture.file if picture is not None and self.path(picture.file) is not None else None

    def _picture(self, kind: Kind, of: str, work: PictureWork, size: tuple[int, int]) -> ShownPicture:
        info = self._engine.info
        decides = [
            info.name,
            work.prompt,
            work.negative_prompt,
            work.seed,
            work.width,
            work.height,
            work.num_inference_steps or info.num_inference_steps,
            work.guidance_scale or info.guidance_scale,
            work.sampler or info.sampler,
            size,
        ]
        digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:10]
        return ShownPicture(f"{kind}-{re.sub('[^a-z0-9-]', '', of)}-{digest}.webp", work, size)


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture in another shape and size."""
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = size[0] / scale, size[1] / scale
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, left + width, top + height)
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, box=box)
