"""Several speech models behind one engine: the request's language picks one, which is loaded when first asked for.

Models are folders of one folder, so that one that is pulled while the studio runs serves the next request.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, Event

from engines.errors import Cancelled, InvalidRequest, ModelInvalid, ModelMissing, ServiceUnavailable
from engines.events import OnEvent
from engines.languages import primary
from engines.protocols import LiveSession, SpeechEngine
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import Heard, SpeechModelInfo, Transcript, Unused
from engines.speech.model import UNKNOWN_LANGUAGE, check_usable, read_model_info

POLL_SECONDS = 0.05
"""How often a waiting caller looks at its cancel event."""


@dataclass(slots=True)
class _Loaded:
    """An engine in memory. `users`: calls that are in it now; `used`: when it was asked for last, as a count."""

    engine: SpeechEngine
    users: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True)
class _Leased:
    """A live session whose model stays in memory until it is closed."""

    session: LiveSession
    held: contextlib.ExitStack

    def accept(self, sound: bytes) -> Heard:
        return self.session.accept(sound)

    def flush(self) -> Heard:
        return self.session.flush()

    def close(self) -> None:
        self.held.close()


class LanguageEngine:
    """A SpeechEngine over the models of a folder. Thread-safe."""

    def __init__(
        self,
        default: Path,
        models_dir: Path | None,
        make: Callable[[Path], SpeechEngine],
        *,
        loaded: int = 2,
        how_to_get: Callable[[str], str] = lambda _: "",
    ) -> None:
        """Look at the folders, load nothing. Raises ModelMissing, ModelInvalid for the default one.

        `default`: the model of requests without a language; it need not be in `models_dir`. `make`: an engine over a
        model's folder. `loaded`: how many may be in memory at once; the least recently used makes room for another.
        `how_to_get`: the command that gets a model of a language, empty where there is none.
        """
        self._make = make
        self._models_dir = models_dir
        self._most = loaded
        self._how_to_get = how_to_get
        self._changed = Condition()
        self._loaded: dict[Path, _Loaded] = {}
        self._calls = 0
        self._closed = False
        self._default = default.resolve()
        check_usable(self._default)
        self._infos = {self._default: read_model_info(self._default)}
        self._look()

    @property
    def info(self) -> SpeechModelInfo:
        """Of the default model, with those of other folders that are there."""
        default, infos = self._default, self._infos  # in this order: see `adopt`
        return replace(infos[default], others=tuple(info for folder, info in infos.items() if folder != default))

    def load(self) -> None:
        """Load the default model; the others follow on demand."""
        with self._lease(self._default, Event()) as engine:
            engine.load()

    def adopt(self, folder: Path) -> None:
        """A model that has arrived: one of the demo model's language takes its place, any other serves its language.

        Loads it first, so that no request waits for it. Raises ModelMissing, ModelInvalid, and as loading does.
        """
        folder = folder.resolve()
        check_usable(folder)
        info, old = read_model_info(folder), self._infos[self._default]
        if not old.demo or primary(info.language) != primary(old.language):
            self._look()
            return
        with self._lease(folder, Event()) as engine:
            engine.load()
        # Before the default, so that whoever reads the default first finds it among them.
        self._infos = {folder: info, **self._infos}
        self._default = folder
        self._look()

    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        folder = self._folder_for(request.language)
        with self._changed:
            loaded = self._loaded.get(folder)
        # A new one loads nothing before it works, and takes no other's place for a question.
        with contextlib.nullcontext(loaded.engine) if loaded else contextlib.closing(self._make(folder)) as engine:
            return engine.check(request)

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        with self.engine_for(request.language, cancel) as engine:
            return engine.transcribe(request, file, on_event, cancel)

    def listen(self, request: ListenRequest, cancel: Event) -> LiveSession:
        with contextlib.ExitStack() as leased:
            engine = leased.enter_context(self.engine_for(request.language, cancel))
            session = engine.listen(request, cancel)
            leased.callback(session.close)
            return _Leased(session, leased.pop_all())

    def engine_for(self, language: str | None, cancel: Event) -> contextlib.AbstractContextManager[SpeechEngine]:
        """The engine of a language for the time of a block. Raises InvalidRequest where there is none; see `_lease`."""
        return self._lease(self._folder_for(language), cancel)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            engines = [loaded.engine for loaded in self._loaded.values()]
            self._loaded.clear()
            self._changed.notify_all()
        for engine in engines:
            engine.close()

    # -- which model

    def _folder_for(self, language: str | None) -> Path:
        """Raises InvalidRequest naming the languages that there are, and how to get this one."""
        found = self._find(language)
        if found is None:
            self._look()  # it may have been pulled since
            found = self._find(language)
        if found is not None:
            return found
        there_are = ", ".join(f"{info.language} ({info.name})" for info in self._infos.values())
        get = self._how_to_get(language or "")
        raise InvalidRequest(
            "language",
            f"Language {(language or '')[:40]!r} is not available here: there is {there_are}. Leave the language out"
            + (f", or get a model for it: {get}." if get else "."),
        )

    def _find(self, language: str | None) -> Path | None:
        """The default model if it fits; else that of the very region, else any of the language, else one that does not
        say which language it understands."""
        default, infos = self._default, self._infos  # in this order: see `adopt`
        if not language:
            return default
        exact = [
            folder for folder, info in infos.items() if info.language.lower() == language.lower().replace("_", "-")
        ]
        same = [folder for folder, info in infos.items() if primary(info.language) == primary(language)]
        if default in exact or (not exact and default in same):
            return default
        unknown = infos[default].language == UNKNOWN_LANGUAGE
        return next(iter((*exact, *same)), default if unknown else None)

    def _look(self) -> None:
        """See which models there are: of two of a language, the larger comes first, because it hears better."""
        found = {}
        for folder in self._models_dir.iterdir() if self._models_dir and self._models_dir.is_dir() else ():
            if folder.name.startswith("."):
                continue
            # What is no complete model is told by `launch.py models list` and `doctor`.
            with contextlib.suppress(ModelMissing, ModelInvalid, OSError):
                check_usable(folder)
                info = read_model_info(folder)
                if info.language != UNKNOWN_LANGUAGE:
                    found[folder.resolve()] = (info, _size(folder))
        largest_first = sorted(found, key=lambda folder: (-found[folder][1], folder.name))
        others = {folder: found[folder][0] for folder in largest_first if folder != self._default}
        self._infos = {self._default: self._infos[self._default], **others}

    # -- which are in memory

    @contextlib.contextmanager
    def _lease(self, folder: Path, cancel: Event) -> Iterator[SpeechEngine]:
        """The engine of a model for the time of the block. Waits while as many others as may be loaded are in use.

        Raises Cancelled, ModelMissing, ModelInvalid, and ServiceUnavailable when this is or gets closed.
        """
        loaded = self._take(folder, cancel)
        try:
            yield loaded.engine
        finally:
            with self._changed:
                loaded.users -= 1
                self._changed.notify_all()

    def _take(self, folder: Path, cancel: Event) -> _Loaded:
        gone: SpeechEngine | None = None
        with self._changed:
            while folder not in self._loaded:
                if self._closed:
                    raise ServiceUnavailable("The speech engine is shutting down: try again in a moment.")
                if cancel.is_set():
                    raise Cancelled
                idle = [path for path, loaded in self._loaded.items() if not loaded.users]
                if len(self._loaded) < self._most or idle:
                    if len(self._loaded) >= self._most:
                        gone = self._loaded.pop(min(idle, key=lambda path: self._loaded[path].used)).engine
                    self._loaded[folder] = _Loaded(self._make(folder))
                else:
                    self._changed.wait(POLL_SECONDS)
            taken = self._use(self._loaded[folder])
        if gone:
            gone.close()
        return taken

    def _use(self, loaded: _Loaded) -> _Loaded:
        self._calls += 1
        loaded.users += 1
        loaded.used = self._calls
        return loaded


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
