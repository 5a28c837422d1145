"""The only place that picks concrete engines and stores, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from app.http.apps import create_app
from app.jobs.lane import Lane
from app.jobs.queue import Jobs
from app.jobs.store.opening import open_stores
from app.presets import load_presets
from app.settings.fields import Settings
from app.work.studio import Studio
from engines.devices import SDXL_BYTES, cuda_gpu
from engines.protocols import ImageEngine, SpeechEngine
from engines.sdxl.engine import SdxlEngine
from engines.speech.cloud_run import CloudRunEngine
from engines.speech.vosk_engine import VoskEngine

ROOT = Path(__file__).parents[1]
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
SKETCH = ROOT / "models" / "sketch"
DEMO_SPEECH = ROOT / "models" / "vosk-demo-en"
PULLED_SPEECH = "small-en"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was picked and, in a few words for a person, why."""

    what: str
    why: str


def choose_image_model(settings: Settings) -> Choice:
    """A hub id or a path, as `SdxlEngine` takes it."""
    if settings.image_model == "sdxl":
        return Choice(SDXL, "asked for")
    if settings.image_model == "sketch":
        return Choice(str(SKETCH), "asked for")
    if settings.image_model != "auto":
        return Choice(settings.image_model, "asked for")
    gpu = cuda_gpu()
    if gpu is None:
        return Choice(str(SKETCH), "no CUDA GPU here; SDXL needs one with 10 GB")
    if gpu.memory < SDXL_BYTES:
        return Choice(str(SKETCH), f"{gpu.name} has {gpu.memory / 2**30:.0f} GB of memory; SDXL needs 10")
    return Choice(SDXL, f"{gpu.name} with {gpu.memory / 2**30:.0f} GB is here")


def choose_vosk_model(settings: Settings) -> Choice:
    """The folder of a Vosk model."""
    if settings.vosk_model is not None:
        return Choice(str(settings.vosk_model), "asked for")
    pulled = settings.models_dir / PULLED_SPEECH
    if pulled.is_dir():
        return Choice(str(pulled), "found among the downloaded models")
    return Choice(str(DEMO_SPEECH), "built in; a real one: python3 launch.py models pull small-en")


def build_speech(settings: Settings) -> SpeechEngine:
    """Vosk here, or Cloud Run with Vosk here as fall-back."""
    local = VoskEngine(
        Path(choose_vosk_model(settings).what),
        workers=settings.speech_workers,
        max_seconds=settings.max_audio_minutes * 60,
    )
    if settings.transcription_service_url is None or settings.speech == "vosk":
        return local
    return CloudRunEngine(settings.transcription_service_url, fallback=local)


def build_studio(settings: Settings) -> Studio:
    """Raises PresetError, ModelMissing, ModelInvalid, StorageFailed: what would make every job fail stops the start."""
    return assemble(settings, SdxlEngine(choose_image_model(settings).what), build_speech(settings))


def assemble(settings: Settings, image: ImageEngine, speech: SpeechEngine) -> Studio:
    """A studio over the given engines. Raises PresetError, StorageFailed."""
    presets = load_presets(ROOT / "presets", settings.presets_dir)
    lanes = {
        "image": Lane("image", image.load, capacity=settings.max_queue),
        "speech": Lane("speech", speech.load, width=settings.speech_workers, capacity=settings.max_queue),
    }
    stores = open_stores(settings.data_dir)
    return Studio(settings, image, speech, Jobs(stores, lanes), stores.media, presets)


def describe(settings: Settings, studio: Studio) -> list[str]:
    """One line an engine: what is in use and why."""
    image, speech = studio.image.info, studio.speech.info
    lines = [f"Images   {image.label} on {image.device} ({choose_image_model(settings).why})"]
    vosk = choose_vosk_model(settings)
    if speech.where == "cloud-run":
        lines.append(
            f"Speech   {settings.transcription_service_url} (TRANSCRIPTION_SERVICE_URL is set; Vosk here if it fails)"
        )
    else:
        lines.append(f"Speech   {speech.label} ({vosk.why})")
    return lines


def build_app(settings: Settings) -> FastAPI:
    return create_app(build_studio(settings))
