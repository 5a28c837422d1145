"""The remote engine: against our own service over real HTTP, and against one that misbehaves."""

from __future__ import annotations

import asyncio
import email.utils
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from app.jobs.errors import QueueFull
from engines import events
from engines.errors import Cancelled, InvalidMedia, InvalidRequest, ModelMissing, ServiceUnavailable, StudioError
from engines.events import OnEvent, Progress, SegmentHeard
from engines.protocols import LiveSession
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import Segment, SpeechModelInfo, Transcript, Unused, Word
from engines.speech.cloud_run import CallOptions, CloudRunEngine
from engines.speech.vosk_engine import VoskEngine
from tests.app.http.test_transcriber import transcriber
from tests.engines.speech.media import DATA, MODEL, repeated
from tests.engines.speech.processes import eventually
from tests.engines.speech.scripted_server import GOOD, Answer, scripted
from tests.small_engines import EchoSpeech

FAST = CallOptions(backoff=0.01)
IMPATIENT = CallOptions(backoff=0.01, read_timeout=2.0)
SENTENCE = DATA / "sentence.ogg"


class Local:
    """A fall-back that says one word."""

    def __init__(self) -> None:
        self.calls = 0
        self.closed = False

    info = SpeechModelInfo("local-model", "Local", False, "en", "local")

    def load(self) -> None:
        """Nothing to load."""

    def check(self, request: TranscribeRequest | ListenRequest) -> tuple[Unused, ...]:
        """Takes everything."""
        return ()

    def transcribe(self, request: TranscribeRequest, file: Path, on_event: OnEvent, cancel: Event) -> Transcript:
        self.calls += 1
        word = Word(word="local", start=0.0, end=1.0, confidence=1.0)
        segment = Segment(text="local", start=0.0, end=1.0, words=(word,))
        on_event(SegmentHeard(segment))
        return Transcript(
            text="local",
            segments=(segment,),
            duration=1.0,
            language="en",
            engine="local-model",
            where="local",
            demo=False,
        )

    def listen(self, request: ListenRequest, cancel: Event) -> LiveSession:
        return EchoSpeech().listen(request, cancel)

    def close(self) -> None:
        self.closed = True


class Waits:
    """Notes how long the engine wanted to sleep, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def ask(engine: CloudRunEngine, file: Path = SENTENCE, **fields: str) -> Transcript:
    request = TranscribeRequest.model_validate({"filename": "voice message.ogg", **fields})
    return engine.transcribe(request, file, ignore, Event())


def listen(engine: CloudRunEngine, file: Path = SENTENCE) -> tuple[Transcript, tuple[Segment, ...]]:
    """The transcript, and the segments that were told of."""
    told: list[events.Event] = []
    transcript = engine.transcribe(TranscribeRequest(), file, told.append, Event())
    return transcript, tuple(event.segment for event in told if isinstance(event, SegmentHeard))


def ignore(event: events.Event) -> None:
    """For tests that do not look at events."""


# Our own service ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with transcriber(VoskEngine(MODEL, workers=1), api_tokens="a-token-for-the-tests") as (url, _):
        headers = {"Authorization": "Bearer a-token-for-the-tests"}
        while httpx.get(f"{url}/health", headers=headers).status_code != 200:
            time.sleep(0.05)
        yield url


class Token(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


@pytest.fixture
def remote(service: str) -> CloudRunEngine:
    return CloudRunEngine(service, auth=Token("a-token-for-the-tests"))


def test_the_service_gives_what_the_engine_gives(remote: CloudRunEngine, engine: VoskEngine) -> None:
    here = engine.transcribe(TranscribeRequest(), DATA / "longer.wav", ignore, Event())
    there = ask(remote, DATA / "longer.wav", filename="longer.wav", language="en")
    assert there.where == "cloud-run"
    # The service's text has a line for each paragraph.
    assert (there.text.split(), there.language, there.engine, there.demo, there.note) == (
        here.text.split(),
        here.language,
        here.engine,
        here.demo,
        here.note,
    )
    assert there.duration == pytest.approx(here.duration, abs=0.001)
    assert [segment.text for segment in there.segments] == [segment.text for segment in here.segments]
    for mine, its in zip(here.segments, there.segments, strict=True):
        assert [word.word for word in mine.words] == [word.word for word in its.words]
        for one, other in zip(mine.words, its.words, strict=True):
            assert (other.start, other.end) == pytest.approx((one.start, one.end), abs=0.001)
            assert other.confidence == pytest.approx(one.confidence, abs=0.0001)


def test_loading_learns_the_services_model(remote: CloudRunEngine) -> None:
    assert remote.info.where == "cloud-run"
    remote.load()
    assert (remote.info.name, remote.info.demo, remote.info.language) == ("vosk-demo-en", True, "en")
    with pytest.raises(InvalidRequest, match="'de' is not available"):
        remote.check(TranscribeRequest(language="de"))


def test_no_speech_comes_through(remote: CloudRunEngine) -> None:
    assert ask(remote, DATA / "silence.wav").no_speech


def test_a_bad_file_is_the_callers_error_and_stays_one(remote: CloudRunEngine, tmp_path: Path) -> None:
    path = tmp_path / "text.wav"
    path.write_text("not sound at all\n" * 20)
    with pytest.raises(InvalidMedia, match="cannot be read as sound or video") as caught:
        ask(remote, path)
    assert caught.value.field == "file"


def test_a_bad_language_names_its_field(remote: CloudRunEngine) -> None:
    with pytest.raises(InvalidRequest, match="'de' is not available") as caught:
        ask(remote, language="de")
    assert caught.value.field == "language"
    assert not isinstance(caught.value, InvalidMedia)


def test_a_wrong_token_falls_back_and_says_so(service: str) -> None:
    transcript = ask(CloudRunEngine(service, Local(), auth=Token("wrong")))
    assert transcript.where == "local"
    assert "credentials (401)" in transcript.note


def test_progress_counts_the_upload(remote: CloudRunEngine) -> None:
    progress: list[Progress] = []

    def on_event(event: events.Event) -> None:
        if isinstance(event, Progress):
            progress.append(event)

    remote.transcribe(TranscribeRequest(), SENTENCE, on_event, Event())
    size = SENTENCE.stat().st_size
    assert (progress[-1].stage, progress[-1].step, progress[-1].total) == ("upload", size, size)
    assert [item.fraction for item in progress] == sorted(item.fraction for item in progress)


# A service that misbehaves --------------------------------------------------------------------------------------------


def test_the_request_is_openais(engine: VoskEngine) -> None:
    with scripted(Answer()) as script:
        transcript = ask(CloudRunEngine(f"{script.url}/"), filename='a "b".ogg', language="en")
    (body,) = script.bodies
    for part in (b'name="file"; filename="a %22b%22.ogg"', b"verbose_json", b'name="timestamp_granularities[]"', b"en"):
        assert part in body
    assert SENTENCE.read_bytes() in body
    assert [segment.text for segment in transcript.segments] == ["from the", "cloud"]
    assert [[word.word for word in segment.words] for segment in transcript.segments] == [["from", "the"], ["cloud"]]
    assert transcript.words[2] == Word(word="cloud", start=1.2, end=1.6, confidence=0.7)


@pytest.mark.parametrize(
    "first", [Answer(429), Answer(500), Answer(502), Answer(503), Answer(504), Answer(fail="cut"), Answer(fail="half")]
)
def test_passing_trouble_is_tried_again(first: Answer) -> None:
    waits, local = Waits(), Local()
    with scripted(first, Answer()) as script:
        transcript = ask(CloudRunEngine(script.url, local, options=FAST, sleep=waits))
    assert (transcript.text, transcript.where, transcript.note) == ("from the cloud", "cloud-run", "")
    assert len(script.bodies) == 2
    # The second try sends the whole file again, not the rest of it.
    assert all(SENTENCE.read_bytes() in body for body in script.bodies)
    assert len(waits.seconds) == 1
    assert local.calls == 0


def test_waits_grow_and_are_bounded() -> None:
    waits = Waits()
    options = CallOptions(max_retries=6, backoff=1.0, max_wait=5.0)
    with scripted(Answer(503)) as script, pytest.raises(ServiceUnavailable, match="answered 503"):
        ask(CloudRunEngine(script.url, options=options, sleep=waits))
    assert len(script.bodies) == 7
    for attempt, seconds in enumerate(waits.seconds):
        assert min(2**attempt / 2, 5.0) <= seconds <= min(2**attempt, 5.0)


@pytest.mark.parametrize(
    ("value", "wait"),
    [("3", 3.0), ("3600", 30.0), (email.utils.formatdate(1_000_004, usegmt=True), 4.0), ("soon", 0.01), ("-5", 0.01)],
)
def test_retry_after_is_honoured_within_bounds(value: str, wait: float) -> None:
    waits = Waits()
    with scripted(Answer(429, headers={"Retry-After": value}), Answer()) as script:
        ask(CloudRunEngine(script.url, options=FAST, sleep=waits, now=lambda: 1_000_000.0))
    assert waits.seconds == [pytest.approx(wait, rel=0.5 if wait < 1 else 0.001)]


@pytest.mark.parametrize(
    ("answer", "tries", "words"),
    [
        (Answer(503), 3, "answered 503"),
        (Answer(fail="cut"), 3, "closed the connection"),
        (Answer(fail="hang"), 1, "did not answer in time"),
        (Answer(404), 1, "answered 404"),
        (Answer(413), 1, "files of this size"),
        (Answer(400, body=b"<html>proxy</html>"), 1, "answered 400"),
        (Answer(302, headers={"Location": "http://127.0.0.1:1/"}), 1, "answered 302"),
        (Answer(200, body=b"<html>hello</html>"), 1, "something other than a transcript"),
        (Answer(200, body={"text": "no times"}), 1, "something other than a transcript"),
        (Answer(200, body={**GOOD, "words": [{"word": 1}]}), 1, "something other than a transcript"),
        (Answer(200, body=[]), 1, "something other than a transcript"),
    ],
)
def test_lasting_trouble_goes_to_the_local_engine(answer: Answer, tries: int, words: str) -> None:
    local = Local()
    # A busy machine is slow to answer too: only the hang is worth a short patience.
    options = IMPATIENT if answer.fail == "hang" else FAST
    with scripted(answer) as script:
        transcript = ask(CloudRunEngine(script.url, local, options=options, sleep=Waits()))
        assert len(script.bodies) == tries
        with pytest.raises(ServiceUnavailable) as caught:
            ask(CloudRunEngine(script.url, options=options, sleep=Waits()))
    assert (transcript.text, transcript.where, transcript.engine) == ("local", "local", "local-model")
    assert words in transcript.note
    assert "local engine" in transcript.note
    assert words in str(caught.value)
    assert local.calls == 1


def test_the_services_segments_are_told_once_in_order() -> None:
    with scripted(Answer(503), Answer()) as script:
        transcript, heard = listen(CloudRunEngine(script.url, Local(), options=FAST, sleep=Waits()))
    assert heard == transcript.segments
    assert [segment.text for segment in heard] == ["from the", "cloud"]


def test_the_local_engines_segments_are_told_once() -> None:
    with scripted(Answer(503)) as script:
        transcript, heard = listen(CloudRunEngine(script.url, Local(), options=FAST, sleep=Waits()))
    assert heard == transcript.segments
    assert [segment.text for segment in heard] == ["local"]


def test_nobody_at_home_goes_to_the_local_engine() -> None:
    waits = Waits()
    with scripted(Answer()) as script:
        url = script.url
    transcript = ask(CloudRunEngine(url, Local(), options=FAST, sleep=waits))
    assert transcript.where == "local"
    assert len(waits.seconds) == 2


@pytest.mark.parametrize(
    ("status", "kind", "error"), [(422, "invalid_media", InvalidMedia), (400, "x", InvalidRequest)]
)
def test_a_refusal_is_passed_on(status: int, kind: str, error: type[StudioError]) -> None:
    local = Local()
    body = {"error": {"type": kind, "message": "The file is broken. " + "x" * 1000, "field": "file"}}
    with scripted(Answer(status, body=body)) as script, pytest.raises(error, match="The file is broken") as caught:
        ask(CloudRunEngine(script.url, local, options=FAST, sleep=Waits()))
    assert len(str(caught.value)) <= 500
    assert (len(script.bodies), local.calls) == (1, 0)


def test_a_file_too_large_for_the_service_is_not_even_sent() -> None:
    with scripted(Answer()) as script:
        transcript = ask(CloudRunEngine(script.url, Local(), options=CallOptions(max_upload_bytes=1000)))
    assert transcript.where == "local"
    assert script.bodies == []


@pytest.mark.parametrize("content", [None, b""])
def test_a_missing_or_empty_file_is_the_callers_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.wav"
    if content is not None:
        path.write_bytes(content)
    with scripted(Answer()) as script, pytest.raises(InvalidMedia):
        ask(CloudRunEngine(script.url, Local()), path)
    assert script.bodies == []


@pytest.mark.parametrize("answer", [Answer(fail="hang"), Answer(503, headers={"Retry-After": "60"})])
def test_cancel_is_prompt_in_the_wait_for_the_answer_and_between_tries(answer: Answer) -> None:
    local, cancel = Local(), Event()
    options = CallOptions(read_timeout=60.0, max_wait=60.0)
    with scripted(answer) as script:
        cancelled_at: list[float] = []

        def cancel_later() -> None:
            eventually(lambda: bool(script.bodies))
            time.sleep(0.3)
            cancelled_at.append(time.monotonic())
            cancel.set()

        canceller = threading.Thread(target=cancel_later)
        canceller.start()
        with pytest.raises(Cancelled):
            CloudRunEngine(script.url, local, options=options).transcribe(TranscribeRequest(), SENTENCE, ignore, cancel)
        assert time.monotonic() - cancelled_at[0] < 1.5
        canceller.join()
        assert len(script.bodies) == 1
        if answer.fail:
            # The service learns of it too, and can stop.
            assert script.hung_up.wait(2)
    assert local.calls == 0


def test_close_closes_the_fall_back() -> None:
    local = Local()
    CloudRunEngine("http://127.0.0.1:1", local).close()
    assert local.closed


def test_a_service_that_is_away_does_not_stop_the_load() -> None:
    engine = CloudRunEngine("http://127.0.0.1:1", Local())
    engine.load()
    assert engine.info.language == "en"


# What the service has and this machine has not ------------------------------------------------------------------------


class French(Local):
    """A fall-back for two languages."""

    info = SpeechModelInfo(
        "local-en", "Local", False, "en", "local", (SpeechModelInfo("local-fr", "French", False, "fr", "local"),)
    )


def polyglot(posted: list[bytes], *, models: bool = True) -> httpx.MockTransport:
    """A service for English and German, which tells of both if `models`, and refuses other languages."""
    known = [{"name": f"cloud-{code}", "label": code, "demo": False, "language": code} for code in ("en", "de")]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/health":
            if not models:
                return httpx.Response(503)
            return httpx.Response(200, json={"model": known[0], "speech_models": known})
        posted.append(request.content)
        if b"\r\n\r\nfr\r\n" in request.content:
            told = {"type": "invalid_request", "message": "Language 'fr' is not available here.", "field": "language"}
            return httpx.Response(422, json={"error": told})
        warning = {"field": "vocabulary", "message": "The speech model does not know 'xyz'."}
        return httpx.Response(200, json={**GOOD, "warnings": [warning] if b"vocabulary" in request.content else []})

    return httpx.MockTransport(answer)


def test_a_language_goes_to_whoever_has_it() -> None:
    posted: list[bytes] = []
    engine = CloudRunEngine("http://service", French(), transport=polyglot(posted))
    engine.load()
    assert [(one.language, one.where) for one in (engine.info, *engine.info.others)] == [
        ("en", "cloud-run"),
        ("de", "cloud-run"),
        ("fr", "local"),
    ]
    assert ask(engine, language="de").where == "cloud-run"
    assert len(posted) == 1
    here = ask(engine, language="fr-CA")
    assert (here.where, len(posted)) == ("local", 1)
    assert (
        here.note == "The transcription service has no model for 'fr-CA', so this was transcribed by the local engine."
    )
    with pytest.raises(InvalidRequest, match="'it' is not available"):
        engine.check(TranscribeRequest(language="it"))


def test_a_service_that_has_not_told_its_languages_may_refuse_one_and_it_is_heard_here() -> None:
    posted: list[bytes] = []
    engine = CloudRunEngine("http://service", French(), transport=polyglot(posted, models=False))
    engine.load()
    here = ask(engine, language="fr")
    assert (here.where, len(posted)) == ("local", 1)
    assert "has no model for 'fr'" in here.note
    with pytest.raises(InvalidRequest, match="'fr' is not available here"):
        ask(CloudRunEngine("http://service", Local(), transport=polyglot(posted)), language="fr")


def test_speakers_are_told_apart_here() -> None:
    posted: list[bytes] = []
    engine = CloudRunEngine("http://service", Local(), transport=polyglot(posted))
    here = engine.transcribe(TranscribeRequest(speakers=True), SENTENCE, ignore, Event())
    assert here.note == "Speakers are told apart on this machine, so this was transcribed by the local engine."
    assert posted == []
    with pytest.raises(ModelMissing):
        CloudRunEngine("http://service").check(TranscribeRequest(speakers=True))


def test_a_vocabulary_goes_along_and_what_the_service_says_of_it_comes_back() -> None:
    posted: list[bytes] = []
    engine = CloudRunEngine("http://service", transport=polyglot(posted))
    request = TranscribeRequest(vocabulary=("hello there", "xyz"))
    there = engine.transcribe(request, SENTENCE, ignore, Event())
    assert there.note == "The transcription service: The speech model does not know 'xyz'."
    assert posted[0].count(b'name="vocabulary"') == 2
    assert b"\r\n\r\nhello there\r\n" in posted[0]


# Long files, piece by piece ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repeated(tmp_path_factory.mktemp("pieces") / "long.wav", DATA / "longer.wav", 3)


def in_order(transcript: Transcript) -> bool:
    starts = [word.start for word in transcript.words]
    return starts == sorted(starts)


def test_a_long_file_goes_by_pieces_and_comes_back_whole(service: str, engine: VoskEngine, two_minutes: Path) -> None:
    here = engine.transcribe(TranscribeRequest(), two_minutes, ignore, Event())
    # As many at once as the service takes with one core.
    options = CallOptions(at_once=2)
    remote = CloudRunEngine(service, engine, auth=Token("a-token-for-the-tests"), options=options)
    there, heard = listen(remote, two_minutes)
    assert (there.where, there.note, there.engine) == ("cloud-run", here.note, here.engine)
    assert (there.text, there.duration) == (here.text, here.duration)
    assert "".join(segment.text for segment in heard) == "".join(segment.text for segment in there.segments)
    alone = each_by_itself(engine, two_minutes)
    assert len(alone) == len(there.words)
    for one, other in zip(alone, there.words, strict=True):
        assert (other.start, other.end) == pytest.approx((one.start, one.end), abs=0.001)


def each_by_itself(engine: VoskEngine, path: Path) -> list[Word]:
    """The words of a file as recognisers hear them that know one piece each, which is what a service's do."""
    request, words = TranscribeRequest(), list[Word]()
    for cut in engine.read(path, ahead=100).cuts(Event()):
        told: list[dict[str, Any]] = []
        with closing(cut), engine.recogniser(request) as recogniser:
            recogniser.recognise(cut, told.append, Event())
        for message in told:
            if message["event"] == "segment" and (segment := engine.segment(message["words"], cut.begins)):
                words += segment.words
    return words


AFTER_THE_LEAD = GOOD | {
    "segments": [{"text": "from the", "start": 8.0, "end": 9.0}, {"text": "cloud", "start": 9.2, "end": 9.6}],
    "words": [{**word, "start": 8.0 + word["start"], "end": 8.0 + word["end"]} for word in GOOD["words"]],
}


def test_words_before_a_piece_that_are_sent_with_it_are_told_once(engine: VoskEngine, two_minutes: Path) -> None:
    """A service of another make, which says the same of each: what it says of the seconds before a piece is dropped."""
    without_words = GOOD | {"words": []}
    for body in (GOOD, without_words):
        with scripted(Answer(body=body)) as script:
            transcript = ask(CloudRunEngine(script.url, engine), two_minutes)
            assert len(script.bodies) > 2
        assert transcript.text == "from the cloud"
    over_the_cut = GOOD | {
        "segments": [{"text": "from the cloud", "start": 5.0, "end": 7.0}],
        "words": [
            {"word": "from", "start": 5.0, "end": 5.4, "confidence": 0.9},
            {"word": "the", "start": 5.6, "end": 6.2, "confidence": 0.8},
            {"word": "cloud", "start": 6.4, "end": 7.0, "confidence": 0.7},
        ],
    }
    with scripted(Answer(body=over_the_cut)) as script:
        transcript = ask(CloudRunEngine(script.url, engine), two_minutes)
    assert [segment.text for segment in transcript.segments] == [
        "from the cloud",
        *["cloud"] * (len(script.bodies) - 1),
    ]
    second = transcript.segments[1]
    assert (second.start, second.end) == (second.words[0].start, second.words[-1].end)


def test_pieces_are_small_flac_and_are_with_the_service_at_once(engine: VoskEngine, two_minutes: Path) -> None:
    with scripted(Answer(body=AFTER_THE_LEAD)) as script:
        transcript = ask(CloudRunEngine(script.url, engine), two_minutes)
    assert len(script.bodies) > 2
    assert all(b"fLaC" in body for body in script.bodies)
    assert sum(map(len, script.bodies)) < two_minutes.stat().st_size
    assert transcript.text == " ".join(["from the cloud"] * len(script.bodies))
    assert in_order(transcript)
    assert transcript.words[-1].start > 60


def test_what_an_instance_has_no_room_for_is_sent_again_when_it_asks(
    service: str, engine: VoskEngine, two_minutes: Path
) -> None:
    """Our own service on one core takes two pieces, and answers the others 503 with Retry-After."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0.2)

    options = CallOptions(at_once=10, busy_seconds=1e6)
    remote = CloudRunEngine(service, engine, auth=Token("a-token-for-the-tests"), options=options, sleep=wait)
    transcript = ask(remote, two_minutes)
    assert transcript.where == "cloud-run"
    assert "local engine" not in transcript.note
    assert in_order(transcript)
    assert waits
    assert {*waits} == {QueueFull.retry_after}


def test_a_service_that_stays_busy_is_given_up_in_the_end() -> None:
    waits = Waits()
    options = CallOptions(busy_seconds=65.0, backoff=0.01)
    with scripted(Answer(503, headers={"Retry-After": "20"})) as script:
        transcript = ask(CloudRunEngine(script.url, Local(), options=options, sleep=waits))
    assert waits.seconds == [20.0, 20.0, 20.0]
    assert (transcript.where, len(script.bodies)) == ("local", 4)
    assert "is busy, so this was" in transcript.note


def test_a_piece_that_the_service_does_not_manage_is_recognised_here(engine: VoskEngine, two_minutes: Path) -> None:
    # One at a time, so that it is known which piece gets which answer: the second fails with all its tries.
    options = CallOptions(backoff=0.01, at_once=1)
    good = Answer(body=AFTER_THE_LEAD)
    with scripted(good, Answer(503), Answer(503), Answer(503), good) as script:
        transcript, heard = listen(CloudRunEngine(script.url, engine, options=options, sleep=Waits()), two_minutes)
    pieces = len(script.bodies) - 2
    assert f"answered 503, so 1 of {pieces} pieces" in transcript.note
    assert transcript.where == "cloud-run"
    assert transcript.text.count("from the cloud") == pieces - 1
    assert len(transcript.words) > 3 * pieces
    assert in_order(transcript)
    assert [segment.text for segment in heard] == [segment.text for segment in transcript.segments]


@pytest.mark.parametrize(("answer", "tries"), [(Answer(503), 6), (Answer(401), 1)])
def test_a_service_that_is_away_is_not_asked_for_every_piece(
    engine: VoskEngine, two_minutes: Path, answer: Answer, tries: int
) -> None:
    here = engine.transcribe(TranscribeRequest(), two_minutes, ignore, Event())
    options = CallOptions(backoff=0.01, at_once=1)
    with scripted(answer) as script:
        transcript = ask(CloudRunEngine(script.url, engine, options=options, sleep=Waits()), two_minutes)
        assert len(script.bodies) == tries
    assert (transcript.text, transcript.where) == (here.text, "local")
    assert "so this was transcribed by the local engine" in transcript.note


def test_a_file_beyond_the_services_limit_is_sent_by_pieces(engine: VoskEngine, two_minutes: Path) -> None:
    options = CallOptions(max_upload_bytes=2_000_000)
    with scripted(Answer()) as script:
        transcript = ask(CloudRunEngine(script.url, engine, options=options), two_minutes)
    assert transcript.where == "cloud-run"
    assert all(len(body) < options.max_upload_bytes for body in script.bodies)


def test_cancel_is_prompt_while_pieces_are_away(engine: VoskEngine, two_minutes: Path) -> None:
    cancel = Event()
    with scripted(Answer(fail="hang")) as script:
        cancelled_at: list[float] = []

        def cancel_later() -> None:
            eventually(lambda: bool(script.bodies))
            cancelled_at.append(time.monotonic())
            cancel.set()

        canceller = threading.Thread(target=cancel_later)
        canceller.start()
        with pytest.raises(Cancelled):
            CloudRunEngine(script.url, engine).transcribe(TranscribeRequest(), two_minutes, ignore, cancel)
        assert time.monotonic() - cancelled_at[0] < 1.5
        canceller.join()
