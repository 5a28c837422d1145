"""Speech to text with Vosk: what it takes beside sound, vocabulary and speakers."""

from __future__ import annotations

import sys
from pathlib import Path

from engines.errors import ModelInvalid, ModelMissing
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import Unused
from engines.speech.audio import DEFAULT_MAX_SECONDS
from engines.speech.local_engine import LocalEngine
from engines.speech.model import check_language, check_model_folder, check_speaker_folder
from engines.speech.process import VOSK_WORKER, Timeouts
from engines.speech.vocabulary import grammar
from engines.wire import Message

NO_SPEAKER_MODEL = (
    "Speakers cannot be told apart here, because there is no speaker model. Get it with `python3 launch.py models pull "
    "speakers` (or name the folder of one in STUDIO_SPEAKER_MODEL), or leave speakers out."
)


class VoskEngine(LocalEngine):
    """A SpeechEngine over a Vosk model folder of Kaldi's layout."""

    worker = VOSK_WORKER

    def __init__(
        self,
        model_folder: Path,
        *,
        workers: int = 2,
        max_seconds: float = DEFAULT_MAX_SECONDS,
        speaker_folder: Path | None = None,
        timeouts: Timeouts | None = None,
        platform: str = sys.platform,
    ) -> None:
        """Look at the folder, start nothing. Raises ModelMissing, ModelInvalid.

        `workers`, `max_seconds`: see LocalEngine. `speaker_folder`: a Vosk speaker model, which may be put there later.
        """
        check_model_folder(model_folder)
        super().__init__(model_folder, workers=workers, max_seconds=max_seconds, timeouts=timeouts, platform=platform)
        self._speaker_folder = speaker_folder

    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        check_language(request.language, self._info)
        if isinstance(request, TranscribeRequest) and request.speakers:
            self._speaker_model()
        return grammar(self._folder, self._info, request.vocabulary)[1]

    def _how(self, request: TranscribeRequest | ListenRequest) -> Message:
        phrases, _ = grammar(self._folder, self._info, request.vocabulary)
        speakers = isinstance(request, TranscribeRequest) and request.speakers
        return {"grammar": phrases, "speakers": str(self._speaker_model()) if speakers else ""}

    def _speaker_model(self) -> Path:
        """Raises ModelMissing, ModelInvalid."""
        if self._speaker_folder is None or not self._speaker_folder.is_dir():
            raise ModelMissing(NO_SPEAKER_MODEL)
        try:
            check_speaker_folder(self._speaker_folder)
        except ModelInvalid as error:
            # Its text has the path, which is nothing for callers.
            raise ModelInvalid(
                "The speaker model here is not complete: fetch it again, or leave speakers out."
            ) from error
        return self._speaker_folder.resolve()
