"""Runs a small network of convolutions on one picture, in numpy: 30 million multiplications need no more than that.

Arrays are float32 of the shape (height, width, channels).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from engines.portrait.tflite import Graph, Numbers, Step

ACTIVATIONS: dict[int, Callable[[Numbers], Numbers]] = {
    0: lambda x: x,
    1: lambda x: np.maximum(x, 0),
    3: lambda x: np.clip(x, 0, 6),
}
"""ActivationFunctionType of the schema: none, RELU, RELU6."""


def run(graph: Graph, picture: Numbers) -> Numbers:
    """What the graph makes of a picture of its size. Raises ValueError for an operator that is not known here."""
    values: dict[int, NDArray[Any]] = {**graph.constants, graph.input: picture}
    for step in graph.steps:
        values[step.output] = _done(step, [values[number] for number in step.inputs])
    return values[graph.output]


def _done(step: Step, inputs: Sequence[NDArray[Any]]) -> Numbers:
    operator = OPERATORS.get(step.operator)
    if operator is None:
        raise ValueError(f"it has the operator {step.operator}, which is not known here")
    return ACTIVATIONS[step.options.get("activation", 0)](operator(inputs, step.options))


def _conv(inputs: Sequence[Numbers], options: dict[str, int]) -> Numbers:
    """Weights: (output channels, height, width, input channels)."""
    picture, weights, bias = inputs
    out, high, wide, _ = weights.shape
    steps = (options["down"], options["across"])
    if (high, wide, *steps) == (1, 1, 1, 1):
        pieces = picture
    else:
        padded = picture if options["valid"] else _padded(picture, (high, wide), steps)
        windows = sliding_window_view(padded, (high, wide), axis=(0, 1))[:: steps[0], :: steps[1]]
        pieces = windows.transpose(0, 1, 3, 4, 2).reshape(*windows.shape[:2], -1)
    return pieces @ weights.reshape(out, -1).T + bias


def _depthwise(inputs: Sequence[Numbers], options: dict[str, int]) -> Numbers:
    """Weights: (1, height, width, channels)."""
    picture, weights, bias = inputs
    _, high, wide, _ = weights.shape
    down, across = options["down"], options["across"]
    padded = picture if options["valid"] else _padded(picture, (high, wide), (down, across))
    rows, columns = (padded.shape[0] - high) // down + 1, (padded.shape[1] - wide) // across + 1
    total = np.broadcast_to(bias, (rows, columns, bias.size)).copy()
    for y in range(high):
        for x in range(wide):
            window = padded[y : y + (rows - 1) * down + 1 : down, x : x + (columns - 1) * across + 1 : across]
            total += window * weights[0, y, x]
    return total


def _padded(picture: Numbers, window: tuple[int, int], steps: tuple[int, int]) -> Numbers:
    """With TensorFlow's padding "same": as many windows as the picture has steps, what is odd behind and below."""
    sides = []
    for length, size, step in zip(picture.shape, window, steps, strict=False):
        missing = max((-(-length // step) - 1) * step + size - length, 0)
        sides.append((missing // 2, missing - missing // 2))
    return np.pad(picture, (*sides, (0, 0)))


def _mean(inputs: Sequence[Numbers], options: dict[str, int]) -> Numbers:
    [picture] = inputs
    if picture.shape[:2] != (options["high"], options["wide"]):
        raise ValueError("it takes means of parts of a picture, which is not known here")
    mean: Numbers = picture.mean(axis=(0, 1), keepdims=True)
    return mean


def _resized(inputs: Sequence[NDArray[Any]], options: dict[str, int]) -> Numbers:
    picture, size = inputs
    rows = _between(picture.shape[0], int(size[0]), options)
    columns = _between(picture.shape[1], int(size[1]), options)
    tall = np.tensordot(rows, picture, 1)
    return np.ascontiguousarray(np.tensordot(columns, tall, (1, 1)).transpose(1, 0, 2))


def _between(length: int, wanted: int, options: dict[str, int]) -> Numbers:
    """What each of `wanted` places takes of the `length` that there are: a matrix, linear between neighbours."""
    places = np.arange(wanted)
    if options["align_corners"]:
        at = places * ((length - 1) / max(wanted - 1, 1))
    else:
        half = 0.5 if options["half_pixels"] else 0.0
        at = np.clip((places + half) * (length / wanted) - half, 0, length - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, length - 1)
    matrix = np.zeros((wanted, length), np.float32)
    matrix[places, low] += 1 - (at - low)
    matrix[places, high] += at - low
    return matrix


def _doubled(inputs: Sequence[Numbers], _: dict[str, int]) -> Numbers:
    """MediaPipe's Convolution2DTransposeBias as its models have it: each pixel becomes a window of its own.

    Weights: (output channels, height, width, input channels)."""
    picture, weights, bias = inputs
    out, high, wide, channels = weights.shape
    rows, columns, _ = picture.shape
    parts = picture @ weights.reshape(-1, channels).T
    apart = parts.reshape(rows, columns, out, high, wide).transpose(0, 3, 1, 4, 2)
    return apart.reshape(rows * high, columns * wide, out) + bias


def _logistic(x: Numbers) -> Numbers:
    # Beyond 30 it is 0 or 1 in single precision, and the exponential would overflow.
    return np.float32(1) / (np.float32(1) + np.exp(-np.clip(x, -30, 30)))


OPERATORS: dict[str, Callable[[Sequence[NDArray[Any]], dict[str, int]], Numbers]] = {
    "add": lambda inputs, _: inputs[0] + inputs[1],
    "mul": lambda inputs, _: inputs[0] * inputs[1],
    "relu": lambda inputs, _: np.maximum(inputs[0], 0),
    "relu6": lambda inputs, _: np.clip(inputs[0], 0, 6),
    "hard_swish": lambda inputs, _: inputs[0] * np.clip(inputs[0] + 3, 0, 6) / 6,
    "logistic": lambda inputs, _: _logistic(inputs[0]),
    "conv_2d": _conv,
    "depthwise_conv_2d": _depthwise,
    "average_pool_2d": _mean,
    "resize_bilinear": _resized,
    "Convolution2DTransposeBias": _doubled,
}
