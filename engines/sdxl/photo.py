"""The picture that a request starts from: decoded with limits, upright, without transparency."""

from __future__ import annotations

import io

from PIL import Image, ImageOps, UnidentifiedImageError

from engines.errors import InvalidMedia

FORMATS = ("PNG", "JPEG", "WEBP")

MAX_PHOTO_PIXELS = 64_000_000
"""Above a phone's 50 megapixels; decoded it takes 256 MB."""


def read_photo(data: bytes) -> Image.Image:
    """Decode a picture to upright RGB. Raises InvalidMedia for what is none, is cut off, or is too large."""
    if not data:
        raise InvalidMedia("init_image", "init_image is empty (0 bytes): upload a PNG, JPEG or WebP picture.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(picture)
            picture.load()
            return _flatten(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError as error:
        raise InvalidMedia(
            "init_image", f"init_image ({len(data)} bytes) is not a PNG, JPEG or WebP picture: upload one of these."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidMedia("init_image", _too_large("more than 89 megapixels")) from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise on damaged data
        raise InvalidMedia(
            "init_image", f"init_image is damaged or cut off ({error}): save the picture again and upload that."
        ) from error


def cover(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Enlarge or shrink so that the picture covers width x height pixels, and cut off what hangs over, centred."""
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def _check_size(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PHOTO_PIXELS:
        raise InvalidMedia("init_image", _too_large(f"{picture.width} x {picture.height} pixels"))


def _too_large(size: str) -> str:
    return f"init_image has {size}: upload one of at most {MAX_PHOTO_PIXELS // 1_000_000} megapixels."


def _flatten(picture: Image.Image) -> Image.Image:
    """RGB; transparent parts become white, as on a page."""
    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion would clip to white
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")
