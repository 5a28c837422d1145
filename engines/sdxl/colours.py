"""What a photo's numbers look like: colour profiles (ICC.1) of strangers, followed by way of littlecms."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageCms

MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""Colour spaces of a profile's header that pictures of the three formats have, as Pillow's modes."""

GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B")

BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError)
"""What Pillow raises on a profile that littlecms does not take."""


@dataclass(frozen=True, slots=True)
class Profile:
    """`mode`: Pillow's mode of the numbers that the profile explains: RGB, L or CMYK."""

    mode: str
    data: bytes

    @classmethod
    def read(cls, data: bytes | None) -> Profile | None:
        """None for what no picture can have. Only the header is looked at: `to_srgb` does the rest."""
        mode = MODES.get((data or b"")[16:20])
        return None if mode is None or data is None else cls(mode, data)

    def explains(self, mode: str) -> bool:
        """Whether it fits a picture of this mode. Cameras give grey pictures their colour profile, too."""
        if self.mode == "CMYK" or mode == "CMYK":
            return self.mode == mode
        return self.mode == "RGB" or mode in GREY_MODES


def to_srgb(picture: Image.Image, profile: Profile | None) -> Image.Image:
    """RGB; `picture` is of the profile's mode. As if without a profile where that is broken.

    Relative colorimetric with black point compensation, as browsers and image editors do by default: white stays white.
    """
    if profile is None:
        return picture
    try:
        return ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(io.BytesIO(profile.data)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        ) or picture.convert("RGB")
    except BROKEN:
        return picture.convert("RGB")
