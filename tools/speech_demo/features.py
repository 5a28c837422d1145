"""What the network sees: Kaldi's MFCCs, 40 a frame, 100 frames a second, and a phone for every third of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import kaldi_native_fbank
import numpy as np
from numpy.typing import NDArray

from tools.speech_demo.augment import augment, without_speech
from tools.speech_demo.corpus import SAMPLE_RATE, Span, Utterance, as_bytes, from_bytes, save_arrays
from tools.speech_demo.vocabulary import SILENCE_PHONE

COEFFICIENTS = 40
LOWEST_HZ, HIGHEST_HZ = 20, 7600
FRAME_SECONDS = 0.01
SUBSAMPLING = 3
"""Frames per output of the network. Vosk takes 0.03 s an output for its word times, so it cannot be another."""

_WINDOW_MIDDLE = 0.0125
"""Seconds from the start of a 25 ms window to its middle."""

_CLIPS_WITHOUT_SPEECH = 0.025
"""As a share of the utterances."""

Features = NDArray[np.float32]
"""Shape (frames, COEFFICIENTS)."""

Labels = NDArray[np.int64]
"""Shape (ceil(frames / SUBSAMPLING),): the index of a phone in `phone_names`."""


@dataclass(slots=True)
class Example:
    """One utterance as the trainer has it. `labels` is replaced at every realignment."""

    text: str
    features: NDArray[np.float16]
    labels: Labels


def mfcc(samples: NDArray[np.float64]) -> Features:
    """The features that Kaldi computes with the exported conf/mfcc.conf. `samples`: int16 range, 16 kHz."""
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = COEFFICIENTS
    options.mel_opts.low_freq = LOWEST_HZ
    options.mel_opts.high_freq = HIGHEST_HZ
    options.num_ceps = COEFFICIENTS
    options.use_energy = False
    computer = kaldi_native_fbank.OnlineMfcc(options)
    computer.accept_waveform(SAMPLE_RATE, samples.astype(np.float32).tolist())
    computer.input_finished()
    frames = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    return np.array(frames, np.float32).reshape(len(frames), COEFFICIENTS)


def labels_from_spans(spans: Sequence[Span], times: NDArray[np.float64], phones: Sequence[str]) -> Labels:
    """The phone spoken at each of `times` (seconds); silence before the first span and after the last."""
    index = {phone: i for i, phone in enumerate(phones)}
    silence = index[SILENCE_PHONE]
    ids = np.array([*(index.get(phone, silence) for phone, _ in spans), silence])
    labels = ids[np.searchsorted([end for _, end in spans], times, side="right")]
    return np.where(times >= 0, labels, silence).astype(np.int64)


def examples(utterances: Sequence[Utterance], phones: Sequence[str], copies: int, seed: int) -> Iterator[Example]:
    """`copies` variations of every utterance, the first light, with some clips that hold no speech."""
    rng = np.random.default_rng(seed)
    silences = [
        Utterance("", "none", without_speech(rng, silent=i % 5 == 0), ())
        for i in range(round(_CLIPS_WITHOUT_SPEECH * len(utterances)))
    ]
    for copy in range(copies):
        for i, utterance in enumerate((*utterances, *silences)):
            # Its own generator for each, so that one more utterance does not change all that follow.
            one = augment(utterance.samples, np.random.default_rng((seed, copy, i)), light=copy == 0)
            features = mfcc(one.samples)
            outputs = -(-len(features) // SUBSAMPLING)
            middles = np.arange(outputs, dtype=np.float64) * SUBSAMPLING * FRAME_SECONDS + _WINDOW_MIDDLE
            labels = labels_from_spans(utterance.spans, (middles - one.padding) * one.speed, phones)
            yield Example(utterance.text, features.astype(np.float16), labels)


def save(items: Sequence[Example], path: Path) -> None:
    """Write examples as one .npz: all features and all labels end to end, and an index."""
    index = [(e.text, len(e.features), len(e.labels)) for e in items]
    features = np.concatenate([e.features for e in items])
    save_arrays(path, features=features, labels=np.concatenate([e.labels for e in items]), index=as_bytes(index))


def load(path: Path) -> list[Example]:
    """Read what `save` wrote."""
    with np.load(path) as file:
        features, labels, index = file["features"], file["labels"], from_bytes(file["index"])
    items, frame, label = [], 0, 0
    for text, frames, outputs in index:
        items.append(Example(text, features[frame : frame + frames], labels[label : label + outputs]))
        frame, label = frame + frames, label + outputs
    return items
