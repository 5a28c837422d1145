"""Speech from flite, with the times of its phones."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from training.speech_demo.corpus import SAMPLE_RATE, Utterance
from training.speech_demo.vocabulary import SILENCE_PHONE

PITCH = {"slt": 170.0, "rms": 95.0, "awb": 120.0, "kal16": 105.0}
"""Each voice's own mean pitch in Hz, to vary around."""

# Too rare in 139 words to train apart from the sound nearest to them.
MERGED = {
    "ax": "ah",
    "axr": "er",
    "dx": "t",
    "el": "l",
    "em": "m",
    "en": "n",
    "hv": "hh",
    "nx": "n",
    "pau": SILENCE_PHONE,
    "zh": "sh",
}


def merged(phone: str) -> str:
    """The name under which the model knows one of flite's phones."""
    return MERGED.get(phone, phone)


def phones(word: str) -> list[str]:
    """Flite's phones for one word, pauses left out."""
    command = ["flite", "-voice", "kal16", "-ps", "-t", word, "none"]
    spoken = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return [phone for phone in spoken if phone != "pau"]


def speak(text: str, voice: str, *, stretch: float = 1.0, pitch: float = 0.0) -> Utterance:
    """Speak a text. `stretch`: times the voice's own duration; `pitch`: mean in Hz, 0 for the voice's own."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "speech.wav")
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}"]
        if pitch:
            command += ["--setf", f"int_f0_target_mean={pitch:.1f}"]
        command += ["-psdur", "-t", text, "-o", str(wav)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rate, samples = wavfile.read(wav)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"flite voice {voice} speaks at {rate} Hz, not {SAMPLE_RATE}: use one that does")
    pairs = (token.split(":") for token in output.split())
    spans = tuple((merged(phone), float(end)) for phone, end in pairs)
    return Utterance(text, f"flite-{voice}", np.asarray(samples, np.int16), spans)
