"""A worker: the threads of one device. It loads the device's model, then runs the queue's jobs until the server stops.

What a device has made is encoded and stored by another thread, while the device does the next job's work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from queue import SimpleQueue
from typing import Any

from app.jobs.model import AnyKind, Context, Job, JobError, JobFile, JobState, Received
from app.jobs.queue import Queue
from app.jobs.states import Claim, Outcome
from engines.errors import Cancelled, ProcessLost, StudioError
from engines.events import OnProgress, Progress

log = logging.getLogger(__name__)

SPARE_AFTER_SECONDS = 5.0
"""A device that had no job for so long has spare time: long enough that a person who looks at a picture and presses
again finds it free."""

MADE_AT_ONCE = 2
"""Jobs whose results wait to be stored, for each thread of the device: their pictures are in memory until then."""


class WorkerState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """`waiting` and `running` count jobs; `problem` says why a failed worker failed, and the remedy."""

    name: str
    state: WorkerState
    waiting: int
    running: int
    problem: str = ""
    loading: Progress | None = None
    """How far the loading is, where the engine tells."""


class Worker:
    """Runs at most `width` jobs of one device at once.

    The first thread calls `load` before any work, so a slow model does not hold up the start of the server; jobs wait
    meanwhile. If loading fails, every job fails with the reason.
    """

    def __init__(
        self,
        name: str,
        queue: Queue,
        kinds: Iterable[AnyKind],
        load: Callable[[OnProgress], None],
        *,
        width: int = 1,
        spare: Callable[[threading.Event], bool] | None = None,
        spare_after: float = SPARE_AFTER_SECONDS,
    ) -> None:
        """`name`: the device's, as the kinds have it. `spare`: a bit of work that nobody waits for, done when no job
        has come for `spare_after` seconds; it ends early when its event is set, and tells whether there is more."""
        self.name = name
        self._queue = queue
        self._kinds = {kind.name: kind for kind in kinds if kind.device == name}
        self._load = load
        self._width = width
        self._spare = spare
        self._spare_after = spare_after
        self._state = WorkerState.LOADING
        self._problem: StudioError | None = None
        self._loading: Progress | None = None
        self._threads: list[threading.Thread] = []
        self._to_store: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._storing = threading.Thread(target=self._store, name=f"{name}-store", daemon=True)
        self._room = threading.Semaphore(MADE_AT_ONCE * width)

    def start(self) -> None:
        self._storing.start()
        self._start_thread(self._load_and_work)

    @property
    def status(self) -> WorkerStatus:
        return WorkerStatus(
            self.name,
            self._state,
            self._queue.count(self.name, JobState.QUEUED),
            self._queue.count(self.name, JobState.RUNNING),
            "" if self._problem is None else str(self._problem),
            self._loading if self._state is WorkerState.LOADING else None,
        )

    def close(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for each thread's work in hand; the queue gives out no more by then."""
        for thread in self._threads:
            thread.join(timeout)
        self._to_store.put(None)
        if self._storing.is_alive():
            self._storing.join(timeout)

    def _note(self, progress: Progress) -> None:
        self._loading = progress

    def _start_thread(self, target: Callable[[], None]) -> None:
        # Daemons: a native call that never returns must not keep the process alive after the drain limit.
        thread = threading.Thread(target=target, name=f"{self.name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _load_and_work(self) -> None:
        try:
            self._load(self._note)
        except StudioError as error:
            log.error("the %s engine could not be loaded: %s", self.name, error)
            self._problem = error
        except Exception as error:
            # The worker must go on to tell its callers, whatever the loader raised. No user's words are in it yet.
            log.exception("the %s engine could not be loaded: %s", self.name, error)
            self._problem = StudioError(f"The {self.name} engine could not be loaded; the server's log says why.")
        self._state = WorkerState.READY if self._problem is None else WorkerState.FAILED
        for _ in range(1, self._width):
            self._start_thread(self._work)
        self._work()

    def _work(self) -> None:
        while (claim := self._next()) is not None:
            self._run(claim)

    def _next(self) -> Claim | None:
        """The next job. Until it comes, what there is for spare time is done."""
        while self._spare is not None and self._problem is None:
            claim = self._queue.claim(self.name, self._spare_after)
            if claim is not None or self._queue.stopping:
                return claim
            with self._queue.spare_time(self.name) as wanted:
                if not wanted.is_set() and not self._do_spare(self._spare, wanted):
                    self._spare = None
        return self._queue.claim(self.name)

    def _do_spare(self, spare: Callable[[threading.Event], bool], wanted: threading.Event) -> bool:
        try:
            return spare(wanted)
        except Exception:
            # What nobody asked for must not end the worker.
            log.exception("the %s worker's spare work failed", self.name)
            return False

    def _run(self, claim: Claim) -> None:
        job, kind = claim.job, self._kinds[claim.job.kind]
        files: list[tuple[JobFile, Received]] = []

        def keep(name: str, media_type: str, data: bytes) -> JobFile:
            if claim.cancel.is_set():
                raise Cancelled
            received = self._queue.write(data)
            file = JobFile(f"{job.id}-{len(files)}", name, media_type, received.size, received.sha256)
            files.append((file, received))
            return file

        context = Context(job.id, claim.cancel, lambda event: self._queue.tell(job.id, event), keep)

        def run() -> Outcome | Any:
            if self._problem is not None:
                raise self._problem.with_traceback(None)
            if claim.cancel.is_set():
                raise Cancelled
            return kind.run(job.work, claim.inputs, context)

        made, failed = attempt(job, run)
        if failed is not None:
            self._queue.end(job, failed)
            return

        def store() -> None:
            try:
                context.report(Progress("store", 1, 1, 1.0))
                result, failed = attempt(job, lambda: kind.store(job.work, made, context))
                kept = _kept(job, kind, claim)
                self._queue.end(job, failed or Outcome(result=result, files=tuple(files), kept=kept))
                if failed:
                    self._queue.discard(received for _, received in files)
            finally:
                self._room.release()

        self._room.acquire()
        self._to_store.put(store)

    def _store(self) -> None:
        while (store := self._to_store.get()) is not None:
            try:
                store()
            except Exception:
                # One job's bug must not end the thread that all others wait for.
                log.exception("a %s job's end could not be stored", self.name)


def _kept(job: Job, kind: AnyKind, claim: Claim) -> tuple[JobFile, ...]:
    """The inputs that stay, as files of the result. Content lies under its hash."""
    return tuple(
        JobFile(f"{job.id}-kept_{name}", filename, media_type, path.stat().st_size, path.name)
        for name, (filename, media_type) in kind.kept(job.request, job.work).items()
        if (path := claim.inputs[name]).exists()
    )


def attempt(job: Job, work: Callable[[], Any]) -> tuple[Any, Outcome | None]:
    """What the work made, or how it failed; the one place where anything that a job raises becomes an outcome."""
    try:
        return work(), None
    except StudioError as error:
        return None, Outcome(error=JobError.of(error), run_again=isinstance(error, ProcessLost))
    except Exception:
        # One job's bug must not end the worker.
        log.exception("job %s failed", job.id)
        message = f"Something went wrong inside the studio. The server's log tells more under job {job.id}."
        return None, Outcome(error=JobError("internal", message))
