"""Makes engines/speech/warm_up.wav: a few seconds of several languages, which a speech model hears while it is idle.

`python -m training.make_warm_up`, with espeak-ng installed (apt-get install espeak-ng). What is said does not matter,
as long as it sounds like speech.
"""

from __future__ import annotations

import io
import subprocess
import wave

import numpy as np

from engines.speech.warm_up import WARM_UP
from training.make_speech_fixtures import resampled, write_wav

SAID = {"en-us": "Please send me a message.", "es": "Muchas gracias.", "ru": "Добрый день.", "cmn": "今天天气很好。"}
"""Text by espeak-ng's name of the voice."""


def main() -> None:
    """Write the file."""
    spoken = []
    for voice, text in SAID.items():
        command = ["espeak-ng", "-v", voice, "-s", "180", "--stdout", text]
        with wave.open(io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            spoken.append(resampled(samples, file.getframerate(), 16_000))
    write_wav(WARM_UP, np.concatenate(spoken), 16_000)


if __name__ == "__main__":
    main()
