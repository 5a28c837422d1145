"""An engine that does not use every word of a prompt."""

from __future__ import annotations

import re
from pathlib import Path

from engines.requests import ImageRequest
from engines.results import Unused
from tests.small_engines import BlobEngine


class Picky(BlobEngine):
    """Knows no extra networks, as A1111's users write them: <lora:name:weight>."""

    def check(self, request: ImageRequest, photo: Path | None) -> tuple[Unused, ...]:
        found = re.findall(r"<\w+:[^>]*>", request.prompt)
        mine = tuple(Unused("prompt", f"{words} is not known here and was not used.") for words in found)
        return (*BlobEngine.check(self, request, photo), *mine)
