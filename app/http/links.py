"""Links to files that need no token: signed, and good for an hour, as OpenAI's are. An `<img>` can load them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode

from app.signing import Signer
from engines.errors import StudioError

LASTS_SECONDS = 3600
PURPOSE = "file"


class LinkRefused(StudioError):
    """A link to a file is not, or no longer, good."""

    code = "link_refused"
    status = 403
    field = "signature"

    def __init__(self, why: str) -> None:
        super().__init__(f"This link {why}. Ask again for what it belongs to, which gives a new one, or send a token.")


class FileLinks:
    """Makes and checks them."""

    def __init__(self, signer: Signer, now: Callable[[], float] = time.time) -> None:
        self._signer = signer
        self._now = now

    def link(
        self, base_url: str, file_id: str, picture_format: str | None = None, background: str | None = None
    ) -> str:
        """An address under `base_url` (which ends with a slash) for whoever has it."""
        asked = {"format": picture_format, "background": background}
        wish = {name: value for name, value in asked.items() if value is not None}
        expires = str(int(self._now()) + LASTS_SECONDS)
        query = {**wish, "expires": expires, "signature": self._signer.sign(PURPOSE, file_id, expires)}
        return f"{base_url}files/{file_id}?{urlencode(query)}"

    def opens(self, path: str, query: bytes) -> bool:
        """Whether the request came by a link that is good; False if it has no signature. Raises LinkRefused."""
        match = re.fullmatch(r"/files/([^/]+)", path)
        if match is None or b"signature=" not in query:
            return False
        told = parse_qs(query.decode("latin-1"))
        expires, signature = told.get("expires", [""])[-1], told.get("signature", [""])[-1]
        if not re.fullmatch(r"\d{1,12}", expires) or not self._signer.matches(signature, PURPOSE, match[1], expires):
            raise LinkRefused("was changed or cut off")
        if self._now() >= int(expires):
            raise LinkRefused("has expired")
        return True
