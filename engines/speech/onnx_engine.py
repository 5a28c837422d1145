"""Speech to text with a Vosk model in ONNX (a Zipformer transducer), which onnx-asr runs."""

from __future__ import annotations

import sys
from pathlib import Path

from engines.errors import InvalidRequest
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import Unused
from engines.speech.audio import DEFAULT_MAX_SECONDS
from engines.speech.local_engine import LocalEngine
from engines.speech.model import check_language, check_usable
from engines.speech.pieces import Lengths
from engines.speech.process import Timeouts
from engines.wire import Message


class OnnxEngine(LocalEngine):
    """A SpeechEngine over a Vosk model folder with encoder.onnx, decoder.onnx, joiner.onnx and tokens.txt."""

    worker = "engines.speech.onnx_worker"

    lengths = lengths_alone = Lengths(8.0, 16.0, 24.0)
    """Each piece is heard as a whole, and the model was trained on sentences: memory and time grow with the square of
    its length, and nothing is learnt of the voice from one to the next."""

    def __init__(
        self,
        model_folder: Path,
        *,
        workers: int = 2,
        max_seconds: float = DEFAULT_MAX_SECONDS,
        timeouts: Timeouts | None = None,
        platform: str = sys.platform,
    ) -> None:
        """Look at the folder, start nothing. Raises ModelMissing (also where onnx-asr is not installed), ModelInvalid.

        `workers`, `max_seconds`: see LocalEngine.
        """
        check_usable(model_folder)
        super().__init__(model_folder, workers=workers, max_seconds=max_seconds, timeouts=timeouts, platform=platform)

    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        check_language(request.language, self._info)
        if request.vocabulary:
            raise InvalidRequest(
                "vocabulary",
                f"The loaded speech model ({self._info.name}) takes no vocabulary, because it has no graph of words. "
                "Leave vocabulary out, or use a small Vosk model or one with lgraph in its name: "
                "`python3 launch.py models pull` lists them.",
            )
        if isinstance(request, TranscribeRequest) and request.speakers:
            raise InvalidRequest(
                "speakers",
                f"The loaded speech model ({self._info.name}) cannot tell speakers apart: Vosk's speaker model works "
                "with models that Vosk itself runs. Leave speakers out, or use one of those.",
            )
        return ()

    def _how(self, request: TranscribeRequest | ListenRequest) -> Message:  # noqa: ARG002 - there is nothing to choose
        return {}
