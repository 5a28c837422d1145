"""Whose request is this?"""

from __future__ import annotations

import gradio as gr

LOCAL = "local"
"""The owner where nobody has to say who they are."""


def owner_of(request: gr.Request | None) -> str:
    """The owner that the auth middleware put on the HTTP request behind this event."""
    state = getattr(getattr(request, "request", None), "state", None)
    return str(getattr(state, "owner", LOCAL))
