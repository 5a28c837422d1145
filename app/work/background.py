"""What stands behind the people in a picture: what was drawn there, one colour, or nothing."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from PIL import Image, ImageColor

from engines.errors import InvalidRequest, ModelMissing
from engines.weights.store import ModelStore
from engines.words import shown

if TYPE_CHECKING:
    from engines.portrait.cut_out import CutOut

KEEP, TRANSPARENT = "keep", "transparent"

PORTRAIT_MODEL = "portrait"
"""Its name in the registry."""

REMEMBERED_BYTES = 48 * 2**20
"""Of cut-outs, decoded: those of 12 pictures of 1024 x 1024."""

NO_TRANSPARENCY = "JPEG has no transparency. Ask for png, webp or avif, or for a colour instead of transparent."


class BackgroundModelMissing(ModelMissing):
    """What parts people from their background is not on this machine. Not 503, which clients would send again."""

    status = 422
    retry_after = None
    field = "background"


def read_background(text: str) -> str:
    """Written in one way: keep, transparent, or #rrggbb in small letters. Raises InvalidRequest."""
    wanted = text.strip().lower()
    if wanted in (KEEP, TRANSPARENT):
        return wanted
    # An address takes what follows a # for something else, so that many leave it out.
    if re.fullmatch("#?[0-9a-f]{6}", wanted):
        return f"#{wanted[-6:]}"
    raise InvalidRequest(
        "background",
        f"background is {shown(text)}: send keep, transparent, or a colour as %23rrggbb, e.g. %23ffffff for white.",
    )


def laid_on(cut_out: Image.Image, background: str) -> Image.Image:
    """People in RGBA on what `read_background` gives: RGB on a colour, as they are on nothing."""
    if background == TRANSPARENT:
        return cut_out
    done = Image.new("RGB", cut_out.size, ImageColor.getrgb(background))
    done.paste(cut_out, mask=cut_out.getchannel("A"))
    return done


class CutOuts:
    """The people of pictures, without what is behind them; made once while they are remembered. Thread-safe."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._cut_out: CutOut | None = None
        self._made: OrderedDict[str, Image.Image] = OrderedDict()
        # Held while one is made: what is asked for at once (a picture and its crops) needs the same one, and two would
        # take each other's cores.
        self._lock = threading.Lock()

    def missing(self) -> str:
        """Why there can be none now and what to do about it, for a person; empty if there can. Reads the disk."""
        try:
            if self._store.here(PORTRAIT_MODEL) is not None:
                return ""
            size = self._store.registry.find(PORTRAIT_MODEL).download_bytes
        except ModelMissing as error:
            return str(error)
        return (
            f"Backgrounds are taken away by a model that is not here yet ({size / 1e6:.1f} MB). Get it on the page, or "
            f"with: python3 launch.py models pull {PORTRAIT_MODEL}"
        )

    def check(self) -> None:
        """Raises BackgroundModelMissing."""
        if told := self.missing():
            raise BackgroundModelMissing(told)

    def of(self, sha256: str, picture: Image.Image) -> Image.Image:
        """The people in the picture whose file has this hash, in RGBA; not to be written to.

        Raises BackgroundModelMissing, ModelInvalid, and NobodyFound for a picture without any.
        """
        with self._lock:
            known = self._made.get(sha256)
            if known is None:
                known = self._made[sha256] = self._model()(picture)
            self._made.move_to_end(sha256)
            while len(self._made) > 1 and sum(map(_bytes_of, self._made.values())) > REMEMBERED_BYTES:
                self._made.popitem(last=False)
            return known

    def _model(self) -> CutOut:
        if self._cut_out is None:
            self.check()
            folder = self._store.here(PORTRAIT_MODEL)
            assert folder is not None
            # Here, because it brings numpy along, which most starts never need.
            from engines.portrait.cut_out import CutOut

            self._cut_out = CutOut(folder)
        return self._cut_out


def _bytes_of(image: Image.Image) -> int:
    return image.width * image.height * 4
