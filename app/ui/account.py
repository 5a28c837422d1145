"""Whose request is this?"""

from __future__ import annotations

import gradio as gr


def account_of(request: gr.Request) -> str:
    """The account that the auth middleware put on the HTTP request behind this event."""
    account: str = request.request.state.account
    return account
