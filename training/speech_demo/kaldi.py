"""Kaldi's binary file format, as far as an acoustic model needs it: Basic values, vectors, matrices, final.mdl."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Affine:
    """output = weights @ input + bias, over the input at the given offsets in frames, end to end."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    offsets: tuple[int, ...]


class Writer:
    """Writes tokens and values to a file opened for binary writing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.write(b"\0B")  # what follows is binary

    def tokens(self, *names: str) -> None:
        self._file.write("".join(f"{name} " for name in names).encode())

    def text(self, text: str) -> None:
        self._file.write(text.encode())

    def integer(self, value: int) -> None:
        self._file.write(b"\x04" + struct.pack("<i", value))

    def single(self, value: float) -> None:
        self._file.write(b"\x04" + struct.pack("<f", value))

    def double(self, value: float) -> None:
        self._file.write(b"\x08" + struct.pack("<d", value))

    def integers(self, values: Sequence[int]) -> None:
        self._file.write(b"\x04" + struct.pack("<i", len(values)) + np.asarray(values, "<i4").tobytes())

    def vector(self, values: ArrayLike) -> None:
        array = np.asarray(values, "<f4")
        self.tokens("FV")
        self.integer(len(array))
        self._file.write(array.tobytes())

    def matrix(self, values: NDArray[np.float64]) -> None:
        self.tokens("FM")
        self.integer(values.shape[0])
        self.integer(values.shape[1])
        self._file.write(np.ascontiguousarray(values, "<f4").tobytes())


def write_transitions(out: Writer, outputs: Sequence[int], stays: Sequence[float]) -> None:
    """Write the transition model: every phone has one emitting state with a self-loop.

    Phones count from 1. `outputs[i]` is the network output of phone i + 1, `stays[i]` the chance of its self-loop.
    Transition ids follow from this layout: phone p has its self-loop at 2p - 1 and its exit at 2p.
    """
    count = len(outputs)
    out.tokens("<TransitionModel>", "<Topology>")
    out.integers(range(1, count + 1))
    out.integers([-1] + [0] * count)  # phone -> topology; there is no phone 0
    out.integer(1)  # one topology, of two states
    out.integer(2)
    out.integer(0)  # state 0: class 0, two transitions: to itself and out, each 0.5
    out.integer(2)
    for target in (0, 1):
        out.integer(target)
        out.single(0.5)
    out.integer(-1)  # state 1: the end; emits nothing and goes nowhere
    out.integer(0)
    out.tokens("</Topology>", "<Triples>")
    out.integer(count)
    for phone, output in enumerate(outputs, 1):
        out.integer(phone)
        out.integer(0)
        out.integer(output)
    out.tokens("</Triples>", "<LogProbs>")
    out.vector([0.0, *(math.log(p) for stay in stays for p in (stay, 1 - stay))])  # transition ids count from 1
    out.tokens("</LogProbs>", "</TransitionModel>")


def write_network(out: Writer, inputs: int, layers: Sequence[Affine], context: int, prior: NDArray[np.float64]) -> None:
    """Write an nnet3 network: every layer but the last is followed by ReLU, the last by log-softmax."""
    out.tokens("<Nnet3>")
    out.text("\n" + "\n".join(_config(inputs, layers)) + "\n\n")  # the empty line ends the configuration
    out.tokens("<NumComponents>")
    out.integer(2 * len(layers))
    for i, layer in enumerate(layers):
        kind = "RectifiedLinearComponent" if i < len(layers) - 1 else "LogSoftmaxComponent"
        out.tokens("<ComponentName>", f"affine{i}", "<FixedAffineComponent>", "<LinearParams>")
        out.matrix(layer.weights)
        out.tokens("<BiasParams>")
        out.vector(layer.bias)
        out.tokens("</FixedAffineComponent>", "<ComponentName>", f"nonlinear{i}")
        _write_nonlinear(out, kind, len(layer.bias))
    out.tokens("</Nnet3>")
    for name in ("<LeftContext>", "<RightContext>"):
        out.tokens(name)
        out.integer(context)
    out.tokens("<Priors>")
    out.vector(prior)


def _config(inputs: int, layers: Sequence[Affine]) -> list[str]:
    lines, previous = [f"input-node name=input dim={inputs}"], "input"
    for i, layer in enumerate(layers):
        parts = [previous if offset == 0 else f"Offset({previous}, {offset})" for offset in layer.offsets]
        source = f"Append({', '.join(parts)})" if len(parts) > 1 else parts[0]
        lines.append(f"component-node name=affine{i} component=affine{i} input={source}")
        lines.append(f"component-node name=nonlinear{i} component=nonlinear{i} input=affine{i}")
        previous = f"nonlinear{i}"
    return [*lines, f"output-node name=output input={previous} objective=linear"]


def _write_nonlinear(out: Writer, kind: str, width: int) -> None:
    """A non-linear component carries training statistics; ours are empty."""
    out.tokens(f"<{kind}>", "<Dim>")
    out.integer(width)
    for name in ("<ValueAvg>", "<DerivAvg>"):
        out.tokens(name)
        out.vector([])
    out.tokens("<Count>")
    out.double(0.0)
    out.tokens("<OderivRms>")
    out.vector([])
    for name in ("<OderivCount>", "<NumDimsSelfRepaired>", "<NumDimsProcessed>"):
        out.tokens(name)
        out.double(0.0)
    out.tokens(f"</{kind}>")
