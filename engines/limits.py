"""What one model cannot do that another can: checked at the door, before a request costs anything."""

from __future__ import annotations

from engines.errors import InvalidRequest
from engines.requests import ImageRequest
from engines.results import ImageModelInfo
from engines.words import did_you_mean, shown


def check_image(request: ImageRequest, info: ImageModelInfo) -> None:
    """Raise InvalidRequest if the model cannot serve the request. The photo is the engine's to look at."""
    pixels = request.width * request.height
    if pixels > info.max_pixels:
        raise InvalidRequest(
            "width",
            f"{request.width} x {request.height} is {pixels:,} pixels: {info.name} on {info.device} makes at most "
            f"{info.max_pixels:,}; choose a smaller width or height.",
        )
    if request.sampler is not None and request.sampler not in info.samplers:
        raise InvalidRequest(
            "sampler",
            f"sampler is {shown(request.sampler)}.{did_you_mean(request.sampler, info.samplers)} "
            f"Choose one of {', '.join(info.samplers)}.",
        )
