"""What stops the start: a data folder or a database that cannot be relied on, in a sentence each."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.jobs.errors import StorageFailed
from app.jobs.files import Files
from app.jobs.model import JobFile
from app.jobs.queue import Queue, Submission
from app.jobs.states import Outcome
from app.jobs.store.database import Database
from app.jobs.store.opening import open_stores
from app.work.image import PicturesResult, PlainKind, PlainRequest
from tests.conftest import ROOT, Launched
from tests.disks import fill, small_disk
from tests.small_engines import BlobEngine

CONTENT = b"x" * 100


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Database, Files]]:
    """The stores of a data folder until the block ends."""
    with ExitStack() as stack:
        yield open_stores(folder, stack)


def open_and_close(folder: Path) -> None:
    with opened(folder):
        pass


def queue_of(database: Database, files: Files) -> Queue:
    return Queue(database, files, [PlainKind(BlobEngine())], capacity={"image": 1})


def used(folder: Path) -> Path:
    """A data folder with one finished job and its file."""
    with opened(folder) as stores:
        queue = queue_of(*stores)
        queue.submit(Submission("image", PlainRequest(prompt="x"), "ann"))
        claim = queue.claim("image")
        assert claim is not None
        made = queue.write(CONTENT)
        file = JobFile(f"{claim.job.id}-0", "1.png", "image/png", made.size, made.sha256)
        result = PicturesResult(model="blob", model_label="Blob", demo=True, seconds=0.0, images=())
        queue.end(claim.job, Outcome(result, ((file, made),)))
    return folder


def empty_database(folder: Path) -> None:
    for path in used(folder).glob("jobs.db*"):
        path.write_bytes(b"")


def no_database(folder: Path) -> None:
    for path in used(folder).glob("jobs.db*"):
        path.unlink()


def no_database_at_all(folder: Path) -> None:
    folder.mkdir()
    (folder / "jobs.db").write_text("these are notes, and no database " * 100)


def damaged_page(folder: Path) -> None:
    path = used(folder) / "jobs.db"
    data = bytearray(path.read_bytes())
    data[4096 + 100 : 8192] = os.urandom(3996)
    path.write_bytes(data)


def other_columns(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / "jobs.db") as db:
        db.execute("CREATE TABLE jobs (id TEXT)")
    db.close()


def newer_version(folder: Path) -> None:
    with sqlite3.connect(used(folder) / "jobs.db") as db:
        db.execute("PRAGMA user_version = 7")
    db.close()


def a_file(folder: Path) -> None:
    folder.write_text("not a folder")


def under_a_file(folder: Path) -> None:
    folder.parent.write_text("not a folder")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "an empty database beside files": (empty_database, "jobs.db is empty, but {} has results of earlier jobs."),
    "no database beside files": (no_database, "jobs.db is missing, but {} has results of earlier jobs."),
    "a text for a database": (no_database_at_all, "jobs.db is damaged (file is not a database). Restore it"),
    "a damaged page": (damaged_page, "jobs.db is damaged ("),
    "other columns": (other_columns, "jobs.db was made by another version of the studio."),
    "a newer version": (newer_version, "jobs.db was made by another version of the studio."),
    "a file for a folder": (a_file, "is a file. Choose a folder of its own with STUDIO_DATA_DIR."),
    "a file in the way": (under_a_file, "cannot be used (Not a directory). Choose a folder"),
}


@pytest.mark.parametrize(("spoil", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_relied_on_is_refused_and_left_alone(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "parent" / "data" if spoil is under_a_file else tmp_path / "data"
    spoil(folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "studio.lock"}
    with pytest.raises(StorageFailed) as refused:
        open_and_close(folder)
    assert said.format(folder / "files") in str(refused.value)
    assert str(refused.value).endswith(".")
    assert {path: path.read_bytes() for path in before} == before


def test_what_was_refused_can_be_mended_as_it_was_told(tmp_path: Path) -> None:
    no_database(tmp_path / "data")
    with pytest.raises(StorageFailed, match=r"move .*files away"):
        open_and_close(tmp_path / "data")
    (tmp_path / "data" / "files").rename(tmp_path / "old-files")
    open_and_close(tmp_path / "data")


def test_two_studios_never_share_a_folder(tmp_path: Path) -> None:
    with (
        opened(tmp_path / "data"),
        pytest.raises(StorageFailed, match=r"in use by another studio\. Stop that one, or choose another folder"),
    ):
        open_and_close(tmp_path / "data")
    open_and_close(tmp_path / "data")


@pytest.mark.parametrize("size", ["16k", "64k", "200k"])
def test_a_full_disk_is_told(tmp_path: Path, size: str) -> None:
    with (
        small_disk(tmp_path, size),
        pytest.raises(StorageFailed, match=r"The disk is full: .* Free some space"),
    ):
        open_and_close(tmp_path / "data")


def test_a_disk_that_filled_up_under_old_jobs_is_told_and_costs_none(tmp_path: Path) -> None:
    with small_disk(tmp_path, "2m"):
        used(tmp_path / "data")
        ballast = fill(tmp_path)
        with pytest.raises(StorageFailed, match="The disk is full"):
            open_and_close(tmp_path / "data")
        ballast.unlink()
        with opened(tmp_path / "data") as stores:
            [job] = asyncio.run(queue_of(*stores).library.recent("ann", "image"))
            assert stores[1].path(job.files[0].sha256).read_bytes() == CONTENT


def test_a_folder_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with opened(folder):
        assert open_to_others(folder) == []


def test_a_permissive_umask_opens_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    before = os.umask(0)
    try:
        upload = tmp_path / "upload"
        upload.write_bytes(b"sound")
        with opened(folder) as (_, files):
            placed, taken = files.write(b"x"), files.take(upload)
            files.place(placed)
            names = {path.name for path in folder.rglob("*")}
            assert names >= {"jobs.db", "jobs.db-wal", "jobs.db-shm", placed.sha256, taken.path.name}
            assert open_to_others(folder) == []
    finally:
        os.umask(before)


def test_a_restored_database_is_closed_to_others(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    (folder / "jobs.db").chmod(0o644)
    open_and_close(folder)
    assert open_to_others(folder) == []


@contextmanager
def nobody() -> Iterator[None]:
    """Run the block as a user without rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("folder", ["/usr", "/usr/made-by-nobody"])
def test_a_folder_of_another_user_is_refused(folder: str) -> None:
    with nobody(), pytest.raises(StorageFailed, match=f"{folder} cannot be used by this user .* owner of that folder"):
        open_and_close(Path(folder))


@pytest.mark.parametrize("folder", ["/tmp", "/"])
def test_a_folder_that_is_not_the_studios_alone_is_refused(folder: str) -> None:
    # As nobody, who could not close these to others if they were not refused.
    with nobody(), pytest.raises(StorageFailed, match=r"Choose a folder of its own with STUDIO_DATA_DIR"):
        open_and_close(Path(folder))


def test_a_database_that_another_program_holds_is_told(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    with sqlite3.connect(folder / "jobs.db", isolation_level=None) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageFailed, match=r"jobs\.db is locked by another program\. Close that one"):
            open_and_close(folder)
    other.close()
    open_and_close(folder)


def open_to_others(folder: Path) -> list[str]:
    return [str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077]


def test_everything_that_a_running_studio_keeps_is_private(studio: Launched) -> None:
    """Prompts, transcripts, uploads, what Gradio shows: `studio` has served other tests before, or none."""
    folder = studio.output.parent / "data"
    assert {path.name for path in folder.iterdir()} >= {"jobs.db", "files", "uploads", "gradio"}
    assert open_to_others(folder) == []


def test_the_start_tells_it_in_a_sentence_and_with_its_status(tmp_path: Path) -> None:
    no_database(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    done = subprocess.run(
        [sys.executable, "launch.py", "--port", str(port), "--image-model", "sketch"],
        cwd=ROOT,
        env={**clean, "STUDIO_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"The database {tmp_path}/data/jobs.db is missing, but {tmp_path}/data/files has results of earlier jobs. "
        f"Restore the database from a backup; or, to begin anew, move {tmp_path}/data/files away.\n"
    )
