"""What the publisher of the Vosk models has: where each archive is, its size and its checksum. Fetches none of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from engines.errors import ModelMissing
from engines.weights.download import Source

VOSK_MODELS = "https://alphacephei.com/vosk/models/"
LIST = "model-list.json"

UNPACKED_FACTOR = 4
"""A Vosk model's files take about 1.5 times its archive, the small Korean one's 2.9. More than this is refused."""


@dataclass(frozen=True, slots=True)
class Published:
    """An archive of the publisher's, whose size and checksum are asked for when it is pulled."""

    name: str
    about_bytes: int


@dataclass(frozen=True, slots=True)
class VoskPublisher:
    """The publisher; `base` is another one for tests."""

    base: str = VOSK_MODELS

    def find(self, model: Published, client: httpx.Client) -> Source:
        """Ask for the size and the checksum of the archive. Raises ModelMissing: no answer, or not in the list."""
        address = urljoin(self.base, LIST)
        try:
            entries = {entry["name"]: entry for entry in client.get(address).raise_for_status().json()}
            entry = entries.get(model.name)
            if entry is None:
                raise ModelMissing(
                    f"The publisher does not list {model.name} any more: look at {self.base} for what replaces it."
                )
            size, md5 = int(entry["size"]), str(entry["md5"]).lower()
            if size <= 0 or not re.fullmatch(r"[0-9a-f]{32}", md5):
                raise ValueError
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ModelMissing(
                f"{address}, which tells the size and the checksum of {model.name}, could not be read. Check the "
                "network connection and try again."
            ) from error
        return Source(archive_url(model.name, self.base), size, "", md5=md5)


def archive_url(name: str, base: str = VOSK_MODELS) -> str:
    """Where the publisher has an archive. Made here, so that its list cannot name another host."""
    return urljoin(base, f"{name}.zip")
