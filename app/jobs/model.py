"""What a job is: kind + typed request + stored inputs, and the frozen snapshots that everybody looks at.

A job is data. What its kind's `prepare` makes of a request holds every choice that a run needs, random ones included,
so that any worker can run it, and run it again after a crash, with the same result.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from pathlib import Path
from threading import Event
from typing import IO, Any, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel

from engines.errors import StudioError
from engines.events import OnEvent, Progress
from engines.results import Unused

MAX_ATTEMPTS = 3
"""Runs that end with the process before a job is given up: one that kills its server must not do so for ever."""


FETCH = "fetch"
"""The device of jobs whose file is still at an address."""


class JobState(StrEnum):
    """queued -> running -> one of the three final states. A stop of the server takes a running job back to queued."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Priority(IntEnum):
    """Interactive work goes before batch work."""

    INTERACTIVE = 0
    BATCH = 1


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job has no result: `type` in snake_case for programs, `message` for people, `field` if one is to blame."""

    type: str
    message: str
    field: str | None = None
    status: int = 500
    """The HTTP status of an answer that tells of it."""
    retry_after: int | None = None

    @classmethod
    def of(cls, error: StudioError) -> Self:
        if isinstance(error, JobFailed):
            # What another job recorded is passed on as it is.
            error_of_job = error.error
            return cls(
                error_of_job.type,
                error_of_job.message,
                error_of_job.field,
                error_of_job.status,
                error_of_job.retry_after,
            )
        return cls(error.code, str(error), error.field, error.status, error.retry_after)


class JobFailed(StudioError):
    """A job ended without a result; `error` is what the job recorded."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error
        self.field = error.field


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is. `ahead` counts the jobs before a queued one; `eta_seconds` is None until it can be told."""

    stage: str = "queued"
    step: int = 0
    total: int = 0
    fraction: float = 0.0
    eta_seconds: float | None = None
    """Of a running job until its end, of a queued one until its start."""
    ahead: int = 0

    @classmethod
    def at_end(cls, state: JobState) -> Self:
        return cls(state.value, 1, 1, 1.0, 0.0) if state is JobState.SUCCEEDED else cls(state.value)

    @classmethod
    def stored(cls, state: JobState) -> Self:
        """What is known of it from its state alone."""
        return cls() if state is JobState.QUEUED else cls.at_end(state)


@dataclass(frozen=True, slots=True)
class JobFile:
    """One file of a result. `id` is what `/files/{id}` takes; `size` in bytes."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody made of a job's result; the result itself stays as it is."""

    revision: int
    """Grows with each edit; 0 before the first."""
    content: str | None
    """JSON that the kind understands; None: the result as it was made."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How a list of what was made shows a result, and by what it is found."""

    words: str
    """What a search looks through."""
    preset: str
    model: str
    card: BaseModel
    """What a list shows of it, so that a list of long results need not read them."""


@dataclass(frozen=True, slots=True)
class Received:
    """A file on its way in or out: whole, at a path of the store's own, and not yet anybody's."""

    path: Path
    sha256: str
    size: int
    filename: str = ""
    """The name that its sender gave it, for messages."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a job's sender wants to be told of it."""

    address: str
    events: tuple[str, ...]
    base_url: str
    """What the studio's own addresses in the message start with; it ends with a slash."""


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot of one job. Times are seconds since the epoch."""

    id: str
    kind: str
    device: str
    account: str
    state: JobState
    request: BaseModel
    """As it was sent: the caller's own words. Its files are told by their hashes."""
    work: BaseModel
    """What is run: nothing left open."""
    created_at: float
    number: int = 0
    """In order of arrival."""
    user: str = ""
    """The end user of the account for whom it is, opaque."""
    priority: Priority = Priority.INTERACTIVE
    turn: int = 0
    """Place among the users' turns; see Queue.submit."""
    attempt: int = 0
    """How often it has been started."""
    deadline: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    progress: JobProgress = JobProgress()
    result: BaseModel | None = None
    files: tuple[JobFile, ...] = ()
    error: JobError | None = None
    warnings: tuple[Unused, ...] = ()
    webhook: Webhook | None = None

    @property
    def final(self) -> bool:
        return self.state.final

    @property
    def order(self) -> tuple[int, int, int]:
        """Waiting jobs of a device are run in this order."""
        return self.priority, self.turn, self.number

    def succeeded(self) -> Job:
        """The job itself if it has a result, else JobFailed with the reason: an error is never taken for a result."""
        if self.state is JobState.SUCCEEDED:
            return self
        raise JobFailed(self.error or JobError("unfinished", f"Job {self.id} is {self.state.value}."))

    def with_(self, **changes: Any) -> Job:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Context:
    """What a run may use: tell what happens, look at `cancel`, keep files of the result."""

    job_id: str
    cancel: Event
    report: OnEvent
    keep: Callable[[str, str, bytes], JobFile]
    """keep(name, media_type, data) stores one file of the result; for `store` only."""


Q = TypeVar("Q", bound=BaseModel)
W = TypeVar("W", bound=BaseModel)
M = TypeVar("M")
R = TypeVar("R", bound=BaseModel)


class Opener(Protocol):
    """Opens the addresses that callers give."""

    def check(self, field: str, address: str) -> None:
        """Without the network. Raises InvalidRequest for an address that is not to be opened."""

    def fetch(
        self, field: str, address: str, into: IO[bytes], cancel: Event, on_progress: Callable[[Progress], None]
    ) -> Fetched:
        """Write what is there to `into`. Raises InvalidRequest, StudioError; Cancelled once `cancel` is set."""


class Fetched(Protocol):
    """What an address had: how its content hashes, and a name for it in messages."""

    @property
    def sha256(self) -> str: ...

    @property
    def filename(self) -> str: ...


class Kind(ABC, Generic[Q, W, M, R]):
    """One kind of work. A stored job is run by the kind that has its name."""

    name: ClassVar[str]
    input: ClassVar[str | None] = None
    """Name of the file that may come with it. The request's field of that name may hold its address instead."""
    device: str
    """Name of the worker that runs it."""
    request_type: type[Q]
    work_type: type[W]
    result_type: type[R]
    card_type: type[BaseModel] | None = None
    """Of its listings; None: its results are in no list."""

    @abstractmethod
    def prepare(self, request: Q, inputs: Mapping[str, Received]) -> tuple[W, tuple[Unused, ...]]:
        """Fill in what the request leaves open, and say what of it will not be used. Raises InvalidRequest.

        A file whose address is in the request is not among the `inputs` yet.
        """

    def for_account(self, work: W, account: str) -> W:  # noqa: ARG002 - for kinds that accounts have settings of
        """The work with what the account has set for all of its jobs."""
        return work

    def complete(self, work: W, inputs: Mapping[str, Received]) -> W:  # noqa: ARG002 - for kinds whose files add to it
        """The work with what its file adds to it, once that has been fetched. Raises InvalidRequest."""
        return work

    def address(self, request: Q) -> str | None:
        """Where the job's file is to be fetched from; None if it came with the request, or there is none."""
        return None if self.input is None else getattr(request, self.input)

    def kept(self, request: Q, work: W) -> Mapping[str, tuple[str, str]]:  # noqa: ARG002 - for kinds that keep some
        """Inputs that stay after a run that made a result, as files of it: file name and media type by input's name."""
        return {}

    def listing(self, request: Q, work: W, result: R, edit: Edit) -> Listing | None:  # noqa: ARG002 - where it has a card
        """How a result is listed, with what somebody made of it since."""
        return None

    @abstractmethod
    def run(self, work: W, inputs: Mapping[str, Path], context: Context) -> M:
        """The device's part, on the device's thread. Raises StudioError; Cancelled once `context.cancel` is set."""

    @abstractmethod
    def store(self, work: W, made: M, context: Context) -> R:
        """The rest: encode and keep the files. On another thread, while the device does the next job's work."""


AnyKind = Kind[Any, Any, Any, Any]


def new_job_id() -> str:
    """80 random bits: ids cannot be guessed."""
    return secrets.token_hex(10)
