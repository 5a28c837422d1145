"""Webhooks as Standard Webhooks has them: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/.

A receiver checks `webhook-signature` with the shared secret, and drops a `webhook-id` that it has seen before.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Protocol

import httpx
from pydantic import BaseModel

from app.delivery.errors import DeliveryFailed, DeliveryRefused
from app.jobs.model import Job, JobState
from engines.errors import InvalidRequest, StudioError

MAX_BODY_BYTES = 20_000
"""The specification's advice; more belongs behind an address."""

PATIENCE_SECONDS = 15.0
"""For one message as a whole, as the specification advises: 15 to 30 s."""

SECRET_PREFIX = "whsec_"


class AddressCheck(Protocol):
    def check(self, field: str, address: str) -> object:
        """Raises InvalidRequest for an address that is not to be called."""


class GoneAddresses(Protocol):
    """Addresses that answered 410, by account."""

    def add(self, account: str, address: str, at: float) -> None: ...

    def since(self, account: str, address: str) -> float | None: ...


class WebhookDeliverer:
    """Posts a job to the address that its sender gave. Thread-safe."""

    name = "webhook"

    def __init__(
        self,
        client: httpx.Client,
        secrets: Sequence[str],
        addresses: AddressCheck,
        gone: GoneAddresses,
        view: Callable[[Job, str], BaseModel],
        *,
        base_url: str = "",
        patience: float = PATIENCE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`secrets`: each `whsec_` and base64; messages are signed with all of them. `view(job, base_url)`: the job as
        programs see it. `base_url`: of this studio as others reach it; else the one that the job was sent to."""
        self._client = client
        self._keys = [base64.b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in secrets]
        self._addresses = addresses
        self._gone = gone
        self._view = view
        self._base_url = base_url and f"{base_url.rstrip('/')}/"
        self._patience = patience
        self._now = now

    def check(self, address: str) -> None:
        """Whether a job may have it. Raises InvalidRequest."""
        if not self._keys:
            raise InvalidRequest(
                "webhook",
                "webhook cannot be used here: there is nothing to sign its messages with. The studio's operator sets "
                "STUDIO_WEBHOOK_SECRET; ask for the job at its status_url instead.",
            )
        self._addresses.check("webhook", address)

    def wants(self, job: Job) -> bool:
        return job.webhook is not None and event_of(job.state) in job.webhook.events

    def order_key(self, job: Job) -> str:
        return job.id

    def deliver(self, job: Job, message_id: str) -> None:
        assert job.webhook is not None
        address = job.webhook.address
        if (since := self._gone.since(job.account, address)) is not None:
            raise DeliveryRefused(f"the address answered 410 Gone on {_day(since)} and is not called any more")
        if not self._keys:
            raise DeliveryFailed("STUDIO_WEBHOOK_SECRET is not set")
        try:
            self._addresses.check("webhook", address)
        except InvalidRequest as refused:
            raise DeliveryFailed("STUDIO_WEBHOOK_HOSTS does not allow the address any more") from refused
        body = self._body(job)
        status, retry_after = self._post(address, self._headers(message_id, body), body)
        if status == HTTPStatus.GONE:
            self._gone.add(job.account, address, self._now())
            raise DeliveryRefused("the address answered 410 Gone and is not called any more")
        if not 200 <= status < 300:
            raise DeliveryFailed(f"the receiver answered {status}", self._wish(retry_after))

    def _body(self, job: Job) -> bytes:
        assert job.webhook is not None
        at = job.finished_at or job.started_at or job.created_at
        view = self._view(job, self._base_url or job.webhook.base_url).model_dump(mode="json")
        return fitted(
            {
                "type": f"job.{event_of(job.state)}",
                "timestamp": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
                "data": view,
            }
        )

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._now()))
        signed = f"{message_id}.{timestamp}.".encode() + body
        signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in self._keys]
        return {
            "content-type": "application/json",
            "user-agent": "Carrot-Studio",
            # A connection of its own for each message: what has been kept open may have been closed by its peer.
            "connection": "close",
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }

    def _post(self, address: str, headers: dict[str, str], body: bytes) -> tuple[int, str | None]:
        """The answer's status and its Retry-After; its body is not read."""
        try:
            with _within(self._patience) as trace:
                answer = self._client.stream(
                    "POST",
                    address,
                    headers=headers,
                    content=body,
                    timeout=self._patience,
                    follow_redirects=False,
                    extensions={"trace": trace},
                )
                with answer as answered:
                    return answered.status_code, answered.headers.get("retry-after")
        except TimeoutError as error:
            raise DeliveryFailed(f"the receiver did not answer within {self._patience:g} s") from error
        except httpx.ConnectError as error:
            raise DeliveryFailed("the receiver could not be reached") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DeliveryFailed("the receiver broke off the connection") from error
        except StudioError as error:
            raise DeliveryFailed("the address leads to where nothing is sent") from error

    def _wish(self, retry_after: str | None) -> float | None:
        """Seconds of a Retry-After: a number, or a date (RFC 9110, section 10.2.3). What is neither is passed over."""
        if retry_after is None:
            return None
        if retry_after.isascii() and retry_after.isdigit():
            return float(retry_after[:9])
        try:
            at = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - self._now())


def event_of(state: JobState) -> str:
    """What a message of a job in this state is called, after `job.`."""
    return {JobState.QUEUED: "queued", JobState.RUNNING: "started"}.get(state, "completed")


def fitted(message: dict[str, Any], limit: int = MAX_BODY_BYTES) -> bytes:
    """The message as JSON of fewer than `limit` bytes.

    Where it is larger, the largest fields of its result and request are left out, as few as will do, and named in
    `omitted`: `status_url` has them.
    """
    data = dict(message["data"])
    omitted: list[str] = []
    while len(body := _json({**message, "data": {**data, "omitted": omitted}})) >= limit:
        parts = {(name, ""): len(_json(data[name])) for name in ("files", "warnings", "error") if data.get(name)}
        for name in ("result", "request"):
            inside = data.get(name) or {}
            parts |= {(name, inner): len(_json(value)) for inner, value in inside.items()}
        name, inner = max(parts, key=lambda part: parts[part])
        if inner:
            data[name] = {other: value for other, value in data[name].items() if other != inner}
        else:
            del data[name]
        omitted.append(f"{name}.{inner}" if inner else name)
    return body


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


@contextmanager
def _within(seconds: float) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """End the exchange in the block when its time is over, for httpx's own timeouts begin anew with every byte that
    comes. Gives what httpx is to call about its connection. Raises TimeoutError."""
    sockets: list[socket.socket] = []
    over = threading.Event()

    def trace(event: str, info: dict[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            sockets.append(info["return_value"].get_extra_info("socket"))
        if over.is_set():
            end()

    def end() -> None:
        over.set()
        for opened in sockets:
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:
                # Closed already, or its TLS has taken it over.
                continue

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield trace
    except (httpx.TimeoutException, OSError, httpx.TransportError) as error:
        if over.is_set() or isinstance(error, httpx.TimeoutException):
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
