"""Make the icons of the installed page from app/ui/static/carrot.svg: `python -m docs.icons`; needs
tests/requirements.txt."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser import chromium

STATIC = Path(__file__).parents[1] / "app" / "ui" / "static"
PAPER = "#faf9f7"
ICONS = {
    "icon-192.png": (192, 0.78, True),
    "icon-512.png": (512, 0.78, True),
    # The system may cut away all but a circle of 80 %: the carrot stays within it.
    "icon-maskable-512.png": (512, 0.56, False),
    "apple-touch-icon.png": (180, 0.66, False),
}
"""Pixels, the carrot's part of the width, and whether the corners are round here or left to the system to cut."""


def main() -> None:
    carrot = (STATIC / "carrot.svg").read_text(encoding="utf-8")
    with sync_playwright() as playwright, chromium(playwright) as browser:
        page = browser.new_page()
        for name, (size, part, round_corners) in ICONS.items():
            page.set_viewport_size({"width": size, "height": size})
            radius = "22%" if round_corners else "0"
            page.set_content(
                f"<style>*{{margin:0}}div{{width:100vw;height:100vh;display:grid;place-items:center;background:{PAPER};"
                f"border-radius:{radius}}}svg{{width:{part:.0%};height:{part:.0%}}}</style><div>{carrot}</div>"
            )
            shot = Image.open(BytesIO(page.screenshot(omit_background=round_corners)))
            shot.quantize(64, method=Image.Quantize.FASTOCTREE).save(STATIC / name, optimize=True)
            print(STATIC / name)


if __name__ == "__main__":
    main()
