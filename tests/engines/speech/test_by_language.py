"""Several models behind one engine: which one hears a request, and which of them are in memory."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from engines.errors import Cancelled, InvalidRequest, ModelMissing, ServiceUnavailable
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import Heard, SpeechModelInfo, Transcript, Unused
from engines.speech.by_language import LanguageEngine
from engines.speech.model import read_model_info
from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.media import DATA, MODEL
from tests.serving import until

NEEDED = ("am/final.mdl", "graph/HCLr.fst", "conf/mfcc.conf")


def model(folder: Path, language: str, size: int = 1) -> Path:
    """A folder that looks like a Vosk model of a language."""
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(size))
    (folder / "studio.json").write_text(json.dumps({"name": folder.name, "language": language}))
    return folder


@dataclass
class Models:
    """Makes engines that say which model heard, and knows which are in memory."""

    gate: Event = field(default_factory=Event)
    open: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)

    def __call__(self, folder: Path) -> OneModel:
        return OneModel(self, read_model_info(folder))


@dataclass
class OneModel:
    """An engine over one model. It is in memory from its first transcript to its close."""

    models: Models
    info: SpeechModelInfo

    def load(self) -> None:
        if self.info.name not in self.models.open:
            self.models.open.append(self.info.name)

    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        """Takes all."""
        return ()

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: object, cancel: Event) -> Transcript:
        self.load()
        self.models.busy.append(self.info.name)
        while not self.models.gate.wait(0.01):
            if cancel.is_set():
                raise Cancelled
        self.models.busy.remove(self.info.name)
        name = self.info.name
        return Transcript(
            text="", segments=(), duration=0, language=self.info.language, engine=name, where="local", demo=False
        )

    def listen(self, request: ListenRequest, cancel: Event) -> OneSession:
        self.load()
        self.models.busy.append(self.info.name)
        return OneSession(self)

    def close(self) -> None:
        if self.info.name in self.models.open:
            self.models.open.remove(self.info.name)


@dataclass
class OneSession:
    """Hears nothing; its model is busy until it is closed."""

    engine: OneModel

    def accept(self, sound: bytes) -> Heard:
        return Heard(partial=self.engine.info.name)

    def flush(self) -> Heard:
        return Heard()

    def close(self) -> None:
        self.engine.models.busy.remove(self.engine.info.name)


@pytest.fixture
def models() -> Models:
    made = Models()
    made.gate.set()
    return made


Make = Callable[..., LanguageEngine]


@pytest.fixture
def make(tmp_path: Path, models: Models) -> Make:
    """An engine over English by default, and German, French and Indian English in the models' folder."""
    english = model(tmp_path / "english", "en-US")
    for name, language in (("german", "de"), ("french", "fr"), ("indian", "en-IN")):
        model(tmp_path / "models" / name, language)

    def made(**options: object) -> LanguageEngine:
        return LanguageEngine(english, tmp_path / "models", models, **options)  # type: ignore[arg-type]

    return made


def heard_by(engine: LanguageEngine, language: str | None) -> str:
    request = TranscribeRequest(language=language)
    engine.check(request)
    return engine.transcribe(request, Path("any"), lambda _: None, Event()).engine


@pytest.mark.parametrize(
    ("language", "name"),
    [
        (None, "english"),
        ("", "english"),
        ("auto", "english"),
        ("en", "english"),
        ("en-GB", "english"),
        ("en-IN", "indian"),
        ("en_in", "indian"),
        ("de", "german"),
        ("de-AT", "german"),
        ("French", "french"),
    ],
)
def test_the_language_picks_the_model(language: str | None, name: str, make: Make) -> None:
    assert heard_by(make(), language) == name


def test_info_is_the_defaults_and_names_the_others(make: Make) -> None:
    info = make().info
    assert (info.name, {other.language for other in info.others}) == ("english", {"de", "fr", "en-IN"})


def test_a_language_without_model_is_told_what_there_is_and_how_to_get_it(make: Make) -> None:
    engine = make(how_to_get=lambda language: f"`pull {language}`")
    with pytest.raises(InvalidRequest) as caught:
        engine.check(TranscribeRequest(language="it"))
    assert caught.value.field == "language"
    for part in ("'it'", "en-US (english)", "de (german)", "`pull it`"):
        assert part in str(caught.value)


def test_a_model_that_is_pulled_later_serves_the_next_request(make: Make, tmp_path: Path) -> None:
    engine = make()
    with pytest.raises(InvalidRequest):
        engine.check(TranscribeRequest(language="it"))
    model(tmp_path / "models" / "italian", "it")
    assert heard_by(engine, "it") == "italian"
    assert "it" in {other.language for other in engine.info.others}


def test_of_two_models_of_a_language_the_larger_hears(make: Make, tmp_path: Path) -> None:
    model(tmp_path / "models" / "big", "de", size=1000)
    assert heard_by(make(), "de") == "big"


def test_what_is_no_model_is_passed_over(make: Make, tmp_path: Path) -> None:
    (tmp_path / "models" / ".unpacking-x").mkdir()
    (tmp_path / "models" / "sdxl").mkdir()
    (tmp_path / "models" / "model.zip").write_bytes(b"")
    model(tmp_path / "models" / "nameless", "")
    assert len(make().info.others) == 3


def test_a_default_that_does_not_say_its_language_hears_what_no_other_does(tmp_path: Path, models: Models) -> None:
    model(tmp_path / "models" / "german", "de")
    engine = LanguageEngine(model(tmp_path / "mine", ""), tmp_path / "models", models)
    assert (heard_by(engine, "it"), heard_by(engine, "de")) == ("mine", "german")


def test_models_are_loaded_when_asked_for_and_the_least_recently_used_makes_room(make: Make, models: Models) -> None:
    engine = make(loaded=2)
    assert models.open == []
    engine.load()
    assert models.open == ["english"]
    heard_by(engine, "de")
    heard_by(engine, "en")
    assert models.open == ["english", "german"]
    heard_by(engine, "fr")
    assert models.open == ["english", "french"], "German was used longest ago"
    engine.check(TranscribeRequest(language="de"))
    assert models.open == ["english", "french"], "a question loads and unloads nothing"
    engine.close()
    assert models.open == []
    with pytest.raises(ServiceUnavailable):
        heard_by(engine, "en")


def test_a_model_in_use_is_not_unloaded_and_who_waits_can_cancel(make: Make, models: Models) -> None:
    engine = make(loaded=1)
    models.gate.clear()
    heard: list[str] = []
    threads = [
        threading.Thread(target=lambda language=language: heard.append(heard_by(engine, language)))
        for language in ("de", "fr")
    ]
    threads[0].start()
    until(lambda: models.busy == ["german"])
    threads[1].start()
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        engine.transcribe(TranscribeRequest(language="en"), Path("any"), lambda _: None, cancel)
    assert models.open == ["german"]
    models.gate.set()
    for thread in threads:
        thread.join()
    assert heard == ["german", "french"]
    assert models.open == ["french"]


def test_a_live_session_keeps_its_model_until_it_is_closed(make: Make, models: Models) -> None:
    engine = make(loaded=1)
    session = engine.listen(ListenRequest(sample_rate=16_000, language="de"), Event())
    assert session.accept(b"").partial == "german"
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        engine.transcribe(TranscribeRequest(language="fr"), Path("any"), lambda _: None, cancel)
    session.close()
    assert heard_by(engine, "fr") == "french"
    assert models.open == ["french"]


def test_a_missing_default_stops_the_start(tmp_path: Path, models: Models) -> None:
    with pytest.raises(ModelMissing):
        LanguageEngine(tmp_path / "nothing", None, models)


def test_two_real_models_hear_what_one_hears(tmp_path: Path, texts: dict[str, str]) -> None:
    german = shutil.copytree(MODEL, tmp_path / "models" / "german")
    (german / "studio.json").write_text(json.dumps({"name": "german", "language": "de"}))
    engine = LanguageEngine(MODEL, german.parent, lambda folder: VoskEngine(folder, workers=1), loaded=1)
    try:
        for language, name in (("de", "german"), ("en", "vosk-demo-en")):
            request = TranscribeRequest(language=language)
            transcript = engine.transcribe(request, DATA / "sentence.wav", lambda _: None, Event())
            assert (transcript.text, transcript.engine) == (texts["sentence.wav"], name)
    finally:
        engine.close()


def test_a_real_model_takes_the_place_of_the_demo_one_of_its_language(tmp_path: Path) -> None:
    demo = model(tmp_path / "demo", "en")
    (demo / "studio.json").write_text(json.dumps({"name": "demo", "language": "en", "demo": True}))
    models = Models()
    models.gate.set()
    engine = LanguageEngine(demo, tmp_path / "models", models)
    german = model(tmp_path / "models" / "german", "de")
    engine.adopt(german)
    assert engine.info.name == "demo"
    assert [other.name for other in engine.info.others] == ["german"]
    assert models.open == []
    engine.adopt(model(tmp_path / "models" / "real", "en-US"))
    assert engine.info.name == "real"
    assert [other.name for other in engine.info.others] == ["german"]
    # It is in memory before anybody asks, and hears those who ask by the demo model's language.
    assert models.open == ["real"]
    for language in (None, "en", "en-US"):
        heard = engine.transcribe(TranscribeRequest(language=language), tmp_path, print, Event())
        assert heard.engine == "real"
    engine.close()
