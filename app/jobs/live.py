"""What this process knows of its jobs without asking the disk: their latest snapshots, their events, and who follows.

Everything here is memory under a lock that is held for microseconds, so that an event loop may call it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from app.jobs.errors import Interrupted, StorageFailed
from app.jobs.model import Job, JobProgress, JobState
from engines.events import Event, Progress

ENDED_JOBS = 200
"""Jobs whose events are kept after their end, for followers that come back; the job itself is on disk."""

PACE_MEMORY = 0.3
"""Weight of the last job in the average that expected waits are made of."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event of a job. `id` grows: the line of the job's history that it follows, and its number after that."""

    id: tuple[int, int]
    job: Job
    """As the job was then."""
    told: Event | None = None
    """What the engine told; None where the job's state changed, or its place in the queue."""


@dataclass(slots=True)
class _Live:
    job: Job
    cancel: threading.Event = field(default_factory=threading.Event)
    events: list[JobEvent] = field(default_factory=list)
    last_id: tuple[int, int] = (0, 0)
    problem: StorageFailed | None = None
    """Why its end is not on disk yet."""
    followers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=set)
    stage: str | None = None
    """What it is at, since `since`; None while it waits and after its end."""
    since: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each."""

    def enter(self, stage: str | None, now: float) -> None:
        if self.stage is not None and stage != self.stage:
            self.stages[self.stage] = self.stages.get(self.stage, 0.0) + now - self.since
        if stage != self.stage:
            self.stage, self.since = stage, now


class LiveJobs:
    """Jobs that are waiting or running, and the last that ended. Thread-safe; never blocks."""

    def __init__(self, on_change: Callable[[Job], None], now: Callable[[], float]) -> None:
        """`on_change` is told of every change of state; it must not wait."""
        self._on_change = on_change
        self._now = now
        self._lock = threading.Lock()
        self._unfinished: dict[str, _Live] = {}
        self._ended: OrderedDict[str, _Live] = OrderedDict()
        self._seconds: dict[str, float] = {}
        """Device -> how long its jobs take, an average in which the last one counts most."""
        self._stopped = False

    # -- looking

    def get(self, job_id: str) -> Job | None:
        """The latest snapshot; a waiting job's has its place. None for one that is on disk only."""
        with self._lock:
            live = self._unfinished.get(job_id) or self._ended.get(job_id)
            return None if live is None else self._placed(live.job)

    def cancel_event(self, job_id: str) -> threading.Event | None:
        """What a running job looks at; None for one that has ended."""
        with self._lock:
            live = self._unfinished.get(job_id)
            return None if live is None else live.cancel

    def stages(self, job_id: str) -> dict[str, float]:
        """Seconds that the job has spent in each stage, of what this process has seen of it."""
        with self._lock:
            live = self._unfinished.get(job_id) or self._ended.get(job_id)
            return {} if live is None else dict(live.stages)

    def unfinished(self) -> list[Job]:
        with self._lock:
            return [live.job for live in self._unfinished.values()]

    def count(self, device: str, state: JobState) -> int:
        with self._lock:
            return sum(live.job.device == device and live.job.state is state for live in self._unfinished.values())

    # -- changing

    def put(self, job: Job, change_id: int) -> None:
        """The job's state is stored as line `change_id` of its history: show it, and tell everybody whom it concerns.

        A waiting job that was started leaves a place to those behind it.
        """
        with self._lock:
            live = self._unfinished.pop(job.id, None) or self._ended.pop(job.id, None) or _Live(job)
            if live.job.final and not job.final:
                live.cancel = threading.Event()
                live.stages.clear()
                # Started again: who follows it from now on must not take the earlier end for this one's.
                live.events.clear()
            if job.state is JobState.SUCCEEDED and job.started_at and job.finished_at:
                self._keep_pace(job.device, job.finished_at - job.started_at)
            live.enter("starting" if job.state is JobState.RUNNING else None, job.finished_at or self._now())
            live.job = job
            live.problem = None
            live.last_id = (change_id, 0)
            if job.final:
                _drop_previews(live)
                self._ended[job.id] = live
                while len(self._ended) > ENDED_JOBS:
                    self._ended.popitem(last=False)
            else:
                self._unfinished[job.id] = live
            live.events.append(JobEvent(live.last_id, self._placed(job)))
            self._notify(live)
            for other in self._unfinished.values():
                # Places are counted for those alone who are looked at: each count goes through the whole queue.
                if other.followers and other is not live and other.job.state is JobState.QUEUED:
                    told = other.events[-1].job.progress.ahead
                    if self._placed(other.job).progress.ahead != told:
                        self._add(other, None)
        self._on_change(job)

    def tell(self, job_id: str, event: Event) -> None:
        """An engine's event. Of a job that is not running any more it is dropped."""
        with self._lock:
            live = self._unfinished.get(job_id)
            if live is None or live.job.state is not JobState.RUNNING or live.job.started_at is None:
                return
            if isinstance(event, Progress):
                now = self._now()
                live.enter(event.stage, now)
                spent = now - live.job.started_at
                left = spent * (1 - event.fraction) / event.fraction if event.fraction > 0 else None
                live.job = live.job.with_(
                    progress=JobProgress(event.stage, event.step, event.total, event.fraction, left)
                )
            self._add(live, event)

    def hold(self, job_id: str, problem: StorageFailed) -> None:
        """The job's end could not be stored: whoever waits for it is told so, and may come back for it."""
        with self._lock:
            if (live := self._unfinished.get(job_id)) is not None:
                live.problem = problem
                self._notify(live)

    def forget(self, ids: Iterable[str]) -> None:
        """Jobs that have been deleted."""
        with self._lock:
            for job_id in ids:
                self._ended.pop(job_id, None)

    def stop(self) -> None:
        """Nothing more will happen in this process: whoever follows an unfinished job is told so."""
        with self._lock:
            self._stopped = True
            for live in self._unfinished.values():
                self._notify(live)

    # -- following

    async def snapshots(self, job_id: str) -> AsyncIterator[Job]:
        """Snapshots of a live job, the first at once, the last one final. Changes in between may be merged.

        Raises Interrupted when the server stops before that, and StorageFailed when the end cannot be stored.
        """
        async for live in self._follow(job_id):
            job = self._placed_now(live)
            yield job
            if job.final:
                return
            if live.problem is not None:
                raise live.problem.with_traceback(None)
            self._check_going_on(job_id)

    async def events(self, job_id: str, after: tuple[int, int]) -> AsyncIterator[JobEvent]:
        """Every event of a live job that is later than `after`; the last one is of its final state.

        Raises Interrupted when the server stops before that, and StorageFailed when the end cannot be stored.
        """
        async for live in self._follow(job_id):
            with self._lock:
                new = [event for event in live.events if event.id > after]
                final = live.job.final
            for event in new:
                after = event.id
                yield event
            if final:
                return
            if live.problem is not None:
                raise live.problem.with_traceback(None)
            self._check_going_on(job_id)

    async def _follow(self, job_id: str) -> AsyncIterator[_Live]:
        """The live job, now and after each change."""
        follower = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            live = self._unfinished.get(job_id) or self._ended.get(job_id)
            if live is None:
                return
            live.followers.add(follower)
        try:
            while True:
                yield live
                await follower[1].wait()
                follower[1].clear()
        finally:
            with self._lock:
                live.followers.discard(follower)

    def _check_going_on(self, job_id: str) -> None:
        if self._stopped:
            raise Interrupted(job_id)

    def _placed_now(self, live: _Live) -> Job:
        with self._lock:
            return self._placed(live.job)

    # -- with the lock held

    def _add(self, live: _Live, event: Event | None) -> None:
        live.last_id = (live.last_id[0], live.last_id[1] + 1)
        live.events.append(JobEvent(live.last_id, self._placed(live.job), event))
        self._notify(live)

    def _notify(self, live: _Live) -> None:
        for loop, signal in tuple(live.followers):
            try:
                loop.call_soon_threadsafe(signal.set)
            except RuntimeError:
                # The follower's loop has been closed: nobody is listening there any more.
                live.followers.discard((loop, signal))

    def _placed(self, job: Job) -> Job:
        """A waiting job with its place, and the expected wait where jobs have been timed."""
        if job.state is not JobState.QUEUED:
            return job
        ahead = sum(
            other.job.device == job.device and (other.job.state is JobState.RUNNING or other.job.order < job.order)
            for other in self._unfinished.values()
            if other.job.id != job.id
        )
        seconds = self._seconds.get(job.device)
        return job.with_(progress=JobProgress(ahead=ahead, eta_seconds=None if seconds is None else ahead * seconds))

    def _keep_pace(self, device: str, seconds: float) -> None:
        known = self._seconds.get(device, seconds)
        self._seconds[device] = known + PACE_MEMORY * (seconds - known)


def _drop_previews(live: _Live) -> None:
    """All but the last: pictures take memory, and there is a better one now."""
    previews = [event for event in live.events if event.told is not None and event.told.type == "preview"]
    superseded = {event.id for event in previews[:-1]}
    live.events = [event for event in live.events if event.id not in superseded]
