"""The first stage of a job that came with an address: its file is fetched, and then the job waits for its device.

Stages of their own, because a device must not stand still while somebody's server sends slowly, and because after a
crash what has been fetched is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from app.jobs.errors import StorageFailed
from app.jobs.files import Files
from app.jobs.model import FETCH, AnyKind, Opener, Received
from app.jobs.queue import Queue
from app.jobs.states import Claim
from app.jobs.worker import Worker, attempt

FETCHED_AT_ONCE = 4
"""They wait for other servers nearly all of the time."""


class FetchWorker(Worker):
    """Fetches the files of the queue's jobs."""

    def __init__(self, queue: Queue, files: Files, kinds: Iterable[AnyKind], opener: Opener) -> None:
        super().__init__(FETCH, queue, kinds, lambda _: None, width=FETCHED_AT_ONCE)
        self._kind_of = {kind.name: kind for kind in kinds}
        self._files = files
        self._opener = opener

    def _run(self, claim: Claim) -> None:
        fetched: list[Received] = []

        def fetch_and_hand_on() -> None:
            job, kind = claim.job, self._kind_of[claim.job.kind]
            field = str(kind.input)
            fetched.append(self._fetch(claim, field, kind.address(job.request)))
            inputs = {field: fetched[0]}
            self._queue.fetched(job, kind.complete(job.work, inputs), inputs)

        _, failed = attempt(claim.job, fetch_and_hand_on)
        if failed is not None:
            self._files.discard(fetched)
            self._queue.end(claim.job, failed)

    def _fetch(self, claim: Claim, field: str, address: str | None) -> Received:
        assert address is not None
        file = self._files.open_new()
        try:
            found = self._opener.fetch(
                field, address, file, claim.cancel, lambda event: self._queue.tell(claim.job.id, event)
            )
            file.close()
            return self._files.adopt(Path(file.name), found.sha256, found.filename)
        except BaseException as error:
            # Closing tries once more what a full disk did not take.
            with suppress(OSError):
                file.close()
            self._files.discard([Received(Path(file.name), "", 0)])
            if isinstance(error, OSError):
                raise StorageFailed(f"What was fetched could not be stored ({error.strerror}).") from error
            raise
