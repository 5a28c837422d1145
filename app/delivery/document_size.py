"""How large Firestore counts a document (https://firebase.google.com/docs/firestore/storage-size), and what it takes
(https://firebase.google.com/docs/firestore/quotas)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | datetime | Sequence[Value] | Mapping[str, Value] | None"
Fields: TypeAlias = "Mapping[str, Value]"

MAX_DOCUMENT_BYTES = 2**20
MAX_INDEX_ENTRIES = 40_000
MAX_INDEX_BYTES = 8 * 2**20
"""Of a document's index entries together. Each element of an array has one, unless the field is exempted."""

INDEXED_VALUE_BYTES = 1500
"""Of a value, only so much stands in an index."""


def document_size(path: str, fields: Mapping[str, object]) -> int:
    """Bytes of the document at `path` (`posts/p1`) with these fields."""
    return name_size(path) + _map_size(fields)


def name_size(path: str) -> int:
    return 16 + sum(map(_string_size, path.split("/")))


def value_size(value: object) -> int:
    """Of any value that a document may have, also of those that others wrote."""
    match value:
        case None | bool():
            return 1
        case str():
            return _string_size(value)
        case bytes():
            return len(value)
        case int() | float() | datetime():
            return 8
        case Mapping():
            return _map_size(value)
        case Sequence():
            return sum(map(value_size, value))
        case _:
            # A place on earth, or a reference to another document, which is counted with its path.
            return 16 + name_size(str(getattr(value, "path", "")))


def most_elements(path: str, field: str) -> int:
    """How many elements an array in the document at `path` may have, so that their index entries are taken."""
    parent = path.rpartition("/")[0].rpartition("/")[0]
    entry = name_size(path) + name_size(parent) + _string_size(field) + INDEXED_VALUE_BYTES + 32
    # Half of both, because the document's other fields are indexed too.
    return min(MAX_INDEX_ENTRIES, MAX_INDEX_BYTES // entry) // 2


def _map_size(fields: Mapping[str, object]) -> int:
    return 32 + sum(_string_size(name) + value_size(value) for name, value in fields.items())


def _string_size(text: str) -> int:
    return len(text.encode()) + 1
