"""How this machine proves to a transcription service that it may call: by a token that was agreed on, or by Google's.

A private Cloud Run service lets in who shows an ID token: signed by Google, made out to the service's address, good for
an hour. google-auth gets one for the account of a key file, or, on Google's own machines, for the machine's account.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from engines.speech.cloud_client import CallFailed

log = logging.getLogger(__name__)

KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"

ASK_SECONDS = 10.0
"""For one answer of Google's. Its library would wait two minutes, while the local engine could work."""

LOOK_AGAIN_SECONDS = 600.0
"""Where no credentials were found, finding that out took seconds: it is not done again for every recording."""


def service_auth(url: str, way: str, token: str = "") -> BearerToken | GoogleIdToken | None:
    """How to call the service at `url`: with its own `token` if there is one, else as `way` says, which is `google`,
    `none`, or `auto`: with an ID token where only Cloud Run can be meant."""
    if token:
        return BearerToken(token)
    address = urlsplit(url)
    on_cloud_run = address.scheme == "https" and (address.hostname or "").endswith(".run.app")
    if way == "google" or (way == "auto" and on_cloud_run):
        # A service that is open to everybody was called from machines without an account before, and still is.
        return GoogleIdToken(f"{address.scheme}://{address.netloc}", required=way == "google")
    return None


class BearerToken(httpx.Auth):
    """A token that the service knows, for one that is open to the internet and started with STUDIO_API_TOKENS."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """The one it was made with."""
        return self._token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class GoogleIdToken(httpx.Auth):
    """An ID token for `audience`, an origin, fetched when first needed and again some minutes before it ends.

    Where this machine has no Google account at all, `required` decides: the call fails with CallFailed, or is made
    without a token, which a service that is open to everybody takes. Credentials that are there but cannot be used
    always fail. Thread-safe.
    """

    def __init__(self, audience: str, *, required: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._audience = audience
        self._required = required
        self._clock = clock
        self._lock = threading.Lock()
        self._credentials: Any = None  # google-auth's
        self._look_again = 0.0

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        # Beside the event loop: this may wait for Google, or for another thread that does.
        if token := await asyncio.to_thread(self.token):
            request.headers["Authorization"] = f"Bearer {token}"
        yield request

    def token(self) -> str | None:
        """None where there is no account and none is required. May wait for Google. Raises CallFailed."""
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
        from google.auth.transport.requests import Request
        from google.oauth2.id_token import fetch_id_token_credentials

        ask = functools.partial(Request(), timeout=ASK_SECONDS)
        with self._lock:
            if self._clock() < self._look_again:
                self._go_without()
                return None
            try:
                if self._credentials is None:
                    self._credentials = fetch_id_token_credentials(self._audience, ask)  # type: ignore[no-untyped-call]
                # google-auth calls a token invalid some minutes before it ends, so that it does not end on its way.
                if not self._credentials.valid:
                    self._credentials.refresh(ask)
                return str(self._credentials.token)
            except DefaultCredentialsError as error:
                if os.environ.get(KEY_FILE):
                    raise _unusable() from error
                self._look_again = self._clock() + LOOK_AGAIN_SECONDS
                log.warning(
                    "no Google account here: the speech service is called without an ID token. If it is private, set "
                    "%s to the key file of a service account that may invoke it",
                    KEY_FILE,
                )
                self._go_without()
                return None
            except (GoogleAuthError, ValueError, OSError) as error:
                if isinstance(error, TransportError) or getattr(error, "retryable", False):
                    raise CallFailed("could not be called, because Google gave no ID token now", retry=True) from error
                raise _unusable() from error

    def _go_without(self) -> None:
        """Raises CallFailed where that is not allowed."""
        if self._required:
            raise CallFailed("could not be called, because this server has no Google credentials to show")


def _unusable() -> CallFailed:
    log.warning(
        "Google gives no ID token for this machine's account: see that %s names the key file of a service account "
        "that still exists, and that this machine's clock is right",
        KEY_FILE,
    )
    return CallFailed("could not be called, because this server's Google credentials cannot be used")
