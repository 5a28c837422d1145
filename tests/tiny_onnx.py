"""Vosk models in ONNX in miniature: layout, names and shapes of alphacep/vosk-model-small-ru, made in a moment.

One hears tones, each as a token, so that what is said and when is known. The other has random weights: what it hears
means nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

MELS, CONTEXT, FLOAT, INT = 80, 2, TensorProto.FLOAT, TensorProto.INT64

TONES = {500: "▁ca", 900: "rrot", 1300: "▁stu", 1700: "dio"}
"""What is heard at each pitch in hertz: carrot studio."""

SPECIAL = ("<blk>", "<sos/eos>", "<unk>")

SURE = 10.0
"""The logit of a token whose tone sounds; of blank it is 0."""

LOUD = 6.0
"""How far the logarithm of a tone's energy is over the mean of all pitches, at least. Noise and silence are below."""

Weights = NDArray[np.float32]
Values = NDArray[Any]


def tone_model(folder: Path, name: str = "vosk-model-small-xx-0.52", *, language: str = "en") -> Path:
    """A model that hears TONES: a token once for as long as its tone sounds, within 20 ms of its beginning."""
    tokens = list(TONES.values())
    bins = [_bin(pitch) for pitch in TONES]
    # A band's mean over the four frames of a step, less the mean of all bands.
    weight = np.zeros((len(tokens), MELS, 9), np.float32)
    weight[:, :, :4] = -1 / 4 / MELS
    for number, at in enumerate(bins):
        weight[number, at, :4] += 1 / 4
    encoder = [
        helper.make_node("Transpose", ["x"], ["by_band"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["by_band", "weight", "bias"], ["over"], strides=[4]),
        helper.make_node("Mul", ["over", "steep"], ["steeper"]),
        helper.make_node("Sigmoid", ["steeper"], ["sounds"]),
        helper.make_node("Transpose", ["sounds"], ["encoder_out"], perm=[0, 2, 1]),
        *_lengths(),
    ]
    bias = np.full(len(tokens), -LOUD, np.float32)
    about: dict[str, Values] = {"weight": weight, "bias": bias, "steep": np.array(8, np.float32)}
    # The last token is not heard again while its tone goes on.
    last = np.zeros((len(SPECIAL) + len(tokens), len(tokens)), np.float32)
    last[len(SPECIAL) :] = 3 * np.eye(len(tokens))
    decoder = [
        helper.make_node("Slice", ["y", "one", "two", "one"], ["newest"]),
        helper.make_node("Max", ["newest", "zero"], ["known"]),
        helper.make_node("Gather", ["last", "known"], ["found"], axis=0),
        helper.make_node("Squeeze", ["found", "one"], ["decoder_out"]),
    ]
    rows = np.zeros((len(tokens), len(SPECIAL) + len(tokens)), np.float32)
    rows[:, len(SPECIAL) :] = 2 * SURE * np.eye(len(tokens))
    offset = np.full(len(SPECIAL) + len(tokens), -SURE, np.float32)
    offset[0], offset[1 : len(SPECIAL)] = 0, -100
    joiner = [
        helper.make_node("Sub", ["encoder_out", "decoder_out"], ["new"]),
        helper.make_node("MatMul", ["new", "rows"], ["each"]),
        helper.make_node("Add", ["each", "offset"], ["logit"]),
    ]
    wide = len(tokens)
    _save(folder / "am" / "encoder.onnx", encoder, about, *_encoder_shapes(wide))
    _save(folder / "am" / "decoder.onnx", decoder, {"last": last, **_numbers()}, *_decoder_shapes(wide))
    _save(folder / "am" / "joiner.onnx", joiner, {"rows": rows, "offset": offset}, *_joiner_shapes(wide, offset.size))
    return _described(folder, tokens, name, language)


def random_model(folder: Path, *, seed: int = 0, tokens: int = 497, wide: int = 96) -> Path:
    """A model of random weights with two layers and as many tokens as the public one, some 500 kB."""
    chance = np.random.default_rng(seed)

    def weights(*shape: int) -> Weights:
        drawn: Weights = chance.standard_normal(shape).astype(np.float32)
        return drawn / np.float32(np.sqrt(np.prod(shape[1:])))

    encoder = [
        helper.make_node("Transpose", ["x"], ["by_band"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["by_band", "first", "bias"], ["a"], strides=[4]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second", "bias"], ["c"], pads=[1, 1]),
        helper.make_node("Transpose", ["c"], ["encoder_out"], perm=[0, 2, 1]),
        *_lengths(),
    ]
    about = {"first": weights(wide, MELS, 9), "second": weights(wide, wide, 3), "bias": np.zeros(wide, np.float32)}
    decoder = [
        helper.make_node("Max", ["y", "zero"], ["known"]),
        helper.make_node("Gather", ["embedding", "known"], ["each"], axis=0),
        helper.make_node("ReduceSum", ["each", "one"], ["decoder_out"], keepdims=0),
    ]
    count = len(SPECIAL) + tokens
    joiner = [
        helper.make_node("Add", ["encoder_out", "decoder_out"], ["both"]),
        helper.make_node("Tanh", ["both"], ["bent"]),
        helper.make_node("MatMul", ["bent", "out"], ["each"]),
        helper.make_node("Add", ["each", "offset"], ["logit"]),
    ]
    offset = np.zeros(count, np.float32)
    offset[0] = 2.0  # mostly blank, as speech is
    _save(folder / "am" / "encoder.onnx", encoder, about, *_encoder_shapes(wide))
    embedding: dict[str, Values] = {"embedding": weights(count, wide) * 8, **_numbers()}
    _save(folder / "am" / "decoder.onnx", decoder, embedding, *_decoder_shapes(wide))
    out = {"out": weights(wide, count) * 8, "offset": offset}
    _save(folder / "am" / "joiner.onnx", joiner, out, *_joiner_shapes(wide, count))
    names = [f"{'▁' if number % 3 == 0 else ''}t{number}" for number in range(tokens)]
    return _described(folder, names, "vosk-model-small-ru", "")


def _described(folder: Path, tokens: Sequence[str], name: str, language: str) -> Path:
    lines = [f"{token} {number}\n" for number, token in enumerate((*SPECIAL, *tokens))]
    (folder / "lang").mkdir(parents=True)
    (folder / "lang" / "tokens.txt").write_text("".join(lines), encoding="utf-8")
    if language:
        (folder / "studio.json").write_text(json.dumps({"name": name, "language": language}))
    return folder


def _bin(pitch: int) -> int:
    """The mel band of 80 from 20 to 7600 Hz that a pitch is in the middle of (Kaldi's scale)."""
    low, high, mel = (1127 * np.log(1 + hertz / 700) for hertz in (20, 7600, pitch))
    return round(float((mel - low) / (high - low) * (MELS + 1))) - 1


def _lengths() -> list[onnx.NodeProto]:
    """((x_lens - 7) // 2 + 1) // 2, as a Zipformer has it, which is (x_lens - 5) // 4."""
    return [
        helper.make_node("Constant", [], ["five"], value=numpy_helper.from_array(np.array(5))),
        helper.make_node("Constant", [], ["four"], value=numpy_helper.from_array(np.array(4))),
        helper.make_node("Sub", ["x_lens", "five"], ["left"]),
        helper.make_node("Div", ["left", "four"], ["encoder_out_lens"]),
    ]


def _numbers() -> dict[str, Values]:
    return {"zero": np.array(0), "one": np.array([1]), "two": np.array([CONTEXT])}


Shapes = tuple[dict[str, tuple[int, list[int | str]]], dict[str, tuple[int, list[int | str]]]]


def _encoder_shapes(wide: int) -> Shapes:
    return (
        {"x": (FLOAT, ["N", "T", MELS]), "x_lens": (INT, ["N"])},
        {"encoder_out": (FLOAT, ["N", "S", wide]), "encoder_out_lens": (INT, ["N"])},
    )


def _decoder_shapes(wide: int) -> Shapes:
    return {"y": (INT, ["N", CONTEXT])}, {"decoder_out": (FLOAT, ["N", wide])}


def _joiner_shapes(wide: int, count: int) -> Shapes:
    return (
        {"encoder_out": (FLOAT, ["N", wide]), "decoder_out": (FLOAT, ["N", wide])},
        {"logit": (FLOAT, ["N", count])},
    )


def _save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: Mapping[str, Values],
    inputs: dict[str, tuple[int, list[int | str]]],
    outputs: dict[str, tuple[int, list[int | str]]],
) -> None:
    def described(values: dict[str, tuple[int, list[int | str]]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in values.items()]

    known = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), path.stem, described(inputs), described(outputs), known)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
