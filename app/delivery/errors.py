"""Why something did not arrive. The texts are shown to the operator: they never hold an address or a secret."""

from __future__ import annotations

from engines.errors import StudioError


class DeliveryFailed(StudioError):
    """It did not arrive this time, and is to be tried again."""

    code = "delivery_failed"
    status = 502

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """`retry_after`: seconds that the receiver wants to be left alone for."""
        super().__init__(message)
        self.wait_seconds = retry_after


class DeliveryRefused(StudioError):
    """It will never arrive like this: trying again by ourselves helps nobody."""

    code = "delivery_refused"
    status = 502
