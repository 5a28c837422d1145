"""Whose request is this, and may they?"""

from __future__ import annotations

import gradio as gr

from app.scopes import Scope, require_admin, require_kind


def account_of(request: gr.Request) -> str:
    """The account that the auth middleware put on the HTTP request behind this event."""
    account: str = request.request.state.account
    return account


def account_for(request: gr.Request, kind: str) -> str:
    """The account, to make a job of this kind. Raises Forbidden where its token has not the scope for that."""
    require_kind(request.request.state.caller.scopes, kind)
    return account_of(request)


def is_admin(request: gr.Request) -> bool:
    """Whether the caller may look after the studio itself; where no token is asked, everybody may."""
    return Scope.ADMIN in request.request.state.caller.scopes


def check_admin(request: gr.Request) -> None:
    """Raises Forbidden."""
    require_admin(request.request.state.caller.scopes)
