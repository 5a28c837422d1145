"""One live session over a WebSocket, whatever protocol it speaks: admission, limits, back-pressure, its job, its end.

A session is a job of kind `live`, made before the socket is accepted: a caller who is refused reads why over HTTP. What
the socket receives goes through a `Feed` to the job's run, and comes back as one `Heard` for each message of sound.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from app.concurrency import run_blocking
from app.http.errors import problem_of
from app.jobs.errors import Draining, QueueFull
from app.jobs.model import Job, JobError, JobState
from app.jobs.queue import Submission
from app.studio import Service
from app.work.live import DEVICE, Feed, LiveLimits, LiveRequest
from engines.errors import InvalidRequest, StudioError
from engines.requests import ListenRequest, parse
from engines.results import Heard, Unused

log = logging.getLogger(__name__)

ON_THE_WAY = 4
"""Messages of sound that wait for their answer, each at most runner.MAX_MESSAGE_BYTES. Then nothing is read from the
connection until one has come, so that a sender is slowed down, and no sound is dropped."""

LOOK_SECONDS = 0.25
"""How often a silent connection looks whether it is over."""

NORMAL, GOING_AWAY, POLICY, TOO_BIG, FAILED = 1000, 1001, 1008, 1009, 1011
"""Close codes of RFC 6455, section 7.4.1; and of its registry at IANA: the server restarts."""
RESTART = 1012

MAX_REASON_BYTES = 123
"""RFC 6455, section 5.5: what a close frame has room for."""

BYTES_PER_SAMPLE = 2

MAX_USER_CHARS = 200


class Over(Exception):
    """How a session comes to its end: with this close code, and a reason for people."""

    def __init__(self, code: int = NORMAL, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


class Talk(Protocol):
    """What a protocol says and understands."""

    async def take(self, message: str | bytes) -> None:
        """Something that the client sent. Raises Over at its word of farewell, StudioError."""

    def heard(self, heard: Heard, *, last: bool) -> list[dict[str, Any]]:
        """What the client is told of it. `last`: the sound has ended, and this is what was left of it."""

    def refused(self, error: JobError) -> list[dict[str, Any]]:
        """What the client is told before the connection is closed on it."""


class Connection:
    """An accepted socket with its job."""

    def __init__(self, socket: WebSocket, service: Service, limits: LiveLimits) -> None:
        self._socket = socket
        self._service = service
        self._limits = limits
        self._account: str = socket.state.account
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[Heard | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(ON_THE_WAY)
        self._feed: Feed = service.feeds.open(self._on_heard)
        self._request: ListenRequest | None = None
        self._bytes = 0
        self._unanswered = 0
        self._gone = False
        self.job_id = ""

    # -- for protocols

    @property
    def begun(self) -> bool:
        return self._request is not None

    @property
    def model(self) -> str:
        """Name of the model that hears."""
        return self._service.speech.info.name

    @property
    def seconds(self) -> float:
        """Of sound that has come so far."""
        return 0.0 if self._request is None else self._bytes / BYTES_PER_SAMPLE / self._request.sample_rate

    async def begin(self, values: Mapping[str, Any]) -> tuple[Unused, ...]:
        """The first sound is to come: `values` are of ListenRequest. Tells what of them will not be used. Raises
        InvalidRequest, ModelMissing, ModelInvalid."""
        request = parse(ListenRequest, values)
        unused = await run_blocking(self._service.speech.check, request)
        self._request = request
        self._feed.begin(request)
        return unused

    async def send(self, sound: bytes) -> None:
        """Pass sound on; wait while too much is on its way."""
        await self._ask()
        self._bytes += len(sound)
        self._feed.send(sound)

    async def flush(self) -> None:
        """Have settled what was said so far."""
        await self._ask()
        self._feed.flush()

    async def say(self, *messages: Mapping[str, Any]) -> None:
        """Tell the client, if it is still there."""
        for message in messages:
            if self._gone:
                return
            try:
                await self._socket.send_json(message)
            except (WebSocketDisconnect, RuntimeError):
                # Starlette raises the latter once the client has closed.
                self._gone = True

    # -- for the routes

    async def admit(self, values: Mapping[str, Any]) -> bool:
        """Make the job and accept the socket, or refuse it over HTTP. `values` are of LiveRequest."""
        try:
            job = await self._submit(values)
        except StudioError as error:
            self._service.feeds.take(self._feed.id)
            await self._socket.send_denial_response(problem_of(error))
            return False
        self.job_id = job.id
        offered: list[str] = self._socket.scope["subprotocols"]
        headers = [(b"location", f"/jobs/{job.id}".encode())]
        await self._socket.accept(subprotocol=offered[0] if offered else None, headers=headers)
        return True

    async def _submit(self, values: Mapping[str, Any]) -> Job:
        queue = self._service.queue
        if queue.draining:
            raise Draining
        if queue.count(DEVICE, JobState.QUEUED) + queue.count(DEVICE, JobState.RUNNING) >= self._limits.sessions:
            raise QueueFull(f"{self._limits.sessions} live sessions are open, the limit here. Try again in a moment.")
        user = str(values.get("user", ""))
        if len(user) > MAX_USER_CHARS:
            raise InvalidRequest("user", f"user has {len(user)} characters: shorten it to {MAX_USER_CHARS} or fewer.")
        request = parse(LiveRequest, {**values, "filename": "live", "feed": self._feed.id})
        return await run_blocking(queue.submit, Submission("live", request, self._account, user=user))

    async def run(self, talk: Talk) -> None:
        """Carry the session from the first message to the last."""
        over = asyncio.ensure_future(self._service.queue.finished(self.job_id, self._account))
        # However the job ends, before its run has begun too, there will be no more answers.
        over.add_done_callback(lambda _: self._answers.put_nowait(None))
        reading = asyncio.create_task(self._read(talk))
        writing = asyncio.create_task(self._write(talk))
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await self._fail(talk, await _error_of(over))
                return
            end = await reading
            self._feed.end(keep=self._bytes > 0)
            await writing
            await self._close(end)
        finally:
            # Where the server's end cancels this, what was heard is kept too.
            self._feed.end(keep=self._bytes > 0)
            for task in (reading, writing, over):
                task.cancel()
                with suppress(asyncio.CancelledError, StudioError, Over):
                    await task

    async def _read(self, talk: Talk) -> Over:
        """Take messages until the session is over, and say how it ended."""
        clock = self._loop.time
        latest = clock() + self._limits.seconds
        idle_at = clock() + self._limits.idle_seconds
        receiving = asyncio.ensure_future(self._socket.receive())
        try:
            while True:
                await asyncio.wait({receiving}, timeout=LOOK_SECONDS)
                if self._service.queue.draining:
                    return Over(RESTART, "The server is stopping: connect again in a moment.")
                if receiving.done():
                    message = receiving.result()
                    if message["type"] == "websocket.disconnect":
                        self._gone = True
                        return Over()
                    receiving = asyncio.ensure_future(self._socket.receive())
                    text = message.get("text")
                    await talk.take(message["bytes"] if text is None else text)
                    idle_at = clock() + self._limits.idle_seconds
                elif clock() >= idle_at:
                    return Over(GOING_AWAY, f"Nothing came for {self._limits.idle_seconds:g} s.")
                if clock() >= latest or self.seconds > self._limits.seconds:
                    minutes = self._limits.seconds / 60
                    return Over(POLICY, f"A live session lasts {minutes:g} minutes at most: open another.")
        except Over as over:
            return over
        except StudioError as error:
            await self.say(*talk.refused(JobError.of(error)))
            return Over(POLICY, str(error))
        finally:
            receiving.cancel()

    async def _write(self, talk: Talk) -> None:
        while (heard := await self._answers.get()) is not None:
            last = self._unanswered == 0
            if not last:
                self._unanswered -= 1
                self._room.release()
            await self.say(*talk.heard(heard, last=last))

    async def _ask(self) -> None:
        await self._room.acquire()
        self._unanswered += 1

    def _on_heard(self, heard: Heard | None) -> None:
        """In the run's thread."""
        with suppress(RuntimeError):  # The loop has been closed: nobody is listening there any more.
            self._loop.call_soon_threadsafe(self._answers.put_nowait, heard)

    async def _fail(self, talk: Talk, error: JobError) -> None:
        await self.say(*talk.refused(error))
        await self._close(Over(RESTART if error.type == "interrupted" else FAILED, error.message))

    async def _close(self, over: Over) -> None:
        if self._gone:
            return
        reason = str(over).encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(over.code, reason)


async def _error_of(over: asyncio.Future[Job]) -> JobError:
    """Why the job ended before its connection did."""
    try:
        job = await over
    except StudioError as error:
        return JobError.of(error)
    return job.error or JobError("internal", "The session ended before its time. Open another.")
