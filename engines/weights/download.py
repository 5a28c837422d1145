"""Fetches one file over HTTP so that a cut connection, a restart or a changed file never leaves a wrong one behind.

What has arrived lies in `<file>.part`; `<file>.part.from` says which version of the file it is a part of. The file has
its own name only once it is whole and its checksum is right.
"""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from engines.errors import DownloadFailed
from engines.events import OnProgress, Progress

CHUNK_BYTES = 1 << 18
_MEGABYTE = 1_000_000

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from and what it must be: exactly `size` bytes with this checksum, in hexadecimal."""

    url: str
    size: int
    sha256: str
    git_sha1: str = ""
    """Git's name of the content, in place of a SHA-256: all that the hub announces of its small files."""
    md5: str = ""
    """In place of a SHA-256 too: all that the publisher of the Vosk models announces. It tells damage, not forgery."""

    def checksum(self) -> tuple[str, str, hashlib._Hash]:
        """What the checksum is called, what it must be, and what computes it."""
        if self.git_sha1:
            return "git SHA-1", self.git_sha1, hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        if self.md5:
            return "MD5", self.md5, hashlib.md5(usedforsecurity=False)
        return "SHA-256", self.sha256, hashlib.sha256()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on. Attempts are counted since the last one that brought something new."""

    attempts: int = 5
    first_pause: float = 1.0
    """Seconds before the second attempt; doubled before each further one."""
    longest_pause: float = 30.0
    sleep: Sleep = time.sleep

    def pause(self, failures: int, asked_for: float = 0.0) -> None:
        """Wait after the nth failure in a row, at least as long as the server asked for, within reason."""
        self.sleep(min(self.longest_pause, max(asked_for, self.first_pause * 2 ** (failures - 1))))


class _TryAgain(Exception):
    """This attempt failed in a way that the next may not. `after`: seconds that the server asked for."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


def part_file(path: Path) -> Path:
    """Where what has arrived of a file is kept."""
    return path.with_name(f"{path.name}.part")


def version_file(path: Path) -> Path:
    """Where the version (ETag or date) of what has arrived is kept."""
    return path.with_name(f"{path.name}.part.from")


def default_client() -> httpx.Client:
    """Follows redirects; gives up on a server that says nothing for 30 s."""
    return httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30, connect=15))


def download(
    source: Source, path: Path, client: httpx.Client, on_progress: OnProgress, patience: Patience | None = None
) -> None:
    """Fetch `source` to `path`, going on where an earlier call stopped.

    Raises DownloadFailed: what has arrived is kept for the next call, unless it is wrong.
    """
    if path.exists():
        # Fetched by an earlier call that could not use it, on a full disk perhaps: check it again.
        path.replace(part_file(path))
    fetch(source, path, client, on_progress, patience)
    verify(source, path, on_progress)


def fetch(
    source: Source, path: Path, client: httpx.Client, on_progress: OnProgress, patience: Patience | None = None
) -> None:
    """Let all of `source` arrive in the part file of `path`; `verify` gives it its name. Raises DownloadFailed."""
    patience = patience or Patience()
    part, failures, most = part_file(path), 0, _size(part_file(path))
    if source.size == 0:
        part.touch()
    while _size(part) != source.size:
        try:
            _attempt(source, path, client, on_progress)
        except (_TryAgain, httpx.RequestError) as error:
            failures = 1 if _size(part) > most else failures + 1
            most = max(most, _size(part))
            if failures >= patience.attempts:
                raise DownloadFailed(_gave_up(source, error, _size(part))) from error
            patience.pause(failures, error.after if isinstance(error, _TryAgain) else 0.0)
        except OSError as error:
            raise DownloadFailed(_not_written(part, error)) from error


def _attempt(source: Source, path: Path, client: httpx.Client, on_progress: OnProgress) -> None:
    """One request: the rest of the file, or all of it if the server will not send the rest or has another version."""
    part, version = part_file(path), version_file(path)
    if _size(part) > source.size or (_size(part) and not version.exists()):
        _discard(path)  # of another version, or of none that can be asked for again
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}  # the checksum is of the file, not of some transport coding of it
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version.read_text(encoding="utf-8")}
    with client.stream("GET", source.url, headers=headers) as response:
        _check_status(response, source, path)
        goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            _discard(path)
            raise _TryAgain(f"the server sent another part than was asked for, from byte {have}")
        if not goes_on:
            have = 0
        with part.open("ab" if goes_on else "wb") as file:
            if not goes_on:
                _remember_version(response, version)  # only now that nothing of another version is left
            for chunk in response.iter_raw():  # as it arrives: a cut loses nothing that came
                have += len(chunk)
                if have > source.size:
                    break
                file.write(chunk)
                on_progress(Progress("download", have, source.size, have / source.size))
    if have > source.size:
        _discard(path)
        raise DownloadFailed(
            f"{source.url} sends more than the {source.size:,} bytes that it should be: it is another file by now. "
            "Nothing was kept. Update Carrot Studio, or fetch the model by hand."
        )
    if have < source.size:
        raise _TryAgain(f"the connection ended after {have:,} of {source.size:,} bytes")


def _check_status(response: httpx.Response, source: Source, path: Path) -> None:
    """Return for 200 and 206; raise _TryAgain for what may pass, DownloadFailed for what will not."""
    status = response.status_code
    if status in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        return
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        _discard(path)
        raise _TryAgain("the server has less than what had arrived")
    said = f"{source.url} answered {status} {response.reason_phrase}".rstrip()
    if status in (408, 425, 429) or status >= 500:
        after = response.headers.get("Retry-After", "")
        raise _TryAgain(said, float(after) if after.isdigit() else 0.0)
    raise DownloadFailed(f"{said}. Check the address in a browser; it may have moved, or a proxy may block it.")


def _remember_version(response: httpx.Response, version: Path) -> None:
    """Keep what lets the server tell whether its file is still the same. A weak ETag (W/...) does not."""
    etag = response.headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    if validator:
        version.write_text(validator, encoding="utf-8")
    else:
        version.unlink(missing_ok=True)


def verify(source: Source, path: Path, on_progress: OnProgress) -> None:
    """Give a fetched file its name if its checksum is right; delete it and raise DownloadFailed if not."""
    part, done = part_file(path), 0
    name, expected, digest = source.checksum()
    with part.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            on_progress(Progress("verify", done, source.size, done / source.size))
    version_file(path).unlink(missing_ok=True)
    if digest.hexdigest() != expected:
        part.unlink()
        raise DownloadFailed(
            f"What came from {source.url} is damaged or not the expected file: its {name} is {digest.hexdigest()}, "
            f"not {expected}. It was deleted. Try again; if it stays so, the file has changed at its source."
        )
    part.replace(path)


def _discard(path: Path) -> None:
    """Forget what has arrived of a file."""
    part_file(path).unlink(missing_ok=True)
    version_file(path).unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _gave_up(source: Source, error: Exception, have: int) -> str:
    kept = f" {have / _MEGABYTE:.1f} MB are kept; the next try goes on from there." if have else ""
    return (
        f"{source.url} could not be fetched: {error or type(error).__name__}. "
        f"Check the network connection and try again.{kept}"
    )


def _not_written(part: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk became full while {part} was written. Free some space and try again; it goes on from there."
    return f"{part} could not be written: {error.strerror or error}. Check that you may write to {part.parent}."
