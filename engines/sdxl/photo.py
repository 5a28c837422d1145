"""The picture that a request starts from: its limits, and its decoding at the size needed, one at a time."""

from __future__ import annotations

import math
import os
import stat
import struct
from pathlib import Path
from threading import Event, Lock
from typing import BinaryIO

from PIL import ExifTags, Image, ImageOps

from engines.errors import Cancelled, InvalidMedia
from engines.sdxl.colours import Profile, to_srgb
from engines.sdxl.photo_file import PhotoHeader, read_header, read_profile, without_extras

MAX_PHOTO_PIXELS = 64_000_000
"""Above a phone's 50 megapixels; decoded it takes 256 MB. On the way there a progressive JPEG takes up to 0.7 GB and a
WebP 1 GB, since their decoders hold the picture several times."""

MAX_PHOTO_BYTES = 64 * 2**20
"""Of the encoded file. A photo of 50 megapixels has 15 to 30 MB; a decoder may hold the whole file in memory."""

WHOLE_PIXELS = 4 * 2048 * 2048
"""Up to this a picture is worked on as a whole: twice as wide and twice as high as the largest that a model makes.
Every copy that its turning and its flattening take then has at most 67 MB."""

DRAFT_GAP = 2
"""A JPEG is decoded at least this many times as wide and as high as needed, so that the rest is left to the better
filter. Pillow's own thumbnails keep the same distance."""

DAMAGED = (OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, struct.error)
"""What Pillow's decoders raise on damaged data."""

_decoding = Lock()
"""Held by whoever decodes: memory for one photo, however many engines and threads a process has."""


def check_photo(path: Path) -> None:
    """Raise InvalidMedia for a file that is no picture, or one too large, as its header tells. Reads a few kilobytes.

    Damage behind the header shows in `load_photo`.
    """
    with _open(path) as file:
        _header(file)


def load_photo(path: Path, width: int, height: int, cancel: Event) -> Image.Image:
    """Decode a picture to upright sRGB of width x height pixels: covered by it, centred, white where it is transparent.

    A colour profile in the file is followed; one that is broken or above 2 MB is taken as absent.

    One runs at a time in a process, others wait for it. An animation gives its first frame. Raises Cancelled if
    `cancel` is set when the turn comes, and InvalidMedia for what is no picture, is damaged, or is too large.
    """
    with _decoding:
        if cancel.is_set():
            raise Cancelled
        with _open(path) as file:
            header = _header(file)
            try:
                profile = Profile.read(read_profile(file, header.format))
                picture, profile = _decode(file, header, profile, width, height)
                # Last, since colours take 0.1 s a megapixel.
                return to_srgb(cover(picture, width, height), profile)
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                # A file may tell two sizes, of which the header's reader and Pillow take different ones.
                raise InvalidMedia("photo", _too_large("more than 89 megapixels")) from error
            except DAMAGED as error:
                raise _damaged(error) from error


def cover(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Enlarge or shrink so that the picture covers width x height pixels, and cut off what hangs over, centred."""
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def _open(path: Path) -> BinaryIO:
    try:
        # Looked at before it is opened, since opening a pipe waits for somebody to write to it.
        about = path.stat()
        if stat.S_ISREG(about.st_mode) and about.st_size <= MAX_PHOTO_BYTES:
            return path.open("rb")
    except OSError as error:
        raise InvalidMedia("photo", f"photo cannot be read ({error.strerror}): upload it again.") from error
    if not stat.S_ISREG(about.st_mode):
        raise InvalidMedia("photo", "photo is not a regular file: upload a PNG, JPEG or WebP picture.")
    raise InvalidMedia(
        "photo",
        f"photo has {about.st_size / 2**20:.1f} MB: upload one of at most {MAX_PHOTO_BYTES // 2**20} MB.",
    )


def _header(file: BinaryIO) -> PhotoHeader:
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise InvalidMedia("photo", "photo is empty (0 bytes): upload a PNG, JPEG or WebP picture.")
    try:
        header = read_header(file)
    except (OSError, ValueError) as error:
        raise _damaged(error) from error
    if header is None:
        raise InvalidMedia("photo", f"photo ({size} bytes) is not a PNG, JPEG or WebP picture: upload one of these.")
    _check_pixels(header.width, header.height)
    return header


def _decode(
    file: BinaryIO, header: PhotoHeader, profile: Profile | None, width: int, height: int
) -> tuple[Image.Image, Profile | None]:
    """Upright, not yet of the size, but large enough to cover it; of the profile's mode and with it where that fits."""
    with Image.open(without_extras(file, header.format), formats=(header.format,)) as picture:
        _check_pixels(*picture.size)
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation in (5, 6, 7, 8):  # lies on its side
            width, height = height, width
        picture.draft(None, (DRAFT_GAP * width, DRAFT_GAP * height))
        picture.load()
        profile = profile if profile and profile.explains(picture.mode) else None
        mode = profile.mode if profile else "RGB"
        if picture.width * picture.height <= WHOLE_PIXELS:
            return _flatten(ImageOps.exif_transpose(picture), mode), profile
        part = _reduce(picture, mode, width, height)
    part.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(part), profile


def _reduce(picture: Image.Image, mode: str, width: int, height: int) -> Image.Image:
    """The middle of a large picture that width x height will show, at most WHOLE_PIXELS of it, flattened.

    By strips, so that no second copy of the whole is made, whatever the mode. Each pixel is the mean of a square.
    """
    wide = min(picture.width, math.ceil(picture.height * width / height))
    high = min(picture.height, math.ceil(picture.width * height / width))
    left, top = (picture.width - wide) // 2, (picture.height - high) // 2
    factor = math.ceil(math.sqrt(wide * high / WHOLE_PIXELS))
    part = Image.new(mode, (math.ceil(wide / factor), math.ceil(high / factor)))
    rows = factor * math.ceil(2**20 / (wide * factor))
    for row in range(0, high, rows):
        strip = picture.crop((left, top + row, left + wide, top + min(row + rows, high)))
        part.paste(_flatten(strip, mode).reduce(factor), (0, row // factor))
    return part


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PHOTO_PIXELS:
        raise InvalidMedia("photo", _too_large(f"{width} x {height} pixels"))


def _too_large(size: str) -> str:
    return f"photo has {size}: upload one of at most {MAX_PHOTO_PIXELS // 1_000_000} megapixels."


def _damaged(error: Exception) -> InvalidMedia:
    return InvalidMedia("photo", f"photo is damaged or cut off ({error}): save the picture again and upload that.")


def _flatten(picture: Image.Image, mode: str) -> Image.Image:
    """Of the mode RGB, L or CMYK; transparent parts become white, as on a page."""
    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion would clip to white
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    return picture.convert(mode)
