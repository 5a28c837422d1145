"""Colour profiles built by hand (ICC.1:2001-04), and the sRGB values that their definitions give."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

# Columns are the primaries' XYZ, adapted to D50, as the profiles of these names have them.
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
DISPLAY_P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
ADOBE_RGB = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
PROPHOTO = np.array([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]])
D50 = np.array([0.9642, 1.0, 0.8249])


def matrix_profile(primaries: Matrix, gamma: float, padding: int = 0) -> bytes:
    """An RGB profile of one gamma; `padding`: bytes of text more."""
    columns = {name: _xyz(primaries[:, index]) for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    return _profile(b"mntr", b"RGB ", b"XYZ ", {**columns, **curves, b"pad ": b"text" + bytes(4 + padding)})


def grey_profile(gamma: float) -> bytes:
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)})


def ink_profile(lab: tuple[float, float, float]) -> bytes:
    """A CMYK profile in which cyan on its own is `lab`, no ink is white, and all else is black."""
    table = b"".join(
        {0: _lab8((100, 0, 0)), 8: _lab8(lab)}.get(corner, _lab8((0, 0, 0))) for corner in range(16)
    )  # 2 x 2 x 2 x 2 corners, the first ink changes slowest
    line = bytes(range(256))
    unit = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unit + line * 4 + table + line * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def srgb_of(value: tuple[int, int, int], primaries: Matrix, gamma: float) -> list[int]:
    linear = (np.array(value) / 255) ** gamma
    return _srgb(primaries @ linear)


def srgb_of_lab(lab: tuple[float, float, float]) -> list[int]:
    """CIE 15: from Lab to XYZ under D50, then to sRGB."""
    middle = (lab[0] + 16) / 116
    scaled = np.array([middle + lab[1] / 500, middle, middle - lab[2] / 200])
    ratio = np.where(scaled > 6 / 29, scaled**3, 3 * (6 / 29) ** 2 * (scaled - 4 / 29))
    return _srgb(D50 * ratio)


def _srgb(xyz: Matrix) -> list[int]:
    """IEC 61966-2-1; what sRGB lacks is cut off."""
    linear = np.clip(np.linalg.inv(SRGB) @ xyz, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [int(channel) for channel in np.rint(255 * encoded)]


def _profile(kind: bytes, space: bytes, between: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": _description(), b"wtpt": _xyz(D50), **tags}
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"test", 0x02400000, kind, space, between)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _numbers(D50)
    return head.ljust(128, b"\0") + table + body


def _description() -> bytes:
    return b"desc" + struct.pack(">II5s", 0, 5, b"test\0") + bytes(4 + 4 + 2 + 1 + 67)


def _xyz(values: Matrix) -> bytes:
    return b"XYZ " + bytes(4) + _numbers(values)


def _numbers(values: Matrix) -> bytes:
    return struct.pack(">3i", *(round(65536 * value) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(256 * gamma))


def _lab8(lab: tuple[float, float, float]) -> bytes:
    return bytes([round(lab[0] * 2.55), round(lab[1] + 128), round(lab[2] + 128)])
