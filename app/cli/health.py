"""How a studio or a speech service is, asked from outside as its clients would.

For commands that run where nothing is installed: the standard library only.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MOST_BYTES = 100_000
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Silent(Exception):
    """Nothing of ours answered; `str()` says what happened instead, as a clause without a full stop."""

    def __init__(self, told: str, *, refused: bool = False) -> None:
        super().__init__(told)
        self.refused = refused
        """Something answered, and does not let this caller in."""


@dataclass(frozen=True, slots=True)
class Health:
    """`state`: healthy, loading, failed or draining; alive where only who has a token is told more. `fraction`: how far
    the slowest model is loaded, if told."""

    state: str
    guarded: bool
    """It wants a token for all but its state."""
    fraction: float | None = None
    problem: str = ""

    def __str__(self) -> str:
        if self.state == "loading" and self.fraction is not None:
            # In tenths: each is worth a line, each hundredth is not.
            return f"loading its models, {self.fraction * 10 // 1 * 10:.0f} %"
        told = {
            "alive": "up, and tells only callers with a token whether it is ready",
            "healthy": "ready",
            "loading": "loading its models",
            "failed": "failed: a model cannot be used",
            "draining": "stopping",
        }
        return told[self.state] + (f" ({self.problem})" if self.problem else "")


def ask(url: str, seconds: float, token: str = "") -> Health:
    """Raises Silent. `seconds` limits each wait for bytes."""
    status, told = _get(f"{url}/health", seconds, token)
    guarded = bool(token) or status == 401
    if status == 401:
        status, told = _get(f"{url}/health/live", seconds, "")
    state = told.get("status")
    if status in (401, 403):
        raise Silent(f"{_place(url)} refuses to tell (status {status})", refused=True)
    if state not in ("alive", "healthy", "loading", "failed", "draining"):
        raise Silent(f"what answers at {_place(url)} is no studio (status {status})")
    workers = [worker for worker in told.get("workers") or () if isinstance(worker, dict)]
    loading = [float(worker["loading"].get("fraction", 0)) for worker in workers if worker.get("loading")]
    problems = [str(worker["problem"]) for worker in workers if worker.get("problem")]
    return Health(state, guarded, min(loading, default=None), " ".join(problems))


def is_local(url: str) -> bool:
    return (urlsplit(url).hostname or "") in LOOPBACK


def _get(url: str, seconds: float, token: str) -> tuple[int, dict[str, Any]]:
    # A proxy knows nothing of this machine's own ports.
    handlers = [urllib.request.ProxyHandler({})] if is_local(url) else []
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as answer:
            return answer.status, _object(answer.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _object(error.read(MOST_BYTES))
    except urllib.error.URLError as error:
        raise Silent(f"{_place(url)} does not answer ({_reason(error.reason)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise Silent(f"{_place(url)} does not answer ({_reason(error)})") from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _place(url: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
        return "it closed the connection"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error) or type(error).__name__
