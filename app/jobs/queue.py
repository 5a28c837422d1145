"""The queue: what callers, workers and the server ask of jobs that wait and run. How states change is
`app.jobs.states`; jobs as they are looked for later are `app.jobs.library`."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel

from app.concurrency import run_blocking
from app.jobs.errors import DeadlineExceeded, Draining, JobNotFound, StorageFailed
from app.jobs.files import Files
from app.jobs.library import Library
from app.jobs.live import JobEvent, LiveJobs
from app.jobs.model import FETCH, AnyKind, Job, JobError, JobState, Opener, Priority, Received, Webhook, new_job_id
from app.jobs.quota import Limits, Quota, Standing
from app.jobs.states import Claim, Outcome, States
from app.jobs.store.database import Database
from app.jobs.store.jobs import JobRows
from app.jobs.store.library import LibraryRows
from app.jobs.store.outbox import Deliverer, Outbox
from engines.errors import Cancelled, InvalidRequest
from engines.events import Event as EngineEvent
from engines.results import Unused

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody asks for. `inputs` are the request's files by their field's name."""

    kind: str
    request: BaseModel
    account: str
    inputs: Mapping[str, Received] = field(default_factory=dict)
    address_field: str = ""
    """What the sender calls the field with the address of the job's file, where that is not the request's name."""
    user: str = ""
    priority: Priority = Priority.INTERACTIVE
    deadline_seconds: float | None = None
    idempotency_key: str | None = None
    warnings: tuple[Unused, ...] = ()
    """What of it was not understood, on the way here."""
    webhook: Webhook | None = None


class Queue:
    """All jobs of a data folder. Thread-safe. Methods that are not `async` may wait for the disk."""

    def __init__(
        self,
        database: Database,
        files: Files,
        kinds: Iterable[AnyKind],
        *,
        capacity: Mapping[str, int],
        opener: Opener | None = None,
        deliverers: tuple[Deliverer, ...] = (),
        renamed: Mapping[str, str] | None = None,
        on_change: Callable[[Job], None] = lambda _: None,
        limits: Limits | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Takes up what an earlier process left: waiting jobs wait on, running ones are to be run again.

        `capacity`: most jobs of each device that wait or run; FETCH, whose jobs go on to their own device then, is one
        of them. `opener`: of addresses; none are taken without. `renamed`: accounts by their old names, whose jobs go
        with them. `on_change` is told of every change of state, after it is on disk; it must not wait.
        `limits`: of each account and user.
        """
        self._kinds = {kind.name: kind for kind in kinds}
        self._rows = JobRows(self._kinds)
        entries = LibraryRows(self._kinds)
        self._database = database
        self._files = files
        self._capacity = capacity
        self._opener = opener
        self._now = now
        self.outbox = Outbox(database, deliverers, self._rows.get, now)

        def changed(job: Job) -> None:
            self.outbox.wake()
            on_change(job)

        self._live = LiveJobs(changed, now)
        self._states = States(database, self._rows, entries, files, self._live, self.outbox, now)
        self.library = Library(database, files, self._rows, entries, self._live, now)
        self._work_came = threading.Condition()
        self._spare_times: dict[threading.Event, str] = {}
        self._draining = False
        self._stopping = False
        for old, new in (renamed or {}).items():
            with database.write() as db:
                self._rows.rename_account(db, old, new)
                entries.rename_account(db, old)
        self._quota = Quota(limits or Limits(), now)
        if limits is not None and (limits.per_day or limits.user_per_day):
            # The whole table is read for it, once.
            with database.read() as db:
                self._quota.count(self._rows.made_since(db, self._quota.day_began))
        self._states.take_up()

    # -- what callers do

    def submit(self, asked: Submission) -> Job:
        """Acknowledge a job: it is safe on disk when this returns. It takes over `asked.inputs`.

        A repeated key returns the first job while that waits, runs or has a result, and starts it again after it
        failed or was cancelled. Raises InvalidRequest, QueueFull, RateLimited, Draining, IdempotencyConflict,
        StorageFailed.
        """
        try:
            return self._submit(asked)
        finally:
            self._files.discard(asked.inputs.values())

    def _submit(self, asked: Submission) -> Job:
        kind = self._kinds[asked.kind]
        hashes = {f"{name}_sha256": file.sha256 for name, file in asked.inputs.items()}
        request = asked.request.model_copy(update=hashes)
        if self._draining:
            raise Draining
        device = FETCH if self._is_to_be_fetched(kind, request, asked) else kind.device
        work, unused = kind.prepare(request, asked.inputs)
        work = kind.for_account(work, asked.account)
        digest = hashlib.sha256(f"{kind.name}\n{request.model_dump_json(exclude_unset=True)}".encode()).hexdigest()
        now = self._now()
        job = Job(
            id=new_job_id(),
            kind=kind.name,
            device=device,
            account=asked.account,
            user=asked.user,
            state=JobState.QUEUED,
            priority=asked.priority,
            request=request,
            work=work,
            created_at=now,
            deadline=None if asked.deadline_seconds is None else now + asked.deadline_seconds,
            warnings=(*asked.warnings, *unused),
            webhook=asked.webhook,
        )
        self._states.save_unsaved()
        capacity = self._capacity[device]
        job = self._states.accept(
            job,
            asked.idempotency_key,
            digest,
            asked.inputs,
            capacity=capacity,
            admit=lambda: self._quota.take(asked.account, asked.user),
        )
        self._call_workers()
        return self._live.get(job.id) or job

    def standings(self, account: str) -> list[Standing]:
        """What is left of the account's limits. Does not wait."""
        return self._quota.standings(account)

    def _is_to_be_fetched(self, kind: AnyKind, request: BaseModel, asked: Submission) -> bool:
        """Whether the job's file is still at an address. Raises InvalidRequest for one that is not to be opened."""
        address = kind.address(request)
        if address is None:
            return False
        field = asked.address_field or str(kind.input)
        if kind.input in asked.inputs:
            raise InvalidRequest(field, f"{field} came as a file and as an address: send one of them.")
        if self._opener is None:
            raise InvalidRequest(field, f"{field} is an address, and none are taken here: send the file itself.")
        self._opener.check(field, address)
        return True

    async def get(self, job_id: str, account: str) -> Job:
        """The job as it is now. Raises JobNotFound, also when it is somebody else's."""
        job = await self.library.find(job_id)
        if job is None or job.account != account:
            raise JobNotFound(job_id)
        return job

    async def cancel(self, job_id: str, account: str) -> Job:
        """Ask a job to stop. A waiting one is cancelled at once, a running one within one step; a final one stays."""
        job = await self.get(job_id, account)
        if job.final:
            return job
        # Now, and not when a thread is free: the device is to be free soon.
        if (cancel := self._live.cancel_event(job_id)) is not None:
            cancel.set()
        # Looked at again, because one whose file was being fetched may have come back to the queue.
        job = await self.get(job_id, account)
        if job.state is JobState.QUEUED:
            await run_blocking(self._states.end, job, JobState.QUEUED, Outcome(error=JobError.of(Cancelled())))
        return await self.get(job_id, account)

    async def watch(self, job_id: str, account: str) -> AsyncIterator[Job]:
        """Snapshots of the job, the first at once, the last one final. Changes in between may be merged.

        Raises JobNotFound, Interrupted when the server stops before the end, StorageFailed when that cannot be stored.
        """
        job = await self.get(job_id, account)
        known = False
        async for job in self._live.snapshots(job_id):
            known = True
            yield job
        if not known:
            yield job

    async def finished(self, job_id: str, account: str) -> Job:
        """Wait until the job is final. The job goes on when the waiting is cancelled. Raises as `watch` does."""
        async for job in self.watch(job_id, account):
            if job.final:
                return job
        raise JobNotFound(job_id)

    async def events(
        self, job_id: str, account: str, after: tuple[int, int] = (0, 0)
    ) -> AsyncGenerator[JobEvent, None]:
        """Every event later than `after`, in order, until the one of the final state. Raises as `watch` does."""
        job = await self.get(job_id, account)
        known = False
        async for event in self._live.events(job_id, after):
            known = True
            yield event
        if not known and job.final:
            for event in await run_blocking(self._history, job):
                if event.id > after:
                    yield event

    # -- what workers do

    def claim(self, device: str, patience: float | None = None) -> Claim | None:
        """Start the device's next job; wait for one if there is none. None when the server stops, and when none has
        come for `patience` seconds."""
        while True:
            with self._work_came:
                came = self._work_came.wait_for(lambda: self._is_wanted(device), patience)
            if self._stopping or not came:
                return None
            try:
                claim = self._states.claim(device)
            except StorageFailed as problem:
                log.error("no %s job could be started: %s", device, problem)
                time.sleep(1.0)
                continue
            if claim is not None:
                return claim

    @contextmanager
    def spare_time(self, device: str) -> Iterator[threading.Event]:
        """For what is to be done only while the device has no job: the event is set when one comes, or when the server
        takes no more work."""
        wanted = threading.Event()
        with self._work_came:
            self._spare_times[wanted] = device
            if self._draining or self._is_wanted(device):
                wanted.set()
        try:
            yield wanted
        finally:
            with self._work_came:
                del self._spare_times[wanted]

    @property
    def stopping(self) -> bool:
        """Whether workers are to end."""
        return self._stopping

    def tell(self, job_id: str, event: EngineEvent) -> None:
        """An engine's event, for whoever follows the job. Never waits."""
        self._live.tell(job_id, event)

    def write(self, data: bytes) -> Received:
        """A file of a result, not yet anybody's. Raises StorageFailed."""
        return self._files.write(data)

    def discard(self, files: Iterable[Received]) -> None:
        """Files of a result that came to nothing."""
        self._files.discard(files)

    def fetched(self, job: Job, work: BaseModel, inputs: Mapping[str, Received]) -> None:
        """The job's files are here, and its work is complete: its device is to do it. Raises StorageFailed."""
        self._states.fetched(job, self._kinds[job.kind].device, work, inputs)
        self._call_workers()

    def end(self, job: Job, outcome: Outcome) -> None:
        """Store how a run of the job ended, unless that run has been given up meanwhile."""
        if outcome.run_again:
            try:
                if self._states.run_again(job):
                    self._call_workers()
                    return
            except StorageFailed as problem:
                log.error("job %s could not be taken back to the queue: %s", job.id, problem)
        self._states.end(job, JobState.RUNNING, outcome)

    # -- what the server does

    def count(self, device: str, state: JobState) -> int:
        """How many jobs of a device wait or run."""
        return self._live.count(device, state)

    def unfinished(self) -> list[Job]:
        """What waits and what runs."""
        return self._live.unfinished()

    @property
    def draining(self) -> bool:
        return self._draining

    @property
    def idle(self) -> bool:
        """True when nothing waits and nothing runs."""
        return not self._live.unfinished()

    def drain(self) -> None:
        """Take no new work from now on; what was acknowledged goes on."""
        self._draining = True
        self._call_workers()

    def give_up(self) -> None:
        """Stop the running jobs, which are run again after the next start, and tell whoever waits."""
        self.drain()
        self._stopping = True
        self._call_workers()
        # A worker may be about to start a job, which must not be overlooked below.
        self._states.stop_claims()
        for job in self._live.unfinished():
            if job.state is not JobState.RUNNING:
                continue
            cancel = self._live.cancel_event(job.id)
            try:
                self._states.requeue(job)
            except StorageFailed as problem:
                # To the next start a job that still runs on disk is one that a crash interrupted.
                log.error("job %s could not be taken back to the queue: %s", job.id, problem)
            if cancel is not None:
                cancel.set()
        self._live.stop()

    def close(self) -> None:
        self._database.close()

    def look_after(self) -> None:
        """To be called every second or so: end what is past its deadline, store what could not be stored."""
        self._states.save_unsaved()
        now = self._now()
        for job in self._live.unfinished():
            if job.deadline is not None and job.deadline < now:
                if (cancel := self._live.cancel_event(job.id)) is not None:
                    cancel.set()
                self._states.end(job, job.state, Outcome(error=JobError.of(DeadlineExceeded())))
        self.library.merge_words()

    # -- reading

    def _history(self, job: Job) -> list[JobEvent]:
        """The changes of state of a job that only the disk knows, since it was queued last."""
        with self._database.read() as db:
            changes = self._rows.history(db, job.id)
        starts = [number for number, change in enumerate(changes) if change.state is JobState.QUEUED]
        changes = changes[starts[-1] if starts else 0 :]
        last = changes[-1].id if changes else 0
        return [
            JobEvent(
                (change.id, 0), job if change.id == last else job.with_(state=change.state, result=None, error=None)
            )
            for change in changes
        ]

    def _is_wanted(self, device: str) -> bool:
        return self._stopping or self._live.count(device, JobState.QUEUED) > 0

    def _call_workers(self) -> None:
        with self._work_came:
            for event, device in self._spare_times.items():
                if self._draining or self._is_wanted(device):
                    event.set()
            self._work_came.notify_all()
