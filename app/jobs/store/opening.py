"""Opens what is kept on disk, or says in a sentence why that cannot be."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from app.jobs.files import Files
from app.jobs.store.database import Database
from app.jobs.store.folder import held


def open_stores(folder: Path, opened: ExitStack) -> tuple[Database, Files]:
    """The jobs and files of a data folder, for this process alone until `opened` is closed.

    Raises StorageFailed with a sentence for whoever starts the studio.
    """
    opened.enter_context(held(folder))
    files = Files(folder)
    database = Database(folder, may_begin=not files.any())
    opened.callback(database.close)
    return database, files
