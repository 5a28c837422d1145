"""Pictures of the page that are kept, to see what a change does to its looks.

`python -m pytest tests/app/ui/test_looks.py --update` takes them anew: look at what git shows then.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops
from playwright.sync_api import Page

KEPT = Path(__file__).parents[2] / "data" / "looks"
SCALE = 0.5
"""Of a picture's width that is kept: enough to see a layout by, and small."""
VISIBLE = 40
"""Of 255. Less is the browser's way to smooth letters, and WebP's to store them."""
TOLERATED = 0.004
"""The part of all pixels that may differ visibly."""
STILL = """
*, ::before, ::after { animation: none !important; transition: none !important; caret-color: transparent !important; }
"""


def look(page: Page, without: str = "") -> Image.Image:
    """What is on the screen, with nothing in motion, and without what a selector names."""
    page.evaluate("document.fonts.ready")
    style = STILL + (f"{without} {{ visibility: hidden !important; }}" if without else "")
    taken = Image.open(BytesIO(page.screenshot(animations="disabled", caret="hide", style=style))).convert("RGB")
    return taken.resize((round(taken.width * SCALE), round(taken.height * SCALE)), Image.Resampling.BOX)


def keep(name: str, taken: Image.Image) -> None:
    KEPT.mkdir(exist_ok=True)
    taken.save(KEPT / f"{name}.webp", quality=80, method=6)


def difference(name: str, taken: Image.Image) -> float:
    """The part of the pixels that visibly differ from the picture that is kept; 1 if there is none of that size."""
    path = KEPT / f"{name}.webp"
    if not path.exists():
        return 1.0
    kept = Image.open(path).convert("RGB")
    if kept.size != taken.size:
        return 1.0
    levels = ImageChops.difference(kept, taken).convert("L").histogram()
    return sum(levels[VISIBLE:]) / (taken.width * taken.height)
