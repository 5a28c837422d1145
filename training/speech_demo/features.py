"""Makes examples of utterances: variations of each, as the MFCCs that Kaldi would compute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import kaldi_native_fbank
import numpy as np
from numpy.typing import NDArray

from training.speech_demo.augment import augment, without_speech
from training.speech_demo.corpus import SAMPLE_RATE, Utterance
from training.speech_demo.frames import (
    COEFFICIENTS,
    HIGHEST_HZ,
    LOWEST_HZ,
    Example,
    Features,
    labels_from_spans,
    output_times,
)

_CLIPS_WITHOUT_SPEECH = 0.025
"""As a share of the utterances."""


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
            times = (output_times(len(features)) - one.padding) * one.speed  # in the signal before its augmentation
            labels = labels_from_spans(utterance.spans, times, phones)
            yield Example(utterance.text, features.astype(np.float16), labels)
