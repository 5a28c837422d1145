"""The states of jobs, and the only one that changes them.

A state changes in one transaction together with its line in the job's history, its files and what is to be delivered of
it. Nobody sees the new state before it is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pydantic import BaseModel

from app.jobs.errors import GaveUp, IdempotencyConflict, QueueFull, StorageBusy, StorageFailed
from app.jobs.files import Files
from app.jobs.live import LiveJobs
from app.jobs.log import log_end
from app.jobs.model import FETCH, MAX_ATTEMPTS, Job, JobError, JobFile, JobProgress, JobState, Received
from app.jobs.store.database import Database
from app.jobs.store.jobs import JobRows
from app.jobs.store.library import LibraryRows
from app.jobs.store.outbox import Outbox
from engines.errors import Cancelled

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that was started, for the worker that runs it."""

    job: Job
    inputs: dict[str, Path]
    cancel: Event


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: a result with its files, or an error."""

    result: BaseModel | None = None
    files: tuple[tuple[JobFile, Received], ...] = ()
    kept: tuple[JobFile, ...] = ()
    """Inputs of the job that its result needs: they stay as files of it."""
    error: JobError | None = None
    run_again: bool = False
    """The error is not the job's own: it is run again, MAX_ATTEMPTS times in all."""


class States:
    """Thread-safe. Every method may wait for the disk."""

    def __init__(
        self,
        database: Database,
        rows: JobRows,
        library: LibraryRows,
        files: Files,
        live: LiveJobs,
        outbox: Outbox,
        now: Callable[[], float],
    ) -> None:
        self._database = database
        self._rows = rows
        self._library = library
        self._files = files
        self._live = live
        self._outbox = outbox
        self._now = now
        self._no_more_claims = False
        self._unsaved: dict[str, tuple[Job, JobState, Outcome]] = {}
        """Ends that could not be stored. The jobs seem to go on until the disk takes them."""

    def accept(
        self,
        job: Job,
        key: str | None,
        digest: str,
        inputs: Mapping[str, Received],
        *,
        capacity: int,
        admit: Callable[[], None] = lambda: None,
    ) -> Job:
        """Put a job into the queue with its inputs, or return the one that has its key; see Queue.submit.

        `digest`: of its request. `capacity`: most jobs of its device. `admit` is called for what makes work, and may
        raise; a repeated key that finds its job costs nothing. Raises QueueFull, IdempotencyConflict, StorageFailed.
        """
        with self._database.exclusive(), self._undone_if_it_fails(inputs.values()):
            with self._database.write() as db:
                earlier = None if key is None else self._rows.by_key(db, job.account, key)
                if earlier is not None:
                    # Of an earlier version's request only the device is known to be the same.
                    unhashed = earlier.request_hash is None and earlier.job.device == job.device
                    if not unhashed and earlier.request_hash != digest:
                        raise IdempotencyConflict(key or "", earlier.job.id)
                    if earlier.job.state not in (JobState.FAILED, JobState.CANCELLED):
                        return earlier.job
                if self._rows.unfinished_of(db, job.device) >= capacity:
                    waiting = self._live.count(job.device, JobState.QUEUED)
                    raise QueueFull(f"{waiting} {job.device} jobs are waiting already. Try again in a moment.")
                admit()
                if earlier is None:
                    job = self._rows.add(db, job, key, digest)
                    change_id = self._rows.note(db, job, job.created_at)
                else:
                    # What an address had was forgotten with the end: it is fetched again.
                    ended = earlier.job.with_(state=JobState.QUEUED, device=job.device, progress=JobProgress())
                    job = self._rows.again(db, ended, job.deadline, job.webhook)
                    change_id = self._rows.change(db, job)
                self._outbox.add(db, job)
                self._rows.add_inputs(db, job.id, inputs)
                for file in inputs.values():
                    self._files.place(file)
            self._live.put(job, change_id)
        return job

    def claim(self, device: str) -> Claim | None:
        """Start the device's next job, if there is one, and nothing after `stop_claims`."""
        with self._database.exclusive():
            if self._no_more_claims:
                return None
            # Not durable: after a power cut the job would be run as if for the first time. But the device's thread
            # does not wait for the disk.
            with self._database.write(durable=False) as db:
                job = self._rows.next_queued(db, device)
                if job is None:
                    return None
                inputs = self._rows.inputs(db, job.id)
                job = job.with_(
                    state=JobState.RUNNING,
                    attempt=job.attempt + 1,
                    started_at=self._now(),
                    progress=JobProgress(stage="starting"),
                )
                change_id = self._rows.change(db, job)
                # Fetching is before the start that others are told of.
                if job.device != FETCH:
                    self._outbox.add(db, job)
            self._live.put(job, change_id)
        cancel = self._live.cancel_event(job.id)
        assert cancel is not None
        return Claim(job, {name: self._files.path(sha256) for name, sha256 in inputs.items()}, cancel)

    def fetched(self, job: Job, device: str, work: BaseModel, inputs: Mapping[str, Received]) -> None:
        """Take a running job whose files have been fetched to the queue of the `device` that does its `work`, unless it
        has ended meanwhile. Raises StorageFailed."""
        with self._database.exclusive(), self._undone_if_it_fails(inputs.values()):
            with self._database.write() as db:
                if self._rows.state(db, job.id) != (JobState.RUNNING, job.attempt):
                    self._files.discard(inputs.values())
                    return
                # Fetching is a part of the run that is to come, not one of its own.
                waiting = _waiting_again(job).with_(device=device, work=work, attempt=job.attempt - 1)
                waiting = self._rows.move(db, waiting)
                change_id = self._rows.change(db, waiting)
                self._rows.add_inputs(db, job.id, inputs)
                for file in inputs.values():
                    self._files.place(file)
            self._live.put(waiting, change_id)

    def end(self, job: Job, expected: JobState, outcome: Outcome) -> None:
        """Take a job from the state `expected` to its end, unless it has left that state.

        Raises nothing: a result that the disk does not take fails the job, and what cannot be stored now, because
        another program holds the database or there is no room for a word, is tried again.
        """
        try:
            self._change(job, expected, outcome)
        except StorageBusy as problem:
            log.error("the end of job %s could not be stored yet: %s", job.id, problem)
            self._hold(job, expected, outcome, problem)
        except StorageFailed as problem:
            log.error("the end of job %s could not be stored: %s", job.id, problem)
            lost = self._without_result(outcome, problem)
            try:
                self._change(job, expected, lost)
            except StorageFailed:
                self._hold(job, expected, lost, problem)

    def _without_result(self, outcome: Outcome, problem: StorageFailed) -> Outcome:
        self._files.discard(received for _, received in outcome.files)
        return outcome if outcome.result is None else Outcome(error=JobError.of(problem))

    def _hold(self, job: Job, expected: JobState, outcome: Outcome, problem: StorageFailed) -> None:
        if self._unsaved.setdefault(job.id, (job, expected, outcome))[2] is not outcome:
            # It has ended otherwise before, at its deadline perhaps.
            self._files.discard(received for _, received in outcome.files)
        self._live.hold(job.id, problem)

    def save_unsaved(self) -> None:
        """Store the ends that the disk did not take. Raises nothing: what fails now is tried again."""
        for job, expected, outcome in list(self._unsaved.values()):
            try:
                self._change(job, expected, outcome)
            except StorageBusy:
                return
            except StorageFailed as problem:
                self._unsaved[job.id] = (job, expected, self._without_result(outcome, problem))
                return
            # Others may be at the same: the second finds the job ended.
            self._unsaved.pop(job.id, None)

    def stop_claims(self) -> None:
        """From now on no job is started; one that was is seen as running by whoever looks now."""
        with self._database.exclusive():
            self._no_more_claims = True

    def requeue(self, job: Job) -> None:
        """Take a running job back to the queue, before all that came later, at a stop: a run that a stop breaks off is
        not one of the MAX_ATTEMPTS. Raises StorageFailed."""
        with self._database.exclusive():
            with self._database.write() as db:
                if self._rows.state(db, job.id) != (JobState.RUNNING, job.attempt):
                    return
                self._rows.pardon_run(db, job.id)
                waiting = _waiting_again(job)
                change_id = self._rows.change(db, waiting)
                self._outbox.add(db, waiting)
            self._live.put(waiting, change_id)

    def run_again(self, job: Job) -> bool:
        """Take a running job whose run was lost back to the queue, before all that came later; False if it had its
        MAX_ATTEMPTS, or has ended meanwhile. Raises StorageFailed."""
        with self._database.exclusive():
            with self._database.write() as db:
                cancel = self._live.cancel_event(job.id)
                left = self._rows.state(db, job.id) == (JobState.RUNNING, job.attempt)
                if not left or self._rows.runs(db, job) >= MAX_ATTEMPTS or cancel is None or cancel.is_set():
                    return False
                waiting = _waiting_again(job)
                change_id = self._rows.change(db, waiting)
                self._outbox.add(db, waiting)
            self._live.put(waiting, change_id)
            return True

    def take_up(self) -> None:
        """What the last process left: waiting jobs wait on, running ones are to be run again. Raises StorageFailed."""
        with self._database.exclusive():
            with self._database.read() as db:
                left = self._rows.unfinished(db)
                self._files.sweep(self._rows.referred(db))
                runs = {job.id: self._rows.runs(db, job) for job in left if job.state is JobState.RUNNING}
            for job in left:
                if runs.get(job.id, 0) >= MAX_ATTEMPTS:
                    self._change(job, JobState.RUNNING, Outcome(error=JobError.of(GaveUp(runs[job.id]))))
            waiting = sorted(
                (_waiting_again(job) for job in left if runs.get(job.id, 0) < MAX_ATTEMPTS), key=lambda job: job.order
            )
            if not waiting:
                return
            with self._database.write() as db:
                # All get a new line of history, because followers have seen events after the last one that we do not
                # know of, and what is to come must be later.
                changes = [self._rows.change(db, job) for job in waiting]
                for job in waiting:
                    self._outbox.add(db, job)
            for job, change_id in zip(waiting, changes, strict=True):
                self._live.put(job, change_id)
        log.warning("%d jobs of the last run go on", len(waiting))

    def _change(self, job: Job, expected: JobState, outcome: Outcome) -> None:
        """Take a job from the state `expected` to the final one that the outcome stands for."""
        ended = job.with_(
            state=_state_of(outcome),
            finished_at=self._now(),
            progress=JobProgress.at_end(_state_of(outcome)),
            result=outcome.result,
            error=outcome.error,
            files=(*(file for file, _ in outcome.files), *outcome.kept),
        )
        made = [received for _, received in outcome.files]
        with self._database.exclusive(), self._undone_if_it_fails(made):
            with self._database.write() as db:
                if self._rows.state(db, job.id) != (expected, job.attempt):
                    self._files.discard(made)
                    return
                change_id = self._rows.change(db, ended)
                self._rows.add_files(db, job.id, ended.files)
                if ended.state is JobState.SUCCEEDED:
                    self._library.put(db, ended, self._rows.edit(db, job.id))
                for received in made:
                    self._files.place(received)
                gone = self._rows.drop_inputs(db, job.id)
                self._outbox.add(db, ended)
            self._files.delete(gone)
            self._live.put(ended, change_id)
        log_end(ended, self._live.stages(job.id))

    @contextmanager
    def _undone_if_it_fails(self, files: Iterable[Received]) -> Iterator[None]:
        """Where the transaction in the block fails, no file that it placed stays without a job."""
        try:
            yield
        except BaseException:
            with self._database.read() as db:
                self._files.delete(file.sha256 for file in files if not self._rows.is_referred(db, file.sha256))
            raise


def _waiting_again(job: Job) -> Job:
    return job.with_(state=JobState.QUEUED, started_at=None, progress=JobProgress())


def _state_of(outcome: Outcome) -> JobState:
    if outcome.error is None:
        return JobState.SUCCEEDED
    return JobState.CANCELLED if outcome.error.type == Cancelled.code else JobState.FAILED
