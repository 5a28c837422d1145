"""A panel at the side of the page, over it, that one button opens. How it opens and closes is `static/drawers.js`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from app.i18n.texts import built, say


@contextmanager
def drawer(name: str, title: str) -> Iterator[gr.Button]:
    """Lay out the panel `NAME-drawer`. A button with the id `NAME-open` opens it.

    Yields a button that nobody sees: it is pressed when the panel opens, and every other second as long as it is open
    and holds anything marked `data-live`.
    """
    with gr.Column(elem_id=f"{name}-drawer", elem_classes="drawer"):
        gr.HTML(
            built(
                lambda: (
                    f'<div class="drawer-head"><h2 id="{name}-title" tabindex="-1">{say(title)}</h2>'
                    f'<button type="button" class="drawer-close">{say("Close")}</button></div>'
                )
            ),
            apply_default_css=False,
        )
        with gr.Row(elem_classes="unseen"):
            refresh = gr.Button("Refresh", elem_id=f"{name}-refresh", visible="hidden")
        yield refresh
