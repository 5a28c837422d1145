"""Vosk as the settings want it: for the studio and for the speech service alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.settings.fields import CommonSettings
from engines.speech.by_language import LanguageEngine
from engines.speech.vosk_engine import VoskEngine


def build_vosk(
    settings: CommonSettings,
    default: Path,
    models_dir: Path | None = None,
    how_to_get: Callable[[str], str] = lambda _: "",
) -> LanguageEngine:
    """Vosk on this machine, with `default` and a model for each language that has one in the settings' folder, which is
    `models_dir` where they name none. `how_to_get`: see LanguageEngine. Raises ModelMissing, ModelInvalid."""
    return LanguageEngine(
        default,
        settings.vosk_models_dir or models_dir,
        lambda folder: VoskEngine(folder, workers=settings.speech_workers, max_seconds=settings.max_audio_minutes * 60),
        loaded=settings.vosk_models_loaded,
        how_to_get=how_to_get,
    )
