"""Speech from espeak-ng's library, with the start of every word.

The command line tool tells no times; the library does, through events of its callback.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from training.speech_demo.corpus import SAMPLE_RATE, Span, Utterance
from training.speech_demo.vocabulary import SILENCE_PHONE, Lexicon

LIBRARY = "libespeak-ng.so.1"

# From espeak-ng/speak_lib.h.
_SYNCHRONOUS = 1
_EVENT_END = 0
_EVENT_WORD = 1
_RATE, _PITCH, _PITCH_RANGE, _WORD_GAP = 1, 3, 4, 7
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1

_AUDIBLE = 150
"""Samples beyond this (of 32,768) are speech: espeak's silence is exact zeros, give or take a resampler's ringing."""


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The library, opened once: it keeps global state, so one per process and one thread at a time."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._library: Any = ctypes.CDLL(LIBRARY)
        self._rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 500, None, 0)
        if self._rate <= 0:
            raise RuntimeError(f"{LIBRARY} did not start (code {self._rate}): install the package espeak-ng")
        self._pieces: list[NDArray[np.int16]] = []
        self._word_starts: dict[int, float] = {}
        self._callback = _Callback(self._collect)  # kept: the library holds only a pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def variants(self) -> tuple[str, ...]:
        """The names of the library's voice variants, sorted."""
        path = ctypes.c_char_p()
        self._library.espeak_Info(ctypes.byref(path))
        return tuple(sorted(file.name for file in Path((path.value or b"").decode(), "voices", "!v").iterdir()))

    def speak(
        self, text: str, voice: str, *, rate: int = 160, pitch: int = 50, pitch_range: int = 50, gap: int = 0
    ) -> Utterance:
        """Speak a text. `rate`: words a minute; `pitch` and its range: 0 to 100; `gap`: pause of words in 10 ms."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}: see `espeak-ng --voices`")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_PITCH_RANGE, pitch_range), (_WORD_GAP, gap)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._pieces.clear()
        self._word_starts.clear()
        data = text.encode()
        size = ctypes.c_size_t(len(data) + 1)
        self._library.espeak_Synth(data, size, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
        self._library.espeak_Synchronize()
        samples = self._resampled(np.concatenate(self._pieces))
        return Utterance(text, voice, samples, self._spans(text, samples))

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != _EVENT_END:
            if events[i].type == _EVENT_WORD:
                self._word_starts[events[i].text_position] = events[i].audio_position / 1000
            i += 1
        return 0

    def _resampled(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        at_16_khz: NDArray[np.float32] = resample_poly(samples.astype(np.float32), SAMPLE_RATE, self._rate)
        return np.clip(at_16_khz, -32768, 32767).astype(np.int16)

    def _spans(self, text: str, samples: NDArray[np.int16]) -> tuple[Span, ...]:
        """Phones laid evenly over the time of their words: a first guess for the aligner.

        espeak runs some short words together and then reports only the first: these share one stretch of time.
        """
        words = text.split()
        positions = np.cumsum([1, *(len(word) + 1 for word in words[:-1])]).tolist()
        heard = [(i, self._word_starts[p]) for i, p in enumerate(positions) if p in self._word_starts]
        audible = np.flatnonzero(np.abs(samples.astype(np.int32)) > _AUDIBLE)
        if not heard or not len(audible):
            return ((SILENCE_PHONE, len(samples) / SAMPLE_RATE),)
        first, last = float(audible[0]) / SAMPLE_RATE, float(audible[-1]) / SAMPLE_RATE
        spans: list[Span] = [(SILENCE_PHONE, max(heard[0][1], first))]
        for (word, start), (next_word, end) in zip(heard, [*heard[1:], (len(words), last)], strict=True):
            phones = [phone for w in words[word:next_word] for phone in self._lexicon[w][0]]
            begin = max(start, first)
            spans += [(phone, begin + (end - begin) * (k + 1) / len(phones)) for k, phone in enumerate(phones)]
        return (*spans, (SILENCE_PHONE, len(samples) / SAMPLE_RATE))
