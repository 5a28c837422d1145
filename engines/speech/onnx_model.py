"""A Vosk model in ONNX in memory: sound goes in, tokens with times come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_asr
import onnxruntime
from numpy.typing import NDArray

from engines.errors import ModelInvalid
from engines.speech.model import onnx_quantization
from engines.speech.pieces import SAMPLE_RATE
from engines.speech.utterances import Token

AFTER_SECONDS = 0.5
"""Silence that is added to a sound: a transducer tells the last word a little after it was said, and needs a third of a
second to tell anything."""


class OnnxModel:
    """One model. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Load it. Raises ModelInvalid."""
        options = onnxruntime.SessionOptions()
        # The pieces of files share the cores. Threads inside would get in each other's way, and would be missing in a
        # child that is forked.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Its warnings are on standard error, of every file that it loads.
        options.log_severity_level = 3
        try:
            self._model = onnx_asr.load_model(
                "vosk",
                folder,
                quantization=onnx_quantization(folder),
                sess_options=options,
                providers=["CPUExecutionProvider"],
            ).with_timestamps()
        except Exception as error:
            raise ModelInvalid(
                f"The speech model could not be loaded ({type(error).__name__}). Its files may be damaged or too large "
                "for this machine's memory: fetch it again, or choose a smaller one."
            ) from error
        try:
            self._hear(np.zeros(1, np.float32))
        except Exception as error:
            raise ModelInvalid(
                f"The speech model was loaded and cannot be run ({type(error).__name__}): it is not made as Vosk's "
                "models in ONNX are. Its streaming ones are not: choose one that is not streaming."
            ) from error

    def tokens(self, sound: bytes) -> list[Token]:
        """What is heard in 16 kHz mono int16 sound of up to half a minute, in order of time."""
        samples = np.frombuffer(sound, np.int16)
        return self._hear(samples.astype(np.float32) * np.float32(2**-15)) if samples.any() else []

    def _hear(self, waveform: NDArray[np.float32]) -> list[Token]:
        silence = np.zeros(round(AFTER_SECONDS * SAMPLE_RATE), np.float32)
        told = self._model.recognize(np.concatenate([waveform, silence]).astype(np.float32), sample_rate=16_000)
        known = (told.tokens or [], told.timestamps or [], told.logprobs or [])
        return [Token(*token) for token in zip(*known, strict=True)]
