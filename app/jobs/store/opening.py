"""Opens what is kept on disk, or says in a sentence why that cannot be."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from pathlib import Path

from app.jobs.files import MediaStore
from app.jobs.store.base import Stores
from app.jobs.store.folder import held
from app.jobs.store.sqlite import SqliteJobStore

log = logging.getLogger(__name__)


def open_stores(folder: Path) -> Stores:
    """Jobs and files in the data folder, for this process alone; what the last one left unfinished is interrupted.

    Raises StorageFailed with a sentence for whoever starts the studio.
    """
    with ExitStack() as opened:
        opened.enter_context(held(folder))
        media = MediaStore(folder)
        jobs = SqliteJobStore(folder / "jobs.db", may_begin=not media.any_file())
        opened.callback(jobs.close)
        interrupted = jobs.interrupt_unfinished(time.time())
        if interrupted:
            log.warning("%d jobs were interrupted by the last stop", interrupted)
        media.discard_uploads()
        return Stores(jobs, media, opened.pop_all().close)
