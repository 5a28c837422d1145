"""How the page looks: colours, type, style sheet. Everything comes from this machine; no request leaves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from app.i18n.language import language
from app.i18n.texts import say
from app.ui.assets import SHEET, Assets
from app.ui.script_words import script_words
from app.ui.sheet import scoped
from app.ui.shell import preload

STATIC = Path(__file__).parent / "static"
SCRIPTS = (
    "words.js",
    "queue.js",
    "keep.js",
    "keys.js",
    "problems.js",
    "connection.js",
    "page.js",
    "transcript.js",
    "corrections.js",
    "live.js",
    "presets.js",
    "drawers.js",
    "done.js",
    "library.js",
    "pictures.js",
    "drop.js",
    "background.js",
    "language.js",
)
"""In this order: keep.js makes `window.studio`, which others use."""

SYSTEM_FONTS = ("Inter", "ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


PAGE, PAGE_DARK = "#faf9f7", "#14110f"
FONT = "inter-latin.woff2"
SCRIPT = "studio.js"
ICONS = {
    "icon-192.png": ("192x192", "any"),
    "icon-512.png": ("512x512", "any"),
    "icon-maskable-512.png": ("512x512", "maskable"),
}
"""What an installed page has on the home screen: size, and whether the system may cut it to its own shape."""
TOUCH_ICON = "apple-touch-icon.png"


def mount_options() -> dict[str, Any]:
    """What `gr.mount_gradio_app` must be given for this page."""
    return {
        "theme": theme(),
        "favicon_path": str(STATIC / "carrot.svg"),
        "footer_links": ["api"],
        # Gradio would keep every run's inputs in the browser's storage.
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
    }


def own_files() -> dict[str, bytes]:
    """Files of ours that the page asks for, by name."""
    files = {name: (STATIC / name).read_bytes() for name in (FONT, TOUCH_ICON, *ICONS)}
    return {**files, SCRIPT: page_script().encode(), SHEET: scoped(page_css(), gr.__version__).encode()}


def page_css() -> str:
    """What the page adds to Gradio's looks."""
    return _static("style.css")


def page_script() -> str:
    """What runs once the page has been read."""
    return "\n".join(map(_static, SCRIPTS))


def page_words() -> str:
    """The texts that the page's scripts take from its head, in the language at hand."""
    words = json.dumps(script_words(), ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="page-words">{words}</script>'


def head(assets: Assets) -> str:
    """What the page's head begins with: what must be known before anything is drawn."""
    font = f"./{assets.address(FONT)}"
    face = (
        "@font-face{font-family:'Inter';font-style:normal;font-weight:100 900;font-display:swap;"
        f"src:url({font}) format('woff2');}}"
    )
    return (
        f"<script>{_static('speak.js')}</script>{page_words()}"
        f'<meta name="theme-color" content="{PAGE}" data-light="{PAGE}" data-dark="{PAGE_DARK}">'
        f'<link rel="apple-touch-icon" href="./{assets.address(TOUCH_ICON)}">'
        f"<script>{_static('theme.js')}</script><style>{face}{_static('head.css')}</style>"
    )


def preloads(assets: Assets, theme_hash: str) -> tuple[str, ...]:
    """What the page's head asks for early. `theme_hash`: Gradio's name for this theme's version."""
    return (
        preload(f"./{assets.address(FONT)}", "font", crossorigin=True),
        preload(f"theme.css?v={theme_hash}", "style"),
    )


def manifest(assets: Assets) -> dict[str, object]:
    """What a browser is told that installs the page (W3C, Web Application Manifest)."""
    return {
        "name": "Carrot Studio",
        "short_name": "Carrot",
        "description": say("Avatars, hero images and transcription"),
        "lang": language(),
        "id": "/",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": PAGE,
        "theme_color": PAGE,
        "icons": [
            {"src": assets.address(name), "sizes": size, "type": "image/png", "purpose": purpose}
            for name, (size, purpose) in ICONS.items()
        ],
    }


def theme() -> gr.themes.Base:
    """Carrot orange on warm grey."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.orange,
        secondary_hue=gr.themes.colors.orange,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        text_size=gr.themes.sizes.text_md,
        font=SYSTEM_FONTS,
        font_mono=MONO_FONTS,
    ).set(
        body_background_fill=PAGE,
        body_background_fill_dark=PAGE_DARK,
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1c1917",
        background_fill_secondary="#f5f3f0",
        background_fill_secondary_dark="#231f1c",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1c1917",
        block_radius="12px",
        container_radius="12px",
        input_radius="9px",
        block_border_width="1px",
        block_border_color="#e7e3de",
        block_border_color_dark="#332d29",
        border_color_primary="#e7e3de",
        border_color_primary_dark="#332d29",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="#6b635c",
        block_label_text_color_dark="#a8a09a",
        block_title_text_weight="600",
        block_title_text_color="#44403c",
        block_title_text_color_dark="#d6d3d1",
        block_info_text_color="#6b635c",
        block_info_text_color_dark="#a8a29e",
        body_text_color="#292524",
        body_text_color_dark="#e7e5e4",
        body_text_color_subdued="#6b635c",
        body_text_color_subdued_dark="#a8a29e",
        input_background_fill="#ffffff",
        input_background_fill_dark="#141210",
        input_border_width="1px",
        input_border_color="#dcd7d0",
        input_border_color_dark="#3d3631",
        input_border_color_focus="#f97316",
        input_border_color_focus_dark="#f97316",
        input_shadow_focus="0 0 0 3px rgba(249,115,22,.18)",
        input_shadow_focus_dark="0 0 0 3px rgba(249,115,22,.25)",
        # White on it has a contrast of 4.5; on orange 500 it would be 2.8.
        button_primary_background_fill="#d4450c",
        button_primary_background_fill_hover="#b93a08",
        button_primary_background_fill_dark="#d4450c",
        button_primary_background_fill_hover_dark="#ea580c",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#292524",
        button_secondary_background_fill_hover="#f5f3f0",
        button_secondary_background_fill_hover_dark="#3a342f",
        button_secondary_border_color="#dcd7d0",
        button_secondary_border_color_dark="#44403c",
        button_border_width="1px",
        button_large_text_weight="600",
        button_medium_text_weight="500",
        button_transform_active="none",
        slider_color="#ea580c",
        slider_color_dark="#ea580c",
        checkbox_background_color_selected="#ea580c",
        checkbox_background_color_selected_dark="#ea580c",
    )


def _static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
