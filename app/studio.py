"""What runs behind the doors: the queue with its workers and engines. A studio has pictures, the speech service not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.delivery.sender import Sender
from app.downloads import Downloads
from app.jobs.files import Files
from app.jobs.queue import Queue
from app.jobs.store.correction_lists import CorrectionLists
from app.jobs.worker import Worker, WorkerState, WorkerStatus
from app.metrics import JobMetrics
from app.presets import Presets
from app.settings.fields import Settings
from app.signing import Signer
from app.work.background import CutOuts
from app.work.live import Feeds, LiveLimits
from app.work.showcase import Showcase
from app.work.showcase_pictures import ShowcasePictures
from engines.devices import Device
from engines.protocols import ImageEngine, SpeechEngine

CLOSE_SECONDS = 5.0
"""For the work in hand when the server stops; native code that takes longer is left behind."""

SEND_SECONDS = 1.0
"""For what is being delivered then. What takes longer is delivered again after the next start."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running queue. `close_stores` gives the data folder back to whoever wants it next."""

    queue: Queue
    files: Files
    workers: tuple[Worker, ...]
    speech: SpeechEngine
    feeds: Feeds
    """Of the live sessions that are open."""
    live: LiveLimits
    max_upload_bytes: int
    retention_seconds: float
    """How long jobs that have ended are kept; 0: for ever."""
    close_stores: Callable[[], None]
    senders: tuple[Sender, ...] = field(default=(), kw_only=True)

    def start(self) -> None:
        """Begin to load models and to work."""
        for worker in self.workers:
            worker.start()
        for sender in self.senders:
            sender.start()

    def status(self) -> list[WorkerStatus]:
        return [worker.status for worker in self.workers]

    @property
    def state(self) -> str:
        """healthy, loading, failed or draining: of everything together, the worst."""
        if self.queue.draining:
            return "draining"
        states = {worker.state for worker in self.status()}
        if WorkerState.FAILED in states:
            return "failed"
        return "loading" if WorkerState.LOADING in states else "healthy"

    def close(self) -> None:
        """End. What is unfinished goes on after the next start."""
        self.queue.give_up()
        for worker in self.workers:
            worker.close(CLOSE_SECONDS)
        for sender in self.senders:
            sender.close(SEND_SECONDS)
        self.speech.close()
        self.close_stores()


@dataclass(frozen=True, slots=True)
class Studio(Service):
    """The service with pictures, presets and everything that a page needs."""

    settings: Settings
    image: ImageEngine
    presets: Presets
    showcase: Showcase
    """What the page shows of the image model before anything is made."""
    showcase_pictures: ShowcasePictures
    correction_lists: CorrectionLists
    metrics: JobMetrics
    check_webhook: Callable[[str], None]
    """Whether a job may have this address. Raises InvalidRequest."""
    signer: Signer
    downloads: Downloads
    cut_outs: CutOuts
    device: Device
    """What pictures are computed on."""

    def close(self) -> None:
        self.downloads.close()
        Service.close(self)
        self.image.close()
