"""Files of strangers: the header decides what is let in, and no file takes much memory or much of the device's time."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from engines.errors import Cancelled, InvalidMedia
from engines.sdxl.photo import check_photo, load_photo
from tests.engines.sdxl.picture_files import (
    MEGABYTE_OF_ZEROS,
    SIGNATURE,
    chunk,
    huge_png,
    png_header,
    saved,
    with_chunks,
    with_scans,
    with_segments,
)

ROOT = Path(__file__).parents[3]
PICTURE = Image.linear_gradient("L").convert("RGB")
PNG, JPEG, WEBP = (saved(PICTURE, kind) for kind in ("PNG", "JPEG", "WEBP"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "photo"


def refusal(path: Path) -> str:
    """What `check_photo` says, which is what `load_photo` says."""
    with pytest.raises(InvalidMedia) as checked:
        check_photo(path)
    with pytest.raises(InvalidMedia) as loaded:
        load_photo(path, 64, 64, Event())
    assert str(checked.value) == str(loaded.value)
    assert checked.value.field == "photo"
    return str(checked.value)


def failure(path: Path) -> str:
    """What `load_photo` says of a file that `check_photo` lets pass."""
    check_photo(path)
    with pytest.raises(InvalidMedia) as loaded:
        load_photo(path, 64, 64, Event())
    assert loaded.value.field == "photo"
    return str(loaded.value)


# The header ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [PNG[:-40], JPEG[:-200], WEBP[:-20], huge_png(8, 8)], ids=["PNG", "JPEG", "WebP", "8"])
def test_damage_behind_the_header_shows_when_the_photo_is_decoded(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert failure(path).startswith("photo is damaged or cut off (")


@pytest.mark.parametrize("data", [PNG[:20], JPEG[:100], WEBP[:25], JPEG[:3]], ids=["PNG", "JPEG", "WebP", "start"])
def test_a_cut_off_header_is_refused_at_once(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert refusal(path).startswith("photo is damaged or cut off (")


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP], ids=["PNG", "JPEG", "WebP"])
def test_a_random_change_is_a_refusal_or_a_picture(path: Path, data: bytes) -> None:
    dice = random.Random(3)
    refused = []
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(dice.randint(1, 6)):
            changed[dice.randrange(min(len(data), 400))] = dice.randrange(256)
        path.write_bytes(changed)
        try:
            load_photo(path, 64, 64, Event())
        except InvalidMedia as error:
            refused.append(str(error))
    assert 10 < len(refused) < 300
    assert max(map(len, refused)) < 300


def test_a_photo_of_more_than_64_megapixels_is_refused(path: Path) -> None:
    path.write_bytes(huge_png(8001, 8000))
    assert refusal(path) == "photo has 8001 x 8000 pixels: upload one of at most 64 megapixels."


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_the_size_of_other_formats_is_looked_at_too(path: Path, kind: str) -> None:
    small = saved(Image.new("RGB", (16, 8)), kind)
    told = {"JPEG": struct.pack(">HH", 8, 16), "WEBP": struct.pack("<HH", 16, 8)}[kind]
    large = {"JPEG": struct.pack(">HH", 9000, 8000), "WEBP": struct.pack("<HH", 8000, 9000)}[kind]
    path.write_bytes(small.replace(told, large, 1))
    assert refusal(path) == "photo has 8000 x 9000 pixels: upload one of at most 64 megapixels."


@pytest.mark.parametrize("second", [(12_000, 8_000), (60_000, 60_000)])
@pytest.mark.parametrize("filtered", ["error", "ignore"])
def test_a_second_header_does_not_smuggle_a_larger_one_in(path: Path, second: tuple[int, int], filtered: str) -> None:
    """Whatever the process does with Pillow's warnings."""
    header = SIGNATURE + png_header(8, 8) + png_header(*second)
    path.write_bytes(header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND"))
    with warnings.catch_warnings():
        warnings.simplefilter(filtered)  # type: ignore[arg-type]
        assert "upload one of at most 64 megapixels" in failure(path)


def test_a_file_of_more_than_64_mb_is_refused_unread(path: Path) -> None:
    with path.open("wb") as file:
        file.write(PNG)
        file.truncate(64 * 2**20 + 2**18)
    assert refusal(path) == "photo has 64.2 MB: upload one of at most 64 MB."


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    assert refusal(path) == "photo is not a regular file: upload a PNG, JPEG or WebP picture."


def test_a_folder_and_nothing_are_refused(path: Path) -> None:
    assert "cannot be read (No such file or directory): upload it again" in refusal(path)
    path.mkdir()
    assert "is not a regular file" in refusal(path)


# What is around the pixels -------------------------------------------------------------------------------------------


def test_a_jpegs_bytes_between_segments_are_passed_over(path: Path) -> None:
    path.write_bytes(JPEG)
    plain = load_photo(path, 64, 64, Event())
    path.write_bytes(with_segments(JPEG, b"\xff\xe1\x00\x05abc" + b"\0\0" + b"\xff\xff"))
    assert load_photo(path, 64, 64, Event()) == plain


BOMBS = {
    "colour profiles": with_chunks(PNG, chunk(b"iCCP", b"x\0\0" + MEGABYTE_OF_ZEROS) * 2000),
    "a colour profile of 100 MB": with_chunks(PNG, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(100 * 2**20), 9))),
    "a colour profile of 17 MB": with_segments(
        JPEG, b"".join(b"\xff\xe2\xff\xffICC_PROFILE\0" + bytes([i, 255]) + bytes(65_519) for i in range(1, 256))
    ),
    "texts": with_chunks(PNG, chunk(b"zTXt", b"x\0\0" + MEGABYTE_OF_ZEROS) * 2000),
    "international texts": with_chunks(
        PNG, chunk(b"iTXt", b"x\0\1\0\0\0" + zlib.compress("🥕".encode() * 250_000, 9)) * 200
    ),
    "texts at the end": with_chunks(PNG, after=chunk(b"zTXt", b"x\0\0" + MEGABYTE_OF_ZEROS) * 2000),
    "Exif of 32 MB": with_segments(JPEG, (b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)) * 500),
    "comments of 32 MB": with_segments(JPEG, (b"\xff\xfe\xff\xff" + bytes(65_533)) * 500),
}

PEAK = """
import sys, time
from pathlib import Path
from threading import Event, Thread
from PIL import Image
from engines.sdxl.photo import load_photo

def memory(name):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(name))

Image.init()
before, path = memory("VmRSS"), Path(sys.argv[1])
threads = [Thread(target=load_photo, args=(path, 64, 64, Event())) for _ in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print((memory("VmHWM") - before) // 1024)
"""

on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc tells a process's memory")


def peak_megabytes(path: Path, threads: int = 1) -> int:
    """Memory that a process takes more at its highest when so many threads load the photo at once."""
    command = [sys.executable, "-c", PEAK, str(path), str(threads)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout)


@on_linux
@pytest.mark.parametrize("bomb", BOMBS)
def test_what_is_not_used_is_not_unpacked(path: Path, bomb: str) -> None:
    path.write_bytes(BOMBS[bomb])
    check_photo(path)
    assert peak_megabytes(path) < 20


@on_linux
def test_photos_are_decoded_one_at_a_time_whoever_asks(path: Path) -> None:
    """Each takes 256 MB."""
    path.write_bytes(saved(Image.new("RGB", (8000, 8000), (9, 99, 200)), compress_level=1))
    assert peak_megabytes(path, threads=4) < 480


@on_linux
@pytest.mark.parametrize(
    ("mode", "kind", "megabytes"),
    [("RGBA", "PNG", 480), ("P", "PNG", 250), ("I;16", "PNG", 330), ("RGB", "JPEG", 60)],
)
def test_a_photo_takes_the_memory_of_one_picture_or_of_less(path: Path, mode: str, kind: str, megabytes: int) -> None:
    """4 bytes a pixel, 1 of a palette, 2 of 16 bits, and of a JPEG only the size that is needed."""
    path.write_bytes(saved(Image.new(mode, (8000, 8000)), kind, compress_level=1))
    assert peak_megabytes(path) < megabytes


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (with_chunks(PNG, chunk(b"IDAT") * 60_000), "more than 50000 parts"),
        (with_chunks(PNG, chunk(b"prVt") * 60_000), "more than 50000 parts"),
        (with_scans(saved(PICTURE, "JPEG", progressive=True), 120), "over its pixels more than 100 times"),
    ],
    ids=["pixels in crumbs", "private chunks", "too many scans"],
)
def test_a_file_made_to_keep_the_device_busy_is_refused(path: Path, data: bytes, says: str) -> None:
    path.write_bytes(data)
    assert says in failure(path)


def test_a_jpeg_of_empty_segments_is_refused_at_once(path: Path) -> None:
    path.write_bytes(with_segments(JPEG, b"\xff\xe2\0\2" * 60_000))
    assert "more than 50000 parts before its pixels" in refusal(path)


def test_a_progressive_jpeg_and_what_phones_put_behind_it_are_fine(path: Path) -> None:
    """A film, for one: in 20 MB of anything there are hundreds of what would be a scan's beginning."""
    progressive = with_scans(saved(PICTURE, "JPEG", progressive=True), 50)
    path.write_bytes(progressive)
    plain = load_photo(path, 64, 64, Event())
    path.write_bytes(progressive + b"film" * 20_000 + b"\xff\xda\0\2" * 500)
    assert load_photo(path, 64, 64, Event()) == plain


# Cancel --------------------------------------------------------------------------------------------------------------


def test_cancel_is_looked_at_before_the_photo_is_decoded(path: Path) -> None:
    path.write_bytes(PNG[:-40])
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        load_photo(path, 64, 64, cancel)
