"""The only place that picks concrete engines and stores, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.accounts import Accounts
from app.addresses import AddressList, CheckedTransport
from app.delivery.firestore import FirestoreDeliverer
from app.delivery.sender import FOR_DAYS, Schedule, Sender
from app.delivery.webhook import WebhookDeliverer
from app.downloads import Downloads
from app.fetch import Fetcher
from app.http.views import view_of
from app.jobs.fetching import FETCHED_AT_ONCE, FetchWorker
from app.jobs.model import FETCH, AnyKind
from app.jobs.queue import Queue
from app.jobs.quota import Limits
from app.jobs.store.correction_lists import CorrectionLists
from app.jobs.store.database import Database
from app.jobs.store.dead_letters import GoneWebhooks
from app.jobs.store.opening import open_stores
from app.jobs.store.outbox import Deliverer
from app.jobs.worker import Worker
from app.metrics import JobMetrics
from app.presets import Presets, load_presets
from app.settings.fields import Settings
from app.signing import Signer, read_key
from app.studio import Studio
from app.tokens import Tokens
from app.vosk import build_vosk
from app.work.background import CutOuts
from app.work.image import PlainKind
from app.work.live import Feeds, LiveKind, LiveLimits
from app.work.presets import AvatarKind, HeroKind
from app.work.showcase import Showcase, load_showcase
from app.work.showcase_pictures import ShowcasePictures
from app.work.speech import TranscriptionKind
from engines.child import Child
from engines.devices import SDXL_BYTES, Device, find_device
from engines.protocols import ImageEngine, SpeechEngine
from engines.sdxl.process import SdxlProcess
from engines.sdxl.start import start
from engines.speech.by_language import LanguageEngine
from engines.speech.cloud_run import CloudRunEngine
from engines.speech.service_auth import service_auth
from engines.weights.hub import HubFolder
from engines.weights.names import is_hub_id
from engines.weights.registry import read_registry
from engines.weights.store import ModelStore

ROOT = Path(__file__).parents[1]
PRESETS = ROOT / "presets"
REGISTRY = ROOT / "models" / "registry.toml"
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
SKETCH = ROOT / "models" / "sketch"
DEMO_SPEECH = ROOT / "models" / "vosk-demo-en"
PULLED_SPEECH = "small-en"
DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What was picked and, in a few words for a person, why."""

    what: str
    why: str


def choose_image_model(settings: Settings, device: Device) -> Choice:
    """A hub id or a path, as `SdxlEngine` takes it, to run on `device`."""
    asked = {"sdxl": SDXL, "sketch": str(SKETCH)}.get(settings.image_model, settings.image_model)
    if asked != "auto":
        return Choice(asked, "; ".join(filter(None, ("asked for", device.note))))
    if not device.name.startswith("cuda"):
        return Choice(str(SKETCH), device.note or "no CUDA GPU here; SDXL needs one with 10 GB")
    memory = f"{device.memory / 2**30:.0f} GB"
    if device.memory < SDXL_BYTES:
        return Choice(str(SKETCH), f"{device.label} has {memory} of memory; SDXL needs 10")
    return Choice(SDXL, f"{device.label} with {memory} is here")


def open_models(settings: Settings) -> ModelStore:
    """The models of this machine. Raises ModelInvalid for a registry that cannot be read."""
    return ModelStore(settings.models_dir, read_registry(REGISTRY))


def _still_to_fetch(settings: Settings, model: str) -> str:
    """What has to arrive before the model works, to be added to the start's line; empty if nothing has."""
    store = open_models(settings)
    if not is_hub_id(model) or store.here(model):
        return ""
    source = store.registry.find(model).source
    known = isinstance(source, HubFolder) and source.about_bytes
    return f"; its weights{f', about {known / 1e9:.1f} GB,' if known else ''} are fetched first"


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
    return _or_cloud_run(settings, _build_local_speech(settings))


def _build_local_speech(settings: Settings) -> LanguageEngine:
    default = Path(choose_vosk_model(settings).what)
    registry = read_registry(REGISTRY)

    def how_to_get(language: str) -> str:
        name = registry.for_language(language)
        return f"`python3 launch.py models pull {name}`" if name else ""

    return build_vosk(settings, default, settings.models_dir, how_to_get)


def _or_cloud_run(settings: Settings, local: LanguageEngine) -> SpeechEngine:
    if settings.transcription_service_url is None or settings.speech == "vosk":
        return local
    token = settings.transcription_token
    auth = service_auth(
        settings.transcription_service_url,
        settings.transcription_auth,
        "" if token is None else token.get_secret_value(),
    )
    return CloudRunEngine(settings.transcription_service_url, fallback=local, auth=auth)


def open_accounts(settings: Settings) -> Accounts:
    """Who may call: the settings' tokens, and those of the data folder. Raises TokensUnusable."""
    return Accounts(settings.tokens, Tokens(settings.data_dir))


def open_images(settings: Settings, child: Child | None = None) -> SdxlProcess:
    """Pictures, in the process `child` while that lives, then in others. Raises ModelInvalid, EngineCrashed."""

    def choose(device: Device) -> str:
        return choose_image_model(settings, device).what

    return SdxlProcess(child or start(), start, choose, settings.models_dir, REGISTRY)


def build_studio(settings: Settings, accounts: Accounts, image: SdxlProcess) -> Studio:
    """Raises PresetError, ModelMissing, ModelInvalid, StorageFailed: what would make every job fail stops the start."""
    device = image.device
    local = _build_local_speech(settings)
    downloads = Downloads(
        open_models(settings), use=lambda _, folder: local.adopt(folder), advice=_to_use_sdxl(settings, device)
    )
    return assemble(
        settings,
        image,
        _or_cloud_run(settings, local),
        renamed=accounts.renamed,
        downloads=downloads,
        device=device,
    )


def _to_use_sdxl(settings: Settings, device: Device) -> str:
    """What there is to do when its weights are here."""
    if not device.name.startswith("cuda") or device.memory < SDXL_BYTES:
        return "SDXL needs an NVIDIA GPU with 10 GB, and there is none here: rent one, as the README tells."
    if settings.image_model == "auto":
        return "The next start of the studio uses it."
    return "Start the studio with --image-model sdxl to use it."


def assemble(
    settings: Settings,
    image: ImageEngine,
    speech: SpeechEngine,
    *,
    renamed: Mapping[str, str] | None = None,
    deliverers: tuple[Deliverer, ...] = (),
    schedule: Schedule = FOR_DAYS,
    downloads: Downloads | None = None,
    device: Device | None = None,
) -> Studio:
    """A studio over the given engines. `renamed`: see Queue. `deliverers`: beside webhooks, `schedule`: for all.
    `downloads`: of models, from the usual places where not given. `device`: what pictures are computed on; the CPU.

    Raises PresetError, StorageFailed.
    """
    downloads = downloads or Downloads(open_models(settings))
    presets = load_presets(PRESETS, settings.presets_dir)
    showcase = load_showcase(list(filter(None, (settings.presets_dir, PRESETS))), image.info.name, presets)
    showcase_pictures = _showcase_pictures(settings, image, presets, showcase)
    feeds = Feeds()
    opener = Fetcher(settings.fetch_hosts, max_bytes=settings.max_upload_mb * 2**20)
    with ExitStack() as opened:
        database, files = open_stores(settings.data_dir, opened)
        correction_lists = CorrectionLists(database)
        own = correction_lists.get
        kinds: list[AnyKind] = [
            PlainKind(image),
            AvatarKind(image, presets),
            HeroKind(image, presets),
            TranscriptionKind(speech, own),
            LiveKind(speech, feeds, keep_sound=settings.keep_live_audio, corrections=own),
        ]
        # Before the stores are handed over: where it fails, they are closed.
        signer = Signer(read_key(settings.data_dir))
        webhooks = _webhooks(settings, database, opened)
        deliverers = (webhooks, *deliverers, *_firestore(settings))
        metrics = JobMetrics()
        queue = Queue(
            database,
            files,
            kinds,
            capacity=_capacity(settings),
            opener=opener,
            deliverers=deliverers,
            renamed=renamed,
            on_change=metrics.observe,
            limits=Limits(
                settings.rate_per_minute,
                settings.daily_jobs,
                settings.user_rate_per_minute,
                settings.user_daily_jobs,
            ),
        )
        spare = showcase_pictures.make_one if showcase_pictures.makes else None
        return Studio(
            queue=queue,
            files=files,
            workers=(
                Worker("image", queue, kinds, image.load, spare=spare),
                Worker("speech", queue, kinds, lambda _: speech.load(), width=settings.speech_files),
                # A session that begins waits for the model by itself.
                Worker("live", queue, kinds, lambda _: None, width=settings.live_sessions),
                FetchWorker(queue, files, kinds, opener),
            ),
            speech=speech,
            feeds=feeds,
            live=LiveLimits(settings.live_sessions, settings.live_minutes * 60.0, settings.live_idle_seconds),
            max_upload_bytes=settings.max_upload_mb * 2**20,
            retention_seconds=settings.job_retention_days * DAY,
            close_stores=opened.pop_all().close,
            settings=settings,
            image=image,
            presets=presets,
            showcase=showcase,
            showcase_pictures=showcase_pictures,
            correction_lists=correction_lists,
            metrics=metrics,
            check_webhook=webhooks.check,
            senders=tuple(Sender(deliverer, queue.outbox, schedule=schedule) for deliverer in deliverers),
            signer=signer,
            downloads=downloads,
            cut_outs=CutOuts(downloads.store),
            device=device or find_device("cpu"),
        )


def _capacity(settings: Settings) -> dict[str, int]:
    """How many jobs each device takes, those that run included."""
    return {
        "image": settings.max_queue + 1,
        "speech": settings.max_queue + settings.speech_files,
        "live": settings.live_sessions,
        FETCH: settings.max_queue + FETCHED_AT_ONCE,
    }


def _showcase_pictures(
    settings: Settings, image: ImageEngine, presets: Presets, showcase: Showcase
) -> ShowcasePictures:
    folder = image.info.name.replace("/", "--")
    return ShowcasePictures(
        image,
        presets,
        showcase,
        shipped=PRESETS / "pictures" / folder,
        own=settings.data_dir / "preset-pictures" / folder,
        makes=_makes_pictures(settings, image),
    )


def _webhooks(settings: Settings, database: Database, opened: ExitStack) -> WebhookDeliverer:
    # Proxies of the environment would see what is signed for its receiver alone.
    receivers = AddressList(settings.webhook_hosts, "STUDIO_WEBHOOK_HOSTS")
    client = opened.enter_context(httpx.Client(transport=CheckedTransport(receivers), trust_env=False))
    return WebhookDeliverer(
        client,
        [secret.get_secret_value() for secret in settings.webhook_secret],
        receivers,
        GoneWebhooks(database),
        view_of,
        base_url=settings.public_url or "",
    )


def _firestore(settings: Settings) -> tuple[Deliverer, ...]:
    if settings.firebase_project_id is None:
        return ()
    base_url = f"{settings.public_url or f'http://localhost:{settings.port}'}/"
    return (FirestoreDeliverer(settings.firebase_project_id, base_url),)


def _makes_pictures(settings: Settings, image: ImageEngine) -> bool:
    """Not with a whole SDXL on a CPU, which would be busy for hours."""
    return settings.preset_pictures and (image.info.device != "cpu" or image.info.fixed_sizes)


def describe(settings: Settings, studio: Studio, device: Device) -> list[str]:
    """One line an engine: what is in use and why. `device`: of pictures."""
    image, speech = studio.image.info, studio.speech.info
    model = choose_image_model(settings, device)
    lines = [f"Images   {image.label} on {image.device} ({model.why}{_still_to_fetch(settings, model.what)})"]
    vosk = choose_vosk_model(settings)
    if speech.where == "cloud-run":
        lines.append(
            f"Speech   {settings.transcription_service_url} (TRANSCRIPTION_SERVICE_URL is set; Vosk here if it fails)"
        )
    else:
        also = ", ".join(sorted({other.language for other in speech.others}))
        lines.append(f"Speech   {speech.label} ({vosk.why}{f'; also {also}, loaded when asked for' if also else ''})")
    return lines
