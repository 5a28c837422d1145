"""How the page looks: colours, type, style sheet. Everything comes from this machine; no request leaves it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import gradio as gr

STATIC = Path(__file__).parent / "static"
SYSTEM_FONTS = ("Inter", "ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def mount_options() -> dict[str, Any]:
    """What `gr.mount_gradio_app` must be given for this page."""
    return {
        "theme": theme(),
        "css": style_sheet(),
        "head": f"<style>{_static('head.css')}</style><script>{page_script()}</script>",
        "favicon_path": str(STATIC / "carrot.svg"),
        "footer_links": ["api"],
        # Gradio would keep every run's inputs in the browser's storage.
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
    }


def page_script() -> str:
    """The script that the page puts into its head."""
    return "".join(map(_static, ("queue.js", "page.js", "transcript.js", "live.js")))


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
        body_background_fill="#faf9f7",
        body_background_fill_dark="#14110f",
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
        block_info_text_color="#78716c",
        block_info_text_color_dark="#a8a29e",
        body_text_color="#292524",
        body_text_color_dark="#e7e5e4",
        body_text_color_subdued="#78716c",
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


def style_sheet() -> str:
    """Our rules and the font. The font is inside, so that it needs no route of its own."""
    font = base64.b64encode((STATIC / "inter-latin.woff2").read_bytes()).decode()
    face = (
        "@font-face{font-family:'Inter';font-style:normal;font-weight:100 900;font-display:swap;"
        f"src:url(data:font/woff2;base64,{font}) format('woff2');}}\n"
    )
    return face + _static("style.css") + _static("transcript.css")


def _static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
