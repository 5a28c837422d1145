"""Vosk as the settings want it: for the studio and for the speech service alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.settings.fields import CommonSettings
from engines.protocols import SpeechEngine
from engines.speech.by_language import LanguageEngine
from engines.speech.model import Layout, check_usable
from engines.speech.onnx_engine import OnnxEngine
from engines.speech.vosk_engine import VoskEngine


def build_vosk(
    settings: CommonSettings,
    default: Path,
    models_dir: Path | None = None,
    how_to_get: Callable[[str], str] = lambda _: "",
) -> LanguageEngine:
    """Vosk on this machine, and its newer models by onnx-asr, with `default` and a model for each language that has one
    in the settings' folder, which is `models_dir` where they name none. `how_to_get`: see LanguageEngine.

    Raises ModelMissing, ModelInvalid.
    """
    folder = settings.vosk_models_dir or models_dir
    # As `launch.py models pull speakers` calls it.
    speakers = settings.speaker_model or (folder and folder / "speakers")
    workers, max_seconds = settings.speech_workers, settings.max_audio_minutes * 60

    def make(model: Path) -> SpeechEngine:
        if check_usable(model) is Layout.ONNX:
            return OnnxEngine(model, workers=workers, max_seconds=max_seconds)
        return VoskEngine(model, workers=workers, max_seconds=max_seconds, speaker_folder=speakers)

    return LanguageEngine(default, folder, make, loaded=settings.vosk_models_loaded, how_to_get=how_to_get)
