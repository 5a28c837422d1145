"""Reads a TensorFlow Lite model: its steps in order, with the numbers that belong to them.

The format is a flatbuffer (https://flatbuffers.dev/internals) after TensorFlow's schema.fbs. Only what a network of
convolutions holds is read, so that no runtime of many megabytes has to be installed for one of 250 kB.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]

OPERATORS = {
    0: "add",
    1: "average_pool_2d",
    3: "conv_2d",
    4: "depthwise_conv_2d",
    6: "dequantize",
    14: "logistic",
    18: "mul",
    19: "relu",
    21: "relu6",
    23: "resize_bilinear",
    32: "custom",
    117: "hard_swish",
}
"""BuiltinOperator of the schema, as far as it is known here."""

OPTIONS: dict[str, tuple[tuple[str, int, str, int], ...]] = {
    "conv_2d": (("valid", 0, "b", 0), ("across", 1, "i", 1), ("down", 2, "i", 1), ("activation", 3, "b", 0)),
    "depthwise_conv_2d": (("valid", 0, "b", 0), ("across", 1, "i", 1), ("down", 2, "i", 1), ("activation", 4, "b", 0)),
    "average_pool_2d": (("wide", 3, "i", 1), ("high", 4, "i", 1), ("activation", 5, "b", 0)),
    "add": (("activation", 0, "b", 0),),
    "mul": (("activation", 0, "b", 0),),
    "resize_bilinear": (("align_corners", 2, "b", 0), ("half_pixels", 3, "b", 0)),
}
"""Of each operator: its options by name, with the schema's field, the type and the default."""

TYPES: dict[int, type[np.generic]] = {0: np.float32, 1: np.float16, 2: np.int32}
"""TensorType of the schema."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operator: which tensors go in and which one comes out, by number."""

    operator: str
    inputs: tuple[int, ...]
    output: int
    options: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps that make the tensor `output` of the tensor `input`, whose size in pixels is `size` (height, width)."""

    steps: tuple[Step, ...]
    constants: dict[int, NDArray[Any]]
    input: int
    size: tuple[int, int]
    output: int


def read_graph(data: bytes) -> Graph:
    """Raises ValueError for what is no such model, or has an operator that is not known here."""
    if data[4:8] != b"TFL3":
        raise ValueError("it is no TensorFlow Lite model")
    try:
        return _graph(_Table.root(data))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"it is cut off or damaged: {error}") from error


def _graph(model: _Table) -> Graph:
    names = [_operator_name(code) for code in model.tables(1)]
    [subgraph, *_] = model.tables(2)
    buffers = model.tables(4)
    tensors = subgraph.tables(0)
    constants: dict[int, NDArray[Any]] = {}
    for number, tensor in enumerate(tensors):
        content = buffers[tensor.number(2, "I")].numbers(0, np.uint8)
        if content.size:
            kind = tensor.number(1, "b")
            if kind not in TYPES:
                raise ValueError(f"a tensor has the type {kind}, which is not known here")
            constants[number] = content.view(TYPES[kind]).reshape(_shape(tensor))
    steps = []
    for operator in subgraph.tables(3):
        name = names[operator.number(0, "I")]
        inputs = tuple(int(one) for one in operator.numbers(1, np.int32))
        [output] = (int(one) for one in operator.numbers(2, np.int32))
        if name == "dequantize" and inputs[0] in constants:
            # How half the bytes are saved in the file; from here on all is computed in single precision.
            constants[output] = constants[inputs[0]].astype(np.float32)
        else:
            steps.append(Step(name, inputs, output, _options(name, operator)))
    [given] = (int(one) for one in subgraph.numbers(1, np.int32))
    [wanted] = (int(one) for one in subgraph.numbers(2, np.int32))
    _, height, width, _ = _shape(tensors[given])
    return Graph(tuple(steps), constants, given, (height, width), wanted)


def _operator_name(code: _Table) -> str:
    # Its first field is the older one, of a byte, which newer operators do not fit into.
    number = max(code.number(0, "b"), code.number(3, "i"))
    name = OPERATORS.get(number)
    if name is None:
        raise ValueError(f"it has the operator {number}, which is not known here")
    return code.text(1) if name == "custom" else name


def _options(name: str, operator: _Table) -> dict[str, int]:
    table = operator.table(4)
    return {
        option: default if table is None else table.number(slot, code, default)
        for option, slot, code, default in OPTIONS.get(name, ())
    }


def _shape(tensor: _Table) -> tuple[int, ...]:
    return tuple(int(side) for side in tensor.numbers(0, np.int32))


@dataclass(frozen=True, slots=True)
class _Table:
    """A flatbuffer's table: it begins at the byte `at`, and a list before it tells where each of its fields is."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> _Table:
        return cls(data, _read(data, "I", 0))

    def number(self, slot: int, code: str, default: int = 0) -> int:
        """A number of the type that `struct` calls `code`."""
        at = self._field(slot)
        return _read(self.data, code, at) if at else default

    def table(self, slot: int) -> _Table | None:
        at = self._field(slot)
        return _Table(self.data, self._target(at)) if at else None

    def tables(self, slot: int) -> list[_Table]:
        start, count = self._vector(slot)
        return [_Table(self.data, self._target(start + 4 * number)) for number in range(count)]

    def numbers(self, slot: int, kind: type[np.generic]) -> NDArray[Any]:
        start, count = self._vector(slot)
        return np.frombuffer(self.data, kind, count, start) if count else np.empty(0, kind)

    def text(self, slot: int) -> str:
        return bytes(self.numbers(slot, np.uint8)).decode()

    def _field(self, slot: int) -> int:
        """Where the field is; 0 where it is left out."""
        known = self.at - _read(self.data, "i", self.at)
        place = 4 + 2 * slot
        offset = _read(self.data, "H", known + place) if place < _read(self.data, "H", known) else 0
        return self.at + offset if offset else 0

    def _vector(self, slot: int) -> tuple[int, int]:
        """Where its entries begin, and how many there are."""
        at = self._field(slot)
        if not at:
            return 0, 0
        start = self._target(at)
        return start + 4, _read(self.data, "I", start)

    def _target(self, at: int) -> int:
        return at + _read(self.data, "I", at)


def _read(data: bytes, code: str, at: int) -> int:
    number: int = struct.unpack_from(f"<{code}", data, at)[0]
    return number
