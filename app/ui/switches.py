"""Small switches of the page's frame: its language, light or dark, and whether to be told when a job is done.

All are the browser's own. theme.js and done.js keep what was chosen, and the studio is told nothing; the language is a
cookie of language.js, so that the studio can answer in it.
"""

from __future__ import annotations

import html

import gradio as gr

from app.i18n.language import LANGUAGES, language
from app.i18n.texts import built, mark, say

STROKE = 'fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"'
ICONS = {
    "language": '<circle cx="12" cy="12" r="8.500"/><path d="M3.500 12h17M12 3.500c-2.500 2.400-3.700 5.200-3.700 8.500'
    's1.200 6.100 3.700 8.500c2.500-2.400 3.700-5.200 3.700-8.500s-1.200-6.100-3.700-8.500"/>',
    "system": '<rect x="3" y="4.5" width="18" height="12.500" rx="2.500"/><path d="M9 20.500h6"/>',
    "light": '<circle cx="12" cy="12" r="4"/><path d="M12 3v1.500M12 19.500V21M3 12h1.500M19.500 12H21'
    'M5.600 5.600l1.100 1.100M17.300 17.300l1.100 1.100M5.600 18.400l1.100-1.100M17.300 6.700l1.100-1.100"/>',
    "dark": '<path d="M20 14.500A8.200 8.200 0 0 1 9.500 4a8.200 8.200 0 1 0 10.500 10.500z"/>',
    "bell": '<path d="M6 10a6 6 0 0 1 12 0c0 4.500 2 6 2 6H4s2-1.500 2-6M10 19.500a2.200 2.200 0 0 0 4 0"/>',
}
"""Drawn on a square of 24."""

THEMES = {
    "system": mark("Theme: as the system. Change to light"),
    "light": mark("Theme: light. Change to dark"),
    "dark": mark("Theme: dark. Change to the system's"),
}

TELL = mark("Tell me when it is done")
TOLD = {
    "done": mark("✓ Done · Carrot Studio"),
    "failed": mark("✗ Not done · Carrot Studio"),
    "on": mark("You are told when a job of more than 10 seconds ends while this page is in the background."),
    "refused": mark("The browser does not allow notifications from this page. Its settings for this site can."),
    "impossible": mark("This browser has no notifications here: it shows them over https or on localhost."),
}


def switches() -> None:
    """Lay them out, at the end of the header."""
    gr.HTML(built(lambda: f'<div class="switches">{_language()}{_theme()}{_tell()}</div>'), elem_id="switches")


def _language() -> str:
    options = "".join(
        f'<option value="{code}" lang="{code}"{" selected" * (code == language())}>{name}</option>'
        for code, name in LANGUAGES.items()
    )
    label = say("Language of the page")
    return (
        f'<carrot-language title="{label}">{_icon("language")}<b aria-hidden="true">{language()}</b>'
        f'<select aria-label="{label}" autocomplete="off">{options}</select></carrot-language>'
    )


def _theme() -> str:
    icons = "".join(_icon(name) for name in THEMES)
    return f'<carrot-theme {_data(THEMES)}><button type="button">{icons}</button></carrot-theme>'


def _tell() -> str:
    return (
        f'<carrot-tell {_data(TOLD)}><button type="button" role="switch" aria-checked="false" aria-label="{say(TELL)}" '
        f'title="{say(TELL)}">{_icon("bell")}</button><span role="status"></span></carrot-tell>'
    )


def _data(words: dict[str, str]) -> str:
    return " ".join(f'data-{name}="{html.escape(say(text), quote=True)}"' for name, text in words.items())


def _icon(name: str) -> str:
    return f'<svg class="icon-{name}" viewBox="0 0 24 24" aria-hidden="true" {STROKE}>{ICONS[name]}</svg>'
