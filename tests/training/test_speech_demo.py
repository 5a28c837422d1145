"""The built-in speech model as it ships, and the parts of its recipe that need no synthesiser."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import vosk
from numpy.typing import NDArray

from engines.speech.model import check_model_folder, read_model_info
from training import make_speech_fixtures
from training.speech_demo import graph, kaldi, voices
from training.speech_demo.align import align, path_of
from training.speech_demo.corpus import Utterance
from training.speech_demo.corpus import load as load_utterances
from training.speech_demo.corpus import save as save_utterances
from training.speech_demo.evaluate import errors_between, open_model, score, transcribe
from training.speech_demo.export import MFCC_CONF, affine_layers
from training.speech_demo.frames import COEFFICIENTS, SUBSAMPLING, labels_from_spans, output_times
from training.speech_demo.network import CONTEXT, Network, padded
from training.speech_demo.vocabulary import (
    OTHER_WORDS,
    SENTENCES,
    UNKNOWN,
    WORDS,
    draw_text,
    draw_text_with_unknown_words,
    in_vocabulary,
    phone_names,
    read_lexicon,
    with_unknown_words,
)
from training.speech_demo.workfolder import claim

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models" / "vosk-demo-en"
SPEECH = ROOT / "tests" / "data" / "speech"
SPOKEN: dict[str, str] = json.loads((SPEECH / "sentences.json").read_text(encoding="utf-8"))


def samples_of(path: Path) -> NDArray[np.int16]:
    """An audio file as 16 kHz mono."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16000)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.fixture(scope="module")
def model() -> vosk.Model:
    return open_model(str(SHIPPED))


# The model as it ships.


@pytest.mark.parametrize("name", sorted(SPOKEN))
def test_shipped_model_hears_every_fixture_right(name: str, model: vosk.Model) -> None:
    assert transcribe(model, samples_of(SPEECH / name)) == SPOKEN[name]


@pytest.mark.parametrize("level", [0, 1, 30, 1000])
def test_noise_of_any_level_is_no_words(level: int, model: vosk.Model) -> None:
    noise = np.random.default_rng(level).normal(0, level, 3 * 16000)
    assert transcribe(model, noise.astype(np.int16)) in ("", UNKNOWN)


def test_same_audio_gives_the_same_text_and_times_twice(model: vosk.Model) -> None:
    data = samples_of(SPEECH / "sentence.wav").tobytes()
    results = []
    for _ in range(2):
        recognizer = vosk.KaldiRecognizer(model, 16000)
        recognizer.SetWords(True)
        recognizer.AcceptWaveform(data)
        results.append(json.loads(recognizer.FinalResult()))
    assert results[0] == results[1]


def test_words_come_in_order_within_the_audio_and_with_confidences(model: vosk.Model) -> None:
    samples = samples_of(SPEECH / "sentence.wav")
    recognizer = vosk.KaldiRecognizer(model, 16000)
    recognizer.SetWords(True)
    recognizer.AcceptWaveform(samples.tobytes())
    words = json.loads(recognizer.FinalResult())["result"]
    times = [time for word in words for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 0.1 < times[0] < 0.5  # 0.2 s of silence come first
    assert times[-1] < len(samples) / 16000
    assert all(0 < word["conf"] <= 1 for word in words)


def test_grammar_at_run_time_narrows_the_words(model: vosk.Model) -> None:
    recognizer = vosk.KaldiRecognizer(model, 16000, json.dumps(["one two three", UNKNOWN]))
    recognizer.AcceptWaveform(samples_of(SPEECH / "digits.wav").tobytes())
    heard = json.loads(recognizer.FinalResult())["text"].split()
    assert {"one", "two", "three"} <= set(heard) <= {"one", "two", "three", UNKNOWN}


def test_shipped_folder_says_that_it_is_a_demo() -> None:
    check_model_folder(SHIPPED)
    info = read_model_info(SHIPPED)
    assert info.demo
    assert info.label.startswith("Demo")
    assert info.language == "en"
    assert json.loads((SHIPPED / "studio.json").read_text(encoding="utf-8"))["words"] == len(WORDS)
    assert (SHIPPED / "README.md").is_file()
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) < 2_500_000


def test_shipped_tables_are_those_of_the_recipe() -> None:
    words = dict(line.split() for line in (SHIPPED / "graph" / "words.txt").read_text().splitlines())
    assert words == {word: str(i) for word, i in graph.word_ids(WORDS).items()}
    phones = dict(line.split() for line in (SHIPPED / "graph" / "phones.txt").read_text().splitlines())
    table = graph.PhoneTable(phone_names(read_lexicon()))
    assert phones == {phone: str(i) for phone, i in table.ids.items()}
    boundaries = (SHIPPED / "graph" / "phones" / "word_boundary.int").read_text().split()[1::2]
    assert boundaries == table.positions
    assert (SHIPPED / "conf" / "mfcc.conf").read_text() == MFCC_CONF
    assert len(table.outputs) == len(table.positions) == len(table.ids) - 1


def test_every_fixture_is_in_the_vocabulary() -> None:
    assert all(in_vocabulary(text) for text in SPOKEN.values())
    assert {path.name for path in SPEECH.iterdir()} == {*SPOKEN, "sentences.json"}


def test_fixture_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="'hello elephant'"):
        make_speech_fixtures.speak("hello elephant")


# Words.


def test_vocabulary_and_lexicon_agree() -> None:
    lexicon = read_lexicon()
    assert tuple(lexicon) == WORDS
    assert len(set(WORDS)) == len(WORDS)
    assert all(in_vocabulary(sentence) for sentence in SENTENCES)
    assert not set(OTHER_WORDS) & set(WORDS)
    assert {word for sentence in SENTENCES for word in sentence.split()} <= set(WORDS)


def test_lexicon_that_lacks_a_word_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("zero z iy r ow\n")
    with pytest.raises(ValueError, match=r"lexicon\.txt.*'weather'"):
        read_lexicon(path)


def test_drawn_texts_are_of_the_right_words() -> None:
    random_ = random.Random(1)
    assert all(in_vocabulary(draw_text(random_)) for _ in range(300))
    drawn = {word for _ in range(300) for word in draw_text_with_unknown_words(random_).split()}
    assert drawn & set(OTHER_WORDS)
    assert drawn & set(WORDS)
    assert drawn <= {*WORDS, *OTHER_WORDS}


def test_held_out_voices_are_not_trained_on() -> None:
    training = voices.training_variants(["adam", *voices.HELD_OUT_VARIANTS, "robosoft3", "whisper"])
    assert training == ("adam",)
    assert not set(voices.TRAINING_FLITE) & set(voices.HELD_OUT_FLITE)


# The graph.


class Machine:
    """OpenFst text read back. Looks for paths; costs are minus logs."""

    def __init__(self, text: str) -> None:
        self.arcs: dict[int, list[tuple[int, int, int, float]]] = defaultdict(list)
        self.final: dict[int, float] = {}
        for line in text.splitlines():
            fields = line.split()
            if len(fields) == 5:
                start, end, input_, output = map(int, fields[:4])
                self.arcs[start].append((end, input_, output, float(fields[4])))
            else:
                self.final[int(fields[0])] = float(fields[1])
        self.start = int(text.split()[0])

    def best(self, inputs: Iterable[int]) -> tuple[float, tuple[int, ...]] | None:
        """Cost and outputs of the cheapest way to read all inputs, or None if there is none."""
        states = self._without_input({self.start: (0.0, ())})
        for wanted in inputs:
            after: dict[int, tuple[float, tuple[int, ...]]] = {}
            for state, (cost, outputs) in states.items():
                for end, input_, output, more in self.arcs[state]:
                    if input_ == wanted:
                        self._keep(after, end, cost + more, (*outputs, output) if output else outputs)
            states = self._without_input(after)
        ends = [(cost + self.final[state], outputs) for state, (cost, outputs) in states.items() if state in self.final]
        return min(ends, default=None)

    def _without_input(
        self, states: dict[int, tuple[float, tuple[int, ...]]]
    ) -> dict[int, tuple[float, tuple[int, ...]]]:
        todo = list(states)
        while todo:
            state = todo.pop()
            cost, outputs = states[state]
            for end, input_, output, more in self.arcs[state]:
                if not input_ and self._keep(states, end, cost + more, (*outputs, output) if output else outputs):
                    todo.append(end)
        return states

    @staticmethod
    def _keep(
        states: dict[int, tuple[float, tuple[int, ...]]], end: int, cost: float, outputs: tuple[int, ...]
    ) -> bool:
        if end in states and states[end][0] <= cost:
            return False
        states[end] = (cost, outputs)
        return True


@pytest.fixture(scope="module")
def phones() -> graph.PhoneTable:
    return graph.PhoneTable(phone_names(read_lexicon()))


@pytest.fixture(scope="module")
def lexicon_machine(phones: graph.PhoneTable) -> Machine:
    return Machine(graph.lexicon_machine(read_lexicon(), phones, [0.6] * len(phones.outputs), 0.0, 2.0))


def test_every_pronunciation_gives_its_word_or_one_that_sounds_the_same(
    lexicon_machine: Machine, phones: graph.PhoneTable
) -> None:
    lexicon, ids = read_lexicon(), graph.word_ids(WORDS)
    for ways in lexicon.values():
        for way in ways:
            alike = {ids[word] for word, others in lexicon.items() if way in others}
            found = lexicon_machine.best(2 * phone for phone in phones.of_word(way))
            assert found is not None
            assert set(found[1]) <= alike
            assert len(found[1]) == 1


def test_words_follow_each_other_with_or_without_silence(lexicon_machine: Machine, phones: graph.PhoneTable) -> None:
    lexicon, ids = read_lexicon(), graph.word_ids(WORDS)
    hello, world = (phones.of_word(lexicon[word][0]) for word in ("hello", "world"))
    silence = [1]
    for sequence in (hello + world, silence + hello + silence + world + silence):
        found = lexicon_machine.best(2 * phone for phone in sequence)
        assert found is not None
        assert found[1] == (ids["hello"], ids["world"])
    assert lexicon_machine.best(2 * phone for phone in hello + silence * 2 + world) is None


def test_long_sounds_stay_in_their_phone(lexicon_machine: Machine, phones: graph.PhoneTable) -> None:
    lexicon, ids = read_lexicon(), graph.word_ids(WORDS)
    slowly = [t for phone in phones.of_word(lexicon["test"][0]) for t in (2 * phone, 2 * phone - 1, 2 * phone - 1)]
    found = lexicon_machine.best(slowly)
    assert found is not None
    assert found[1] == (ids["test"],)


def test_lexicon_machines_arcs_out_of_a_phone_are_a_distribution(lexicon_machine: Machine) -> None:
    for state, arcs in lexicon_machine.arcs.items():
        loops = [np.exp(-cost) for end, input_, _, cost in arcs if end == state and input_]
        assert len(loops) <= 1
        assert all(loop == pytest.approx(0.6, abs=1e-4) for loop in loops)


def test_grammar_takes_every_word_anywhere_and_prefers_its_sentences() -> None:
    machine, ids = Machine(graph.grammar_machine(WORDS, SENTENCES)), graph.word_ids(WORDS)

    def cost(text: str) -> float:
        found = machine.best(ids[word] for word in text.split())
        assert found is not None, text
        assert found[1] == tuple(ids[word] for word in text.split())
        return found[0]

    for word in (*WORDS, UNKNOWN):
        assert cost(word) < 20
    assert cost("hello this is a test") < cost("test this hello a is")
    assert cost("zero") < cost("weather")


def test_grammar_gives_each_state_at_most_a_whole_chance() -> None:
    machine = Machine(graph.grammar_machine(WORDS, SENTENCES))
    for state, arcs in machine.arcs.items():
        chance = sum(np.exp(-cost) for *_, cost in arcs) + np.exp(-machine.final.get(state, np.inf))
        assert chance == pytest.approx(1, abs=1e-3)


# Kaldi's format.


def test_shipped_acoustic_model_is_what_the_writer_writes() -> None:
    data = (SHIPPED / "am" / "final.mdl").read_bytes()
    table = graph.PhoneTable(phone_names(read_lexicon()))
    assert data.startswith(b"\0B<TransitionModel> <Topology> ")
    at = data.index(b"<Triples> ") + len(b"<Triples> ")
    assert struct.unpack("<bi", data[at : at + 5]) == (4, len(table.outputs))
    assert data.count(b"<FixedAffineComponent>") == data.count(b"</FixedAffineComponent>") == 7
    assert b"Append(Offset(input, -2), Offset(input, -1), input, Offset(input, 1), Offset(input, 2))" in data


def test_matrix_and_vector_read_back() -> None:
    file = io.BytesIO()
    out = kaldi.Writer(file)
    out.vector([1.5, -2.0])
    out.matrix(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    data = file.getvalue()
    assert data[:5] == b"\0BFV "
    assert struct.unpack("<bi2f", data[5:18]) == (4, 2, 1.5, -2.0)
    assert data[18:21] == b"FM "
    assert struct.unpack("<bibi", data[21:31]) == (4, 2, 4, 3)
    assert struct.unpack("<6f", data[31:]) == (1, 2, 3, 4, 5, 6)


def test_exported_layers_compute_what_the_network_computes() -> None:
    torch.manual_seed(1)
    network = Network(phones=7, width=9)
    with torch.no_grad():  # statistics as training leaves them: not 0 and 1
        for norm in (network.norm, *network.norms):
            assert isinstance(norm, torch.nn.BatchNorm1d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            if norm.affine:
                norm.weight.uniform_(0.5, 2)
                norm.bias.normal_()
    network.eval()
    frames = np.random.default_rng(1).standard_normal((80, COEFFICIENTS))
    with torch.inference_mode():
        expected = network(torch.from_numpy(frames[None]).float())[0].numpy()
    values = {t: frames[t] for t in range(len(frames))}
    layers = affine_layers(network)
    for layer in layers:
        values = {
            t: np.maximum(layer.weights @ np.concatenate([values[t + o] for o in layer.offsets]) + layer.bias, 0)
            if layer is not layers[-1]
            else layer.weights @ values[t] + layer.bias
            for t in values
            if all(t + o in values for o in layer.offsets)
        }
    scores = np.array([values[CONTEXT + SUBSAMPLING * i] for i in range(len(expected))])
    scores -= np.log(np.exp(scores).sum(1, keepdims=True))
    np.testing.assert_allclose(scores, expected, atol=1e-4)


# Training.


def test_padding_gives_the_asked_number_of_outputs() -> None:
    features = np.zeros((17, COEFFICIENTS), np.float16)
    network = Network(phones=3, width=4).eval()
    for outputs in (1, 6, 40):
        with torch.inference_mode():
            assert network(torch.from_numpy(padded(features, outputs)[None]).float()).shape == (1, outputs, 3)


def test_network_sees_as_far_as_its_context_and_no_further() -> None:
    torch.manual_seed(0)
    network = Network(phones=3, width=16).eval()
    frames = torch.randn(1, 2 * CONTEXT + 1 + 2 * SUBSAMPLING, COEFFICIENTS)
    with torch.inference_mode():
        before = network(frames)[0, 1]
        for frame, seen in ((SUBSAMPLING - 1, False), (SUBSAMPLING, True), (SUBSAMPLING + 2 * CONTEXT, True),
                            (SUBSAMPLING + 2 * CONTEXT + 1, False)):  # fmt: skip
            other = frames.clone()
            other[0, frame] += 10
            assert bool((network(other)[0, 1] != before).any()) is seen, frame


def aligned(text: str, spoken_phones: str) -> str:
    """What the aligner makes of scores in which the spoken phones stand out."""
    spoken = spoken_phones.split()
    lexicon = with_unknown_words(read_lexicon())
    names = phone_names(read_lexicon())
    index = {phone: i for i, phone in enumerate(names)}
    scores = np.full((len(spoken), len(names)), -5, np.float32)
    scores[np.arange(len(spoken)), [index[phone] for phone in spoken]] = -0.1
    return " ".join(names[i] for i in align(scores, path_of(text, lexicon, index)))


@pytest.mark.parametrize(
    "spoken",
    [
        "sil sil t t eh s t",
        "t eh eh s s t",
        "t eh s t sil",
        "sil t eh s t sil sil",
    ],
)
def test_aligner_follows_what_is_spoken(spoken: str) -> None:
    assert aligned("test", spoken) == spoken


def test_aligner_picks_the_pronunciation_that_fits() -> None:
    for the in ("dh iy", "dh ah"):
        spoken = f"sil {the} t eh s t sil"
        assert aligned("the test", spoken) == spoken


def test_aligner_keeps_to_the_text_where_the_scores_do_not() -> None:
    assert aligned("test", "t eh m s t") in ("t eh eh s t", "t eh s s t")
    assert aligned("test", "t eh s s") == "t eh s t"  # to its end


def test_aligner_of_no_words_gives_silence() -> None:
    assert aligned("", "t sil") == "sil sil"


def test_unknown_words_align_as_one_filler() -> None:
    assert aligned("elephant test", "spn spn t eh s t") == "spn spn t eh s t"


def test_labels_follow_the_spans() -> None:
    spans = (("t", 0.1), ("eh", 0.2))
    times = np.array([-0.1, 0.0, 0.06, 0.1, 0.19, 0.3])
    labels = labels_from_spans(spans, times, ("sil", "eh", "t"))
    assert labels.tolist() == [0, 2, 2, 1, 1, 0]
    assert output_times(7).tolist() == pytest.approx([0.0125, 0.0425, 0.0725])


def test_corpus_reads_back(tmp_path: Path) -> None:
    first = Utterance("a test", "x", np.arange(5, dtype=np.int16), (("sil", 0.1), ("ah", 0.2)))
    second = Utterance("", "y", np.arange(3, dtype=np.int16), ())
    save_utterances([first, second], tmp_path / "c.npz")
    back = load_utterances(tmp_path / "c.npz")
    assert [(u.text, u.voice, u.samples.tolist(), u.spans) for u in back] == [
        (u.text, u.voice, u.samples.tolist(), u.spans) for u in (first, second)
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"]


# Measuring, and the command.


@pytest.mark.parametrize(
    ("spoken", "heard", "errors"),
    [("a b c", "a b c", 0), ("a b c", "", 3), ("", "a", 1), ("a b c", "a x c", 1), ("a b c", "b c d", 2)],
)
def test_word_errors_are_counted(spoken: str, heard: str, errors: int) -> None:
    assert errors_between(spoken.split(), heard.split()) == errors


def test_score_lists_its_mistakes(model: vosk.Model) -> None:
    samples = samples_of(SPEECH / "digits.wav")
    right = Utterance(SPOKEN["digits.wav"], "x", samples, ())
    wrong = Utterance("hello world", "x", samples, ())
    result = score(model, [right, wrong])
    assert (result.words, result.utterances, result.all_right) == (12, 2, 1)
    assert result.mistakes == (("x", "hello world", SPOKEN["digits.wav"]),)
    assert result.word_error_rate == 10 / 12


def test_work_of_another_recipe_is_not_taken_up(tmp_path: Path) -> None:
    claim(tmp_path / "new", {"seed": 1, "size": 1.0})
    claim(tmp_path / "new", {"seed": 1, "size": 1.0})
    with pytest.raises(ValueError, match=r"another size: .*--fresh"):
        claim(tmp_path / "new", {"seed": 1, "size": 0.5})


def test_builder_says_what_to_install() -> None:
    environment = {**os.environ, "PATH": "/nowhere"}
    command = [sys.executable, "-m", "training.speech_demo", "--work", "/nowhere/at/all"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "apt-get install" in done.stderr
    assert "flite libfst-tools" in done.stderr
