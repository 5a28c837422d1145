"""Writes everything that a Vosk model folder holds: acoustic model, configuration, graph."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.speech_demo import graph, kaldi
from training.speech_demo.corpus import SAMPLE_RATE
from training.speech_demo.frames import COEFFICIENTS, HIGHEST_HZ, LOWEST_HZ, SUBSAMPLING
from training.speech_demo.network import CONTEXT, LAYERS, Network
from training.speech_demo.train import Trained
from training.speech_demo.vocabulary import SENTENCES, WORDS, Lexicon

NAME = "vosk-demo-en"

Weights = dict[str, NDArray[np.float64]]

# dither off makes decoding repeatable; without allow-upsample, 8 kHz input is refused.
MFCC_CONF = f"""\
--use-energy=false
--sample-frequency={SAMPLE_RATE}
--num-mel-bins={COEFFICIENTS}
--num-ceps={COEFFICIENTS}
--low-freq={LOWEST_HZ}
--high-freq={HIGHEST_HZ}
--dither=0
--allow-upsample=true
"""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Weights of the decoder, chosen on the held-out voices."""

    acoustic_scale: float = 0.7
    prior_scale: float = 0.4
    """How far the phones' own frequencies are taken out of the scores."""
    word_cost: float = -1.0
    """Paid for every word: below 0, short words are lost less often."""
    unknown_cost: float = 2.0
    """Minus the log of how willingly a word is called unknown."""


def export(trained: Trained, lexicon: Lexicon, folder: Path, tuning: Tuning) -> None:
    """Write the model files into `folder`, in place of what is there of them. Needs OpenFst's tools."""
    for part in ("am", "conf", "graph"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    (folder / "graph" / "phones").mkdir()
    phones = graph.PhoneTable(trained.phones)
    stays = [_stay(trained, output) for output in phones.outputs]
    _write_acoustic_model(trained, phones, stays, tuning, folder / "am" / "final.mdl")
    _write_text(folder / "conf" / "mfcc.conf", MFCC_CONF)
    _write_text(folder / "conf" / "model.conf", _model_conf(tuning))
    _write_table(folder / "graph" / "phones.txt", phones.ids)
    _write_table(folder / "graph" / "words.txt", graph.word_ids(WORDS))
    boundaries = "".join(f"{i} {position}\n" for i, position in enumerate(phones.positions, 1))
    _write_text(folder / "graph" / "phones" / "word_boundary.int", boundaries)
    _write_text(folder / "graph" / "disambig_tid.int", f"{2 * len(stays) + 1}\n")  # unused here, but Vosk reads it
    machine = graph.lexicon_machine(lexicon, phones, stays, tuning.word_cost, tuning.unknown_cost)
    _compile(machine, folder / "graph" / "HCLr.fst", sort_by="olabel")
    _compile(graph.grammar_machine(WORDS, SENTENCES), folder / "graph" / "Gr.fst", sort_by="ilabel")
    about = {
        "name": NAME,
        "demo": True,
        "label": "Demo speech model: about 140 English words, trained on synthetic speech only",
        "language": "en",
        "words": len(WORDS),
    }
    _write_text(folder / "studio.json", json.dumps(about, indent=2) + "\n")


def affine_layers(network: Network) -> list[kaldi.Affine]:
    """The network's convolutions with the normalisations folded in, the last of them the output layer."""
    values = {name: value.double().numpy() for name, value in network.state_dict().items()}
    input_scale, input_shift = _normalisation(values, "norm")
    layers = []
    for i in range(len(LAYERS)):
        weights, bias = values[f"convolutions.{i}.weight"], np.zeros(len(values[f"convolutions.{i}.weight"]))
        if i == 0:
            bias = np.einsum("oit,i->o", weights, input_shift)
            weights = weights * input_scale[None, :, None]
        scale, shift = _normalisation(values, f"norms.{i}")
        weights, bias = weights * scale[:, None, None], bias * scale + shift
        # Kaldi appends whole frames: tap by tap, each with all its channels.
        rows = weights.transpose(0, 2, 1).reshape(len(weights), -1)
        layers.append(kaldi.Affine(rows, bias, _offsets(i)))
    return [*layers, kaldi.Affine(values["output.weight"][:, :, 0], values["output.bias"], (0,))]


def _offsets(layer: int) -> tuple[int, ...]:
    """Where a layer's taps look, in input frames: once a layer strides, the taps of those after it are wider."""
    before = LAYERS[:layer]
    frames_an_output = int(np.prod([one.stride for one in before], initial=1))
    half = LAYERS[layer].taps // 2
    return tuple(tap * LAYERS[layer].spacing * frames_an_output for tap in range(-half, half + 1))


def _normalisation(values: Weights, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A batch norm as scale and shift. 1e-5 is torch's own guard against a variance of 0."""
    scale = 1 / np.sqrt(values[f"{name}.running_var"] + 1e-5) * values.get(f"{name}.weight", 1.0)
    return scale, values.get(f"{name}.bias", 0.0) - values[f"{name}.running_mean"] * scale


def _stay(trained: Trained, output: int) -> float:
    """Chance of a phone's self-loop, from its mean duration; silence may last."""
    if output == 0:
        return 0.9
    return float(np.clip(1 - 1 / max(trained.durations[output], 1.05), 0.05, 0.95))


def _write_acoustic_model(
    trained: Trained, phones: graph.PhoneTable, stays: Sequence[float], tuning: Tuning, path: Path
) -> None:
    prior = trained.prior**tuning.prior_scale
    with path.open("wb") as file:
        out = kaldi.Writer(file)
        kaldi.write_transitions(out, phones.outputs, stays)
        kaldi.write_network(out, COEFFICIENTS, affine_layers(trained.network), CONTEXT, prior / prior.sum())


def _model_conf(tuning: Tuning) -> str:
    # Phone 1 is silence. An utterance ends after 0.5 s (sure), 0.75 s or 1 s (unsure) of it.
    return f"""\
--min-active=200
--max-active=3000
--beam=12.0
--lattice-beam=5.0
--acoustic-scale={tuning.acoustic_scale}
--frame-subsampling-factor={SUBSAMPLING}
--endpoint.silence-phones=1
--endpoint.rule2.min-trailing-silence=0.5
--endpoint.rule3.min-trailing-silence=0.75
--endpoint.rule4.min-trailing-silence=1.0
"""


def _write_table(path: Path, ids: dict[str, int]) -> None:
    _write_text(path, "".join(f"{name} {number}\n" for name, number in ids.items()))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _compile(machine: str, path: Path, sort_by: str) -> None:
    """Text to OpenFst's `const` binary, which Vosk maps as it is."""
    data = machine.encode()
    for command in (
        ["fstcompile"],
        ["fstconnect"],
        ["fstarcsort", f"--sort_type={sort_by}"],
        ["fstconvert", "--fst_type=const"],
    ):
        data = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
    path.write_bytes(data)
