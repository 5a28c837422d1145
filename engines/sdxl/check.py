"""What can be told of a request before any model is loaded."""

from __future__ import annotations

from pathlib import Path

from engines.limits import check_image
from engines.requests import ImageRequest
from engines.results import ImageModelInfo, Unused
from engines.sdxl.photo import check_photo
from engines.sdxl.syntax import read_prompt


def check_request(request: ImageRequest, photo: Path | None, info: ImageModelInfo) -> tuple[Unused, ...]:
    """Raise InvalidRequest if the model cannot serve the request; else what it will not use."""
    check_image(request, info)
    if photo is not None:
        check_photo(photo)
    texts = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    return tuple(Unused(field, said) for field, text in texts.items() for said in read_prompt(text).warnings)
