"""Whose request is this?"""

from __future__ import annotations

import gradio as gr


def owner_of(request: gr.Request) -> str:
    """The owner that the auth middleware put on the HTTP request behind this event."""
    owner: str = request.request.state.owner
    return owner
