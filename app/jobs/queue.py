"""Every image and transcription is a job: known by id at once, durable, watchable, cancellable.

Knows nothing of images or speech: a job's work is a function that gets a `JobContext` and returns an `Outcome`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from app.jobs.lane import Lane, LaneState, LaneStatus, Ticket
from app.jobs.model import (
    INTERRUPTED,
    Draining,
    FileNotFound,
    Job,
    JobError,
    JobFile,
    JobNotFound,
    JobProgress,
    JobState,
    StorageFailed,
    end_of,
)
from app.jobs.store.base import Stores
from engines.errors import Cancelled, StudioError
from engines.types import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job's work may use: report progress, look at `cancel`, keep files."""

    job_id: str
    cancel: threading.Event
    report: Callable[[Progress], None]
    keep: Callable[[str, str, bytes], JobFile]
    """keep(name, media_type, data) stores one result file."""


Work = Callable[[JobContext], dict[str, Any]]
"""Does the job and returns its result, JSON types only. Raises StudioError."""


@dataclass(slots=True)
class _Live:
    """A job of this process that is not final yet; guarded by Jobs._lock."""

    job: Job
    lane: Lane
    cancel: threading.Event = field(default_factory=threading.Event)
    files: list[JobFile] = field(default_factory=list)
    watchers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=set)


class Jobs:
    """The job layer. Thread-safe; the methods that touch the disk take about a millisecond."""

    def __init__(self, stores: Stores, lanes: dict[str, Lane]) -> None:
        """`lanes` maps a job's kind to the lane of its device. `close` closes the stores too."""
        self._stores = stores
        self._store = stores.jobs
        self._media = stores.media
        self._lanes = lanes
        self._lock = threading.RLock()
        self._live: dict[str, _Live] = {}
        self._unsaved: dict[str, Job] = {}
        """Final jobs whose end could not be stored, so that their owners still learn of it."""
        self._draining = False

    def start(self) -> None:
        """Begin to work."""
        for lane in self._lanes.values():
            lane.start()

    # -- what callers do

    def submit(
        self,
        kind: str,
        request: dict[str, Any],
        work: Work,
        *,
        owner: str,
        idempotency_key: str | None = None,
        job_id: str | None = None,
    ) -> Job:
        """Acknowledge a job: it is on disk when this returns. A repeated key returns the first job instead, unless
        that one ended without a result.

        Raises QueueFull, Draining, IdempotencyConflict, StorageFailed.
        """
        lane = self._lanes[kind]
        job = Job(job_id or new_job_id(), kind, owner, JobState.QUEUED, request, created_at=time.time())
        digest = hashlib.sha256(json.dumps([kind, request], sort_keys=True).encode()).hexdigest()
        with self._lock:
            if self._draining:
                raise Draining
            self._save_unsaved()
            stored = self._store.create(job, idempotency_key, digest)
            if stored.id != job.id:
                live = self._live.get(stored.id)
                return stored if live is None else live.job
            self._live[job.id] = _Live(job, lane)
            try:
                lane.add(Ticket(job.id, lambda problem: self._run(job.id, work, problem)))
            except StudioError as error:
                # Not acknowledged: the caller is told at once, and the key must be free for the next try.
                del self._live[job.id]
                self._store.discard(job.id)
                raise error
            return self._live[job.id].job

    def get(self, job_id: str, owner: str) -> Job:
        """The job as it is now. Raises JobNotFound, also when it is somebody else's."""
        with self._lock:
            live = self._live.get(job_id)
            job = live.job if live else self._unsaved.get(job_id) or self._store.get(job_id)
        if job is None or job.owner != owner:
            raise JobNotFound(job_id)
        if job.state is JobState.QUEUED and live:
            job = job.with_(progress=JobProgress(ahead=self._ahead(live)))
        return job

    def cancel(self, job_id: str, owner: str) -> Job:
        """Ask a job to stop. A waiting one is cancelled at once, a running one within one step; a final one stays."""
        with self._lock:
            job = self.get(job_id, owner)
            live = self._live.get(job_id)
            if live is None:
                return job
            live.cancel.set()
            if live.lane.remove(job_id):
                return self._finish(live, JobState.CANCELLED, error=JobError.of(Cancelled()))
            return live.job

    async def watch(self, job_id: str, owner: str) -> AsyncIterator[Job]:
        """Snapshots of the job, the first at once, the last one final. Changes in between may be merged."""
        signal = asyncio.Event()
        listener = (asyncio.get_running_loop(), signal)
        with self._lock:
            job = self.get(job_id, owner)
            live = self._live.get(job_id)
            if live:
                live.watchers.add(listener)
        try:
            yield job
            while not job.final:
                await signal.wait()
                signal.clear()
                job = self.get(job_id, owner)
                yield job
        finally:
            if live:
                with self._lock:
                    live.watchers.discard(listener)

    async def finished(self, job_id: str, owner: str) -> Job:
        """Wait until the job is final. The job goes on when the waiting is cancelled."""
        async for job in self.watch(job_id, owner):
            if job.final:
                return job
        raise JobNotFound(job_id)

    def file(self, file_id: str, owner: str) -> tuple[JobFile, bytes]:
        """A result's file. Raises FileNotFound, also when it is somebody else's."""
        job = self._store.get(file_id.rpartition("-")[0])
        if job is not None and job.owner == owner:
            for file in job.files:
                path = self._media.path(job.id, file)
                if file.id == file_id and path.is_file():
                    return file, path.read_bytes()
        raise FileNotFound(file_id)

    def recent(self, owner: str, kind: str, limit: int = 20) -> list[Job]:
        return self._store.recent(owner, kind, limit)

    # -- what the server does

    def status(self) -> list[LaneStatus]:
        return [lane.status for lane in self._lanes.values()]

    @property
    def draining(self) -> bool:
        return self._draining

    @property
    def ready(self) -> bool:
        """True when every lane can do work."""
        return not self._draining and all(status.state is LaneState.READY for status in self.status())

    @property
    def idle(self) -> bool:
        with self._lock:
            return not self._live

    def drain(self) -> None:
        """Take no new work from now on; what was acknowledged goes on."""
        with self._lock:
            self._draining = True

    def give_up(self) -> None:
        """Cancel what is unfinished and mark it as interrupted: whoever waits for it is told so now."""
        self.drain()
        with self._lock:
            for live in list(self._live.values()):
                live.cancel.set()
                self._finish(live, JobState.INTERRUPTED, error=INTERRUPTED)

    def close(self) -> None:
        """End; see `give_up` for what is still unfinished."""
        self.give_up()
        for lane in self._lanes.values():
            lane.close(timeout=5.0)
        self._stores.close()

    def prune(self, older_than_seconds: float) -> int:
        """Delete final jobs and their files that ended longer ago than this; how many."""
        ids = self._store.delete_finished_before(time.time() - older_than_seconds)
        for job_id in ids:
            self._media.delete(job_id)
        return len(ids)

    # -- on the lane's thread

    def _run(self, job_id: str, work: Work, problem: StudioError | None) -> None:
        with self._lock:
            live = self._live.get(job_id)
            if live is None:
                return
            # Not stored: to a restart, a running job and a waiting one are the same, interrupted.
            self._change(live, state=JobState.RUNNING, started_at=time.time(), progress=JobProgress(stage="starting"))
            for other in self._live.values():
                self._notify(other)
        context = JobContext(
            job_id,
            live.cancel,
            report=lambda progress: self._report(live, progress),
            keep=lambda name, media_type, data: self._keep(live, name, media_type, data),
        )
        result, state, error = _attempt(work, context, problem)
        with self._lock:
            if not live.job.final:
                self._finish(live, state, result=result, error=error)

    def _report(self, live: _Live, progress: Progress) -> None:
        with self._lock:
            if live.job.final or live.job.started_at is None:
                return
            spent = time.time() - live.job.started_at
            eta = spent * (1 - progress.fraction) / progress.fraction if progress.fraction > 0 else None
            known = JobProgress(progress.stage, progress.step, progress.total, progress.fraction, eta)
            self._change(live, progress=known)

    def _keep(self, live: _Live, name: str, media_type: str, data: bytes) -> JobFile:
        file = self._media.write(live.job.id, len(live.files), name, media_type, data)
        live.files.append(file)
        return file

    # -- with the lock held

    def _finish(
        self, live: _Live, state: JobState, *, result: dict[str, Any] | None = None, error: JobError | None = None
    ) -> Job:
        done = state is JobState.SUCCEEDED
        job = live.job.with_(
            state=state,
            finished_at=time.time(),
            result=result,
            error=error,
            files=tuple(live.files) if done else (),
            progress=end_of(state),
        )
        try:
            self._store.save(job)
        except StorageFailed as problem:
            log.error("the end of job %s could not be stored: %s", job.id, problem)
            if done:
                done = False
                lost = JobError.of(problem)
                failed = JobState.FAILED
                job = job.with_(state=failed, result=None, files=(), error=lost, progress=end_of(failed))
            self._unsaved[job.id] = job
        self._media.discard_upload(job.id)
        if not done:
            self._media.delete(job.id)
        live.job = job
        del self._live[job.id]
        self._notify(live)
        for other in self._live.values():
            self._notify(other)
        return job

    def _save_unsaved(self) -> None:
        """Store the ends that could not be stored before: until then, those jobs seem to go on and hold their keys."""
        for job in list(self._unsaved.values()):
            self._store.save(job)
            del self._unsaved[job.id]

    def _change(self, live: _Live, **changes: Any) -> None:
        live.job = live.job.with_(**changes)
        self._notify(live)

    def _notify(self, live: _Live) -> None:
        for loop, signal in tuple(live.watchers):
            try:
                loop.call_soon_threadsafe(signal.set)
            except RuntimeError:
                # The watcher's loop has been closed: nobody is listening there any more.
                live.watchers.discard((loop, signal))

    def _ahead(self, live: _Live) -> int:
        waiting = live.lane.waiting_ids()
        place = waiting.index(live.job.id) if live.job.id in waiting else 0
        return place + live.lane.status.running


def _attempt(
    work: Work, context: JobContext, problem: StudioError | None
) -> tuple[dict[str, Any] | None, JobState, JobError | None]:
    """Run the work and tell how it ended; the one place where anything that a job raises becomes a state."""
    try:
        if problem is not None:
            raise problem
        if context.cancel.is_set():
            raise Cancelled
        return work(context), JobState.SUCCEEDED, None
    except Cancelled as error:
        return None, JobState.CANCELLED, JobError.of(error)
    except StudioError as error:
        return None, JobState.FAILED, JobError.of(error)
    except Exception:
        # One job's bug must not end the lane.
        log.exception("job %s failed", context.job_id)
        message = f"Something went wrong inside the studio. The server's log tells more under job {context.job_id}."
        return None, JobState.FAILED, JobError("internal", message)


def new_job_id() -> str:
    """80 random bits: ids cannot be guessed."""
    return secrets.token_hex(10)
