"""What a model may be called: standard library only, for whoever judges a name before anything is loaded."""

from __future__ import annotations

import re
from pathlib import Path

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def is_hub_id(model: str | Path) -> bool:
    """True for `owner/name` that is no path here."""
    return isinstance(model, str) and HUB_ID.fullmatch(model) is not None and not Path(model).exists()
