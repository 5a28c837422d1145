"""A stored picture as somebody wants it: another format, smaller, a square, enlarged, with a headline, on another
background. Nothing of it is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath

from PIL import Image, ImageOps

from app.work.background import KEEP, NO_TRANSPARENCY, TRANSPARENT, laid_on
from app.work.image import RECIPE, PictureFormat, encode_picture
from engines.errors import InvalidRequest
from engines.picture_parts import read_texts

CutOut = Callable[[Image.Image], Image.Image]
"""The people in a picture, in RGBA."""

SUFFIXES: dict[PictureFormat, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "avif": ".avif"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made of a picture. All sizes in pixels."""

    format: PictureFormat | None = None
    """None: as it is stored where nothing else is asked for, else PNG."""
    width: int | None = None
    """At most this wide: never enlarged."""
    square: int | None = None
    """The largest square in its middle, at this side."""
    enlarge: int = 1
    """This many times as wide and high, by Lanczos' filter: no detail is added."""
    recipe: bool = True
    """Whether how it was made is in the file. One that is made smaller never has it: that is made to be shown."""
    headline: str = ""
    """Text laid over it."""
    background: str = KEEP
    """What stands behind the people in it, as `read_background` gives it."""

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if self.background == TRANSPARENT and self.format == "jpeg":
            raise InvalidRequest("background", f"background is transparent, and {NO_TRANSPARENCY}")

    @property
    def as_stored(self) -> bool:
        return self == Wish() or self == Wish(format="png")

    @property
    def key(self) -> str:
        """Different for each wish."""
        behind = "" if self.background == KEEP else f"-{self.background.lstrip('#')}"
        return f"{self.format or ''}-{self.width or ''}-{self.square or ''}-{self.enlarge}-{self.recipe:d}{behind}"

    def name(self, stored: str) -> str:
        """The file's name, which tells what it is."""
        path = PurePath(stored)
        told = f"-{self.square}" if self.square else f"-w{self.width}" if self.width else ""
        told += "-enlarged-lanczos" if self.enlarge > 1 else ""
        told += "-headline" if self.headline else ""
        told += "" if self.background == KEEP else f"-{self.background.lstrip('#')}"
        return f"{path.stem}{told}{SUFFIXES[self.format or 'png']}"


def made(data: bytes, wish: Wish, cut_out: CutOut | None = None) -> bytes:
    """The picture file that is wished for. `cut_out` is needed for another background.

    Raises InvalidRequest for a headline that cannot be set, and what `cut_out` raises.
    """
    recipe = read_texts(BytesIO(data)).get(RECIPE, "")
    image: Image.Image = Image.open(BytesIO(data))
    image.load()
    shown = wish.square or (wish.width and wish.width < image.width)
    for step in _steps(wish, cut_out):
        image = step(image)
    return encode_picture(image, wish.format or "png", recipe if wish.recipe and not shown else "")


def _steps(wish: Wish, cut_out: CutOut | None) -> list[Callable[[Image.Image], Image.Image]]:
    lanczos = Image.Resampling.LANCZOS
    steps: list[Callable[[Image.Image], Image.Image]] = []
    if wish.background != KEEP:
        assert cut_out is not None
        take = cut_out
        steps.append(lambda image: laid_on(take(image), wish.background))
    if wish.headline:
        # Here, because it brings numpy along, which no other wish needs.
        from app.work.headline import with_headline

        steps.append(lambda image: with_headline(image, wish.headline))
    if (side := wish.square) is not None:
        steps.append(lambda image: ImageOps.fit(image, (side, side), lanczos))
    if wish.enlarge > 1:
        steps.append(lambda image: image.resize((image.width * wish.enlarge, image.height * wish.enlarge), lanczos))
    if (width := wish.width) is not None:
        steps.append(
            lambda image: (
                image
                if width >= image.width
                else image.resize((width, max(1, round(image.height * width / image.width))), lanczos)
            )
        )
    return steps
