"""What is a model in ONNX's own: its layout, its tokens as words, what it cannot do, and its process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from threading import Event

import numpy as np
import onnx
import pytest

from engines import events
from engines.errors import InvalidRequest, ModelInvalid, ModelMissing
from engines.requests import ListenRequest, TranscribeRequest
from engines.results import Transcript
from engines.speech import model
from engines.speech.model import Layout, check_model_folder, check_usable
from engines.speech.onnx_engine import OnnxEngine
from engines.speech.pieces import SAMPLE_RATE
from engines.speech.utterances import Token, utterances
from tests.engines.speech.kinds import SAID, said
from tests.engines.speech.listening import model_process
from tests.engines.speech.media import DATA, MODEL, wav_bytes
from tests.engines.speech.tones import TIGHT, write
from tests.tiny_onnx import random_model, tone_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tone_model(tmp_path_factory.mktemp("models") / "tones")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[OnnxEngine]:
    with closing(OnnxEngine(folder, workers=2)) as engine:
        yield engine


def heard(engine: OnnxEngine, path: Path, **fields: object) -> Transcript:
    return engine.transcribe(TranscribeRequest.model_validate(fields), path, lambda _: None, Event())


def test_words_are_where_they_are_said(engine: OnnxEngine, tmp_path: Path) -> None:
    """In more than three pieces: each pause ends an utterance, and no cut moves, loses or doubles a word."""
    sentences = 20
    write(tmp_path / "a.wav", "wav", said(sentences))
    told: list[float] = []

    def on_event(event: events.Event) -> None:
        if isinstance(event, events.Progress):
            told.append(event.fraction)

    found = engine.transcribe(TranscribeRequest(), tmp_path / "a.wav", on_event, Event())
    assert told == sorted(told)
    assert len({fraction for fraction in told if 0 < fraction < 1}) >= 3, "progress comes with each piece"
    assert [segment.text for segment in found.segments] == [SAID] * sentences
    for number, segment in enumerate(found.segments):
        begins = number * 2.8
        wanted = [(begins + 0.4, begins + 1.3), (begins + 1.6, begins + 2.5)]
        for word, (start, end) in zip(segment.words, wanted, strict=True):
            assert word.start == pytest.approx(start, abs=TIGHT)
            assert word.end == pytest.approx(end, abs=2 * TIGHT)
            assert word.confidence > 0.99


def test_a_token_up_to_the_last_sample_is_heard(engine: OnnxEngine, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", "wav", said(1))
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: len(data) - int(1.0 * SAMPLE_RATE) * 2])
    found = heard(engine, tmp_path / "cut.wav")
    assert found.text == "carrot stu"
    assert found.words[-1].end == pytest.approx(found.duration, abs=TIGHT)


def test_sound_that_is_too_short_for_the_model_is_heard_without_a_fault(engine: OnnxEngine, tmp_path: Path) -> None:
    blink = np.full(SAMPLE_RATE // 50, 9000, np.int16).tobytes()
    with closing(engine.listen(ListenRequest(sample_rate=SAMPLE_RATE), Event())) as session:
        assert session.accept(blink).segments == session.flush().segments == ()
    path = tmp_path / "short.wav"
    path.write_bytes(wav_bytes(data=blink * 5))
    assert heard(engine, path).no_speech


def test_random_weights_give_words_in_order_and_nothing_breaks(tmp_path: Path) -> None:
    """The public model's shapes, its number of tokens and its description: none."""
    folder = random_model(tmp_path / "vosk-model-small-ru")
    with closing(OnnxEngine(folder)) as engine:
        found = heard(engine, DATA / "sentence.wav", language="ru")
        assert heard(engine, DATA / "sentence.wav") == found, "no chance is in it"
    assert (found.language, found.engine, found.demo) == ("ru", "vosk-model-small-ru", False)
    assert len(found.words) > 10
    assert all(0 < word.confidence <= 1 and word.end > word.start for word in found.words)
    assert all(one.start < other.start for one, other in pairwise(found.words))
    assert found.words[-1].end <= found.duration


@pytest.mark.parametrize("field", ["vocabulary", "speakers"])
def test_what_it_cannot_do_is_refused_with_the_way_out(engine: OnnxEngine, field: str) -> None:
    values = {"vocabulary": ["carrot"], "speakers": True}
    request = TranscribeRequest.model_validate({field: values[field]})
    with pytest.raises(InvalidRequest, match=f"Leave {field} out, or use") as caught:
        engine.check(request)
    assert caught.value.field == field
    with pytest.raises(InvalidRequest):
        engine.transcribe(request, DATA / "silence.wav", lambda _: None, Event())


def test_a_live_session_refuses_a_vocabulary_too(engine: OnnxEngine) -> None:
    with pytest.raises(InvalidRequest, match="takes no vocabulary"):
        engine.listen(ListenRequest(sample_rate=16_000, vocabulary=("carrot",)), Event())


def test_the_layout_tells_who_runs_a_model(folder: Path, tmp_path: Path) -> None:
    assert check_model_folder(folder) is Layout.ONNX
    assert check_model_folder(MODEL) is Layout.KALDI
    small = shutil.copytree(folder, tmp_path / "int8")
    for part in ("encoder", "decoder", "joiner"):
        (small / "am" / f"{part}.onnx").rename(small / "am" / f"{part}.int8.onnx")
    assert check_model_folder(small) is Layout.ONNX
    with closing(OnnxEngine(small)) as engine:
        assert heard(engine, DATA / "silence.wav").no_speech


@pytest.mark.parametrize("missing", ["am/encoder.onnx", "am/joiner.onnx", "lang/tokens.txt"])
def test_an_incomplete_model_is_refused_before_anything_starts(folder: Path, tmp_path: Path, missing: str) -> None:
    less = shutil.copytree(folder, tmp_path / "model")
    (less / missing).unlink()
    with pytest.raises(ModelInvalid, match=f"{Path(missing).name} must be in exactly one"):
        OnnxEngine(less)


def test_without_its_packages_the_command_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "ONNX_PACKAGES", ("onnx_asr", "no_such_package"))
    with pytest.raises(ModelMissing, match=r"pip install -r requirements-onnx\.txt"):
        OnnxEngine(folder)
    check_model_folder(folder)
    check_usable(MODEL)


def streaming(encoder: onnx.ModelProto) -> None:
    """As the publisher's streaming models are: with a state that comes in and goes out."""
    state = onnx.helper.make_tensor_value_info("cached_key_0", onnx.TensorProto.FLOAT, [1])
    encoder.graph.input.append(state)


def test_a_streaming_model_is_refused_by_its_make(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "model")
    encoder = onnx.load(str(other / "am" / "encoder.onnx"))
    streaming(encoder)
    onnx.save(encoder, str(other / "am" / "encoder.onnx"))
    with closing(OnnxEngine(other)) as engine, pytest.raises(ModelInvalid, match="streaming") as caught:
        engine.load()
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content"), [("am/encoder.onnx", b"nonsense"), ("am/joiner.onnx", b""), ("lang/tokens.txt", b"a\nb\n")]
)
def test_a_damaged_model_is_an_error_and_not_a_crash(folder: Path, tmp_path: Path, file: str, content: bytes) -> None:
    damaged = shutil.copytree(folder, tmp_path / "model")
    (damaged / file).write_bytes(content)
    with closing(OnnxEngine(damaged)) as engine, pytest.raises(ModelInvalid, match="fetch it again") as caught:
        engine.load()
    assert str(tmp_path) not in str(caught.value)


def test_its_process_has_one_thread_so_that_it_may_fork(engine: OnnxEngine) -> None:
    engine.load()
    status = (Path("/proc") / str(model_process(engine)) / "status").read_text()
    assert "\nThreads:\t1\n" in status


# Tokens as words


def loud(*parts: tuple[float, int]) -> bytes:
    """(seconds, level) after one another."""
    return b"".join(np.full(round(seconds * SAMPLE_RATE), level, np.int16).tobytes() for seconds, level in parts)


def words_of(tokens: list[Token], sound: bytes) -> list[list[tuple[str, float, float]]]:
    return [
        [(word["word"], round(word["start"], 2), round(word["end"], 2)) for word in words]
        for words in utterances(tokens, sound)
    ]


def test_a_word_ends_where_it_becomes_quiet_or_the_next_begins() -> None:
    tokens = [Token(" good", 0.2, -0.1), Token(" mor", 0.6, -0.1), Token("ning", 0.8, -0.3), Token(" you", 2.0, -0.1)]
    sound = loud((0.2, 0), (0.9, 9000), (0.9, 0), (0.3, 9000), (0.4, 0))
    assert words_of(tokens, sound) == [[("good", 0.2, 0.6), ("morning", 0.6, 1.11)], [("you", 2.0, 2.31)]]


def test_a_word_before_a_long_noise_ends_before_long() -> None:
    assert words_of([Token(" yes", 1.0, 0.0)], loud((1.0, 0), (3.0, 9000))) == [[("yes", 1.0, 1.64)]]


def test_confidence_is_the_mean_of_the_parts() -> None:
    [[word]] = utterances([Token(" a", 0.1, np.log(0.5)), Token("b", 0.2, np.log(0.125))], loud((1.0, 900)))
    assert word["conf"] == pytest.approx(0.25)


def test_marks_and_empty_tokens_are_no_words() -> None:
    tokens = [Token(" ", 0.1, 0.0), Token("<unk>", 0.2, 0.0), Token("da", 0.3, 0.0), Token(" ", 0.4, 0.0)]
    assert [[word[0] for word in words] for words in words_of(tokens, loud((1.0, 900)))] == [["da"]]


def test_a_token_that_comes_late_stays_inside_the_sound() -> None:
    [[one, two]] = words_of([Token(" a", 0.9, 0.0), Token(" b", 1.3, 0.0)], loud((1.0, 900)))
    assert one[1] <= two[1] < two[2] <= 1.0
