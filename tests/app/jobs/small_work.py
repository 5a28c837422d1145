"""A kind of work that a test holds and releases, on a queue with a worker, as the studio wires them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from app.jobs.fetching import FetchWorker
from app.jobs.files import Files
from app.jobs.model import Context, Job, Kind, Opener, Received
from app.jobs.queue import Queue, Submission
from app.jobs.store.database import Database
from app.jobs.store.opening import open_stores
from app.jobs.worker import Worker
from app.work.request import Address, JobRequest
from engines.errors import Cancelled, InvalidRequest
from engines.events import OnProgress, Progress
from engines.requests import Request
from engines.results import Result, Unused

T = TypeVar("T")


class Asked(JobRequest):
    """`say` is what the result says."""

    say: str = "x"
    paper: Address | None = None
    paper_sha256: str | None = None


class Done(Result):
    """What came of it, and the number that was drawn before it was acknowledged."""

    said: str
    drawn: int
    file: str


class Task(Request):
    """What is run."""

    say: str
    drawn: int


class HeldKind(Kind[Asked, Task, str, Done]):
    """Steps until `release` is set, looking at cancel at each step as the engines do; `store_release` holds the end."""

    name: ClassVar[str] = "held"
    input = "paper"
    device = "bench"
    request_type = Asked
    work_type = Task
    result_type = Done

    def __init__(self, name: str = "held") -> None:
        self.name = name  # type: ignore[misc]
        self.release = threading.Event()
        self.store_release = threading.Event()
        self.store_release.set()
        self.running: list[str] = []
        self.storing: list[str] = []
        self.order: list[str] = []
        self.most_at_once = 0
        self.fail_with: Exception | None = None
        self.fail_storing_with: Exception | None = None
        self.drawn = 0
        self._lock = threading.Lock()

    def prepare(self, request: Asked, inputs: Mapping[str, Received]) -> tuple[Task, tuple[Unused, ...]]:
        if not request.say:
            raise InvalidRequest("say", "say is empty.")
        with self._lock:
            self.drawn += 1
            return Task(say=request.say, drawn=self.drawn), ()

    def complete(self, work: Task, inputs: Mapping[str, Received]) -> Task:
        if "," in inputs["paper"].filename:
            raise InvalidRequest("paper", "paper has a comma in its name.")
        return work.model_copy(update={"say": f"{work.say} {inputs['paper'].filename} "})

    def run(self, work: Task, inputs: Mapping[str, Path], context: Context) -> str:
        with self._lock:
            self.running.append(context.job_id)
            self.order.append(context.job_id)
            self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            step = 0
            while not self.release.wait(0.005):
                step += 1
                context.report(Progress("denoise", min(step, 99), 100, min(step, 99) / 100))
                if context.cancel.is_set():
                    # A real engine takes a moment to clean up: the next job must wait for it.
                    time.sleep(0.02)
                    raise Cancelled
            if self.fail_with is not None:
                raise self.fail_with
            return work.say + "".join(path.read_text() for path in inputs.values())
        finally:
            with self._lock:
                self.running.remove(context.job_id)

    def store(self, work: Task, made: str, context: Context) -> Done:
        self.storing.append(context.job_id)
        self.store_release.wait(30)
        file = context.keep("1.txt", "text/plain", made.encode())
        if self.fail_storing_with is not None:
            raise self.fail_storing_with
        return Done(said=made, drawn=work.drawn, file=file.id)


class Desk:
    """A queue over a folder with one worker. `stop` ends it as a stop of the server does, `crash` as kill -9 does."""

    def __init__(
        self,
        folder: Path,
        *,
        width: int = 1,
        capacity: int = 50,
        kinds: tuple[HeldKind, ...] | None = None,
        load: Callable[[OnProgress], None] = lambda _: None,
        work: bool = True,
        opener: Opener | None = None,
        **options: Any,
    ) -> None:
        self.opened = ExitStack()
        self.database, self.files = self.open(folder)
        self.kinds = kinds or (HeldKind(),)
        self.kind = self.kinds[0]
        both = {"bench": capacity, "fetch": capacity}
        self.queue = Queue(self.database, self.files, self.kinds, capacity=both, opener=opener, **options)
        self.worker = Worker("bench", self.queue, self.kinds, load, width=width)
        self.workers = [self.worker]
        if opener is not None:
            self.workers.append(FetchWorker(self.queue, self.files, self.kinds, opener))
        if work:
            for worker in self.workers:
                worker.start()

    def open(self, folder: Path) -> tuple[Database, Files]:
        return open_stores(folder, self.opened)

    def submit(
        self, say: str = "x", *, account: str = "ann", kind: str = "held", paper: str | None = None, **more: Any
    ) -> Job:
        asked = Asked(say=say) if paper is None else Asked(say=say, paper=paper)
        return self.queue.submit(Submission(kind, asked, account, **more))

    def get(self, job: Job, account: str | None = None) -> Job:
        return wait_for(self.queue.get(job.id, account or job.account))

    def end(self, job: Job) -> Job:
        return wait_for(self.queue.finished(job.id, job.account))

    def stop(self) -> None:
        self.queue.give_up()
        for worker in self.workers:
            worker.close(10)
        self.opened.close()

    def crash(self) -> None:
        """The database and the lock let go; no state is changed, nothing is told."""
        self.queue._stopping = True
        self.queue._call_workers()
        self.opened.close()
        self.kind.release.set()
        for worker in self.workers:
            worker.close(10)


def wait_for(work: Coroutine[Any, Any, T], seconds: float = 20) -> T:
    return asyncio.run(asyncio.wait_for(work, seconds))
