"""What a token may be used for, and what needs it: the one table of both.

Scopes say which work a token may ask for. What its account has, jobs and files, it may read, watch, mark and cancel
with any; what deletes a job needs the scope that makes it.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from engines.errors import StudioError


class Scope(StrEnum):
    """`admin` includes the others."""

    IMAGES = "images"
    SPEECH = "speech"
    ADMIN = "admin"


ALL = frozenset(Scope)

KINDS = {
    "avatar": Scope.IMAGES,
    "hero": Scope.IMAGES,
    "image": Scope.IMAGES,
    "transcription": Scope.SPEECH,
    "live": Scope.SPEECH,
}
"""Kind of job -> scope, for the doors that take more than one kind: /jobs, the page and Gradio's endpoints."""

PATHS = (
    ("/generate", Scope.IMAGES),
    ("/txt2img", Scope.IMAGES),
    ("/v1/images", Scope.IMAGES),
    ("/transcribe", Scope.SPEECH),
    ("/corrections", Scope.SPEECH),
    ("/v1/audio", Scope.SPEECH),
    ("/v1/realtime", Scope.SPEECH),
    ("/v1/vosk", Scope.SPEECH),
    # A room is heard there, not a caller's own sound.
    ("/v1/microphones", Scope.ADMIN),
    ("/metrics", Scope.ADMIN),
    ("/deliveries", Scope.ADMIN),
    ("/webhooks", Scope.ADMIN),
)
"""Path, with all below it -> scope. Every other path is open to any token."""


class Forbidden(StudioError):
    """The caller's token is right, and not for this."""

    code = "forbidden"
    status = 403

    def __init__(self, needed: Scope) -> None:
        super().__init__(
            f"This token has not the scope {needed}, which this needs. Whoever runs the studio can make one that has: "
            f"python3 launch.py token create NAME --scopes {needed}."
        )
        self.field = "Authorization"


def require_kind(scopes: Collection[Scope], kind: str) -> None:
    """Raises Forbidden where `scopes` do not let their holder make, or delete, a job of this kind."""
    _require(scopes, KINDS[kind])


def require_path(scopes: Collection[Scope], path: str) -> None:
    """Raises Forbidden where `scopes` do not let their holder call this path."""
    for known, needed in PATHS:
        if path == known or path.startswith(f"{known}/"):
            _require(scopes, needed)


def require_admin(scopes: Collection[Scope]) -> None:
    """Raises Forbidden for whoever may not look after the studio itself."""
    _require(scopes, Scope.ADMIN)


def _require(scopes: Collection[Scope], needed: Scope) -> None:
    if needed not in scopes and Scope.ADMIN not in scopes:
        raise Forbidden(needed)
