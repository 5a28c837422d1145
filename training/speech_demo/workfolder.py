"""The folder in which a build leaves what is between its stages, and for which recipe that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_NAME = "recipe.json"


def claim(folder: Path, recipe: dict[str, Any]) -> None:
    """Make the folder, or go on in it if it was begun with the same recipe (JSON types).

    Raises ValueError if it was begun with another: its files would be taken for this one's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _NAME
    if not path.exists():
        path.write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    if changed := sorted(key for key in recipe.keys() | before.keys() if recipe.get(key) != before.get(key)):
        raise ValueError(
            f"{folder} was begun with another {' and '.join(changed)}: start over with --fresh, or name another --work."
        )
