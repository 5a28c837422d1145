"""What an avatar's background is to be, below its picture. How it is seen at once is static/background.js."""

from __future__ import annotations

import html

from app.i18n.texts import finished, mark, say
from app.work.background import KEEP, PORTRAIT_MODEL, TRANSPARENT

COLOUR = "colour"
CHOICES = {KEEP: mark("Keep"), COLOUR: mark("Colour"), TRANSPARENT: mark("Transparent")}
FIRST_COLOUR = "#f97316"

FOR_PHOTOGRAPHS = mark(
    "The model that finds people was made for photographs. Of drawings it may take too much or too little."
)
NO_ANSWER = mark("The studio does not answer. Try again.")
NO_JPEG = mark("JPEG cannot be transparent")


def background_choice(file_id: str, number: int, missing: str) -> str:
    """For picture `number` of the job that is shown. `missing`: why there is nothing but what was drawn; else empty."""
    options = "".join(
        f'<label><input type="radio" name="avatar-background" value="{value}"{" checked" if value == KEEP else ""}>'
        f"<span>{say(name)}</span></label>"
        for value, name in CHOICES.items()
    )
    lacks = " data-missing" if missing else ""
    return (
        f'<fieldset class="background" id="avatar-background" data-path="/files/{html.escape(file_id)}" '
        f'data-number="{number}" data-lost="{html.escape(say(NO_ANSWER), quote=True)}"{lacks}>'
        f'<legend>{say("Background")}</legend><div class="background-row">'
        f'<div class="segments">{options}</div><input type="color" value="{FIRST_COLOUR}" '
        f'aria-label="{html.escape(say("Colour of the background"), quote=True)}" hidden></div>'
        f'<p class="background-note" hidden>{say(FOR_PHOTOGRAPHS)}</p>'
        f'<div class="background-missing" hidden><p role="status">{html.escape(finished(missing))}</p>'
        f'<button type="button" class="wide" data-get="{PORTRAIT_MODEL}">{say("Get it")}</button></div>'
        '<p class="background-problem" role="alert"></p></fieldset>'
    )
