"""What stops the start: a data folder or a database that cannot be relied on, in a sentence each."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.jobs.model import Job, JobState, StorageFailed
from app.jobs.store.opening import open_stores
from tests.conftest import ROOT, Launched
from tests.disks import fill, small_disk


def used(folder: Path) -> Path:
    """A data folder with one finished job and its file."""
    stores = open_stores(folder)
    file = stores.media.write("ab12", 0, "1.png", "image/png", b"x" * 100)
    job = Job("ab12", "image", "ann", JobState.SUCCEEDED, {}, 1.0, finished_at=2.0, result={}, files=(file,))
    stores.jobs.create(job, None, "hash")
    stores.close()
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
        open_stores(folder)
    assert said.format(folder / "files") in str(refused.value)
    assert str(refused.value).endswith(".")
    assert {path: path.read_bytes() for path in before} == before


def test_what_was_refused_can_be_mended_as_it_was_told(tmp_path: Path) -> None:
    no_database(tmp_path / "data")
    with pytest.raises(StorageFailed, match=r"move .*files away"):
        open_stores(tmp_path / "data")
    (tmp_path / "data" / "files").rename(tmp_path / "old-files")
    open_stores(tmp_path / "data").close()


def test_two_studios_never_share_a_folder(tmp_path: Path) -> None:
    first = open_stores(tmp_path / "data")
    with pytest.raises(StorageFailed, match=r"in use by another studio\. Stop that one, or choose another folder"):
        open_stores(tmp_path / "data")
    first.close()
    open_stores(tmp_path / "data").close()


@pytest.mark.parametrize("size", ["16k", "64k", "200k"])
def test_a_full_disk_is_told(tmp_path: Path, size: str) -> None:
    with (
        small_disk(tmp_path, size),
        pytest.raises(StorageFailed, match=r"The disk is full: .* Free some space"),
    ):
        open_stores(tmp_path / "data")


def test_a_disk_that_filled_up_under_old_jobs_is_told_and_costs_none(tmp_path: Path) -> None:
    with small_disk(tmp_path, "2m"):
        used(tmp_path / "data")
        ballast = fill(tmp_path)
        with pytest.raises(StorageFailed, match="The disk is full"):
            open_stores(tmp_path / "data")
        ballast.unlink()
        stores = open_stores(tmp_path / "data")
        job = stores.jobs.get("ab12")
        assert job is not None
        assert stores.media.path(job.id, job.files[0]).read_bytes() == b"x" * 100
        stores.close()


def test_a_folder_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    stores = open_stores(folder)
    assert open_to_others(folder) == []
    stores.close()


def test_a_permissive_umask_opens_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    upload = tmp_path / "upload"
    upload.write_bytes(b"sound")
    before = os.umask(0)
    try:
        stores = open_stores(folder)
        stores.media.write("ab12", 0, "1.png", "image/png", b"x")
        stores.media.adopt_upload(upload, "ab13")
        assert {path.name for path in folder.rglob("*")} >= {"jobs.db", "jobs.db-wal", "jobs.db-shm", "1.png", "ab13"}
        assert open_to_others(folder) == []
        stores.close()
    finally:
        os.umask(before)


def test_a_restored_database_is_closed_to_others(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    (folder / "jobs.db").chmod(0o644)
    open_stores(folder).close()
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
        open_stores(Path(folder))


@pytest.mark.parametrize("folder", ["/tmp", "/"])
def test_a_folder_that_is_not_the_studios_alone_is_refused(folder: str) -> None:
    # As nobody, who could not close these to others if they were not refused.
    with nobody(), pytest.raises(StorageFailed, match=r"Choose a folder of its own with STUDIO_DATA_DIR"):
        open_stores(Path(folder))


def test_a_database_that_another_program_holds_is_told(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    with sqlite3.connect(folder / "jobs.db", isolation_level=None) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageFailed, match=r"jobs\.db is locked by another program\. Close that one"):
            open_stores(folder)
    other.close()
    open_stores(folder).close()


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
