"""The stages of the build, each of which leaves a file that a later run takes up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from training.speech_demo import corpus, evaluate, features, frames, voices
from training.speech_demo.espeak import Espeak
from training.speech_demo.export import Tuning, export
from training.speech_demo.synth import Amounts, held_out_set, read_sentences, training_set
from training.speech_demo.train import PLAN, Trainer
from training.speech_demo.vocabulary import (
    LEXICON_FILE,
    SENTENCES,
    WORDS,
    phone_names,
    read_lexicon,
    with_unknown_words,
)
from training.speech_demo.workfolder import claim

COPIES = 3
"""Variations of every utterance, the first of them light."""

HELD_OUT_PER_ENGINE = 200
_HELD_OUT_SEED = 98
"""Apart from the benchmark's, which must meet other utterances than the tuning did."""


class Build:
    """Speech -> features -> network -> model folder -> figures, on one thread so that a seed gives one result.

    Raises ValueError if `work` holds another recipe's files.
    """

    def __init__(self, work: Path, seed: int, size: float, log: Callable[[str], None]) -> None:
        torch.set_num_threads(1)
        self._work = work
        recipe = {
            "seed": seed,
            "size": size,
            "words": [*WORDS, *SENTENCES],
            "lexicon": LEXICON_FILE.read_text(encoding="utf-8"),
            "plan": [str(step) for step in PLAN],
        }
        claim(work, recipe)
        self._seed = seed
        self._amounts = Amounts().scaled(size)
        self._log = log
        self._lexicon = read_lexicon()
        self._everything = with_unknown_words(self._lexicon)
        self._phones = phone_names(self._lexicon)
        self._espeak = Espeak(self._everything)

    def run(self, out: Path) -> dict[str, Any]:
        """Do what is left to do, write the model into `out`, and return its figures."""
        examples = self._features(self._work / "features.npz")
        light = len(examples) // COPIES
        trainer = Trainer(examples, light, self._everything, self._phones, self._seed, self._log)
        between = self._work / "model-so-far"
        trained = trainer.run(
            self._work / "network.pt", after_step=lambda now: export(now, self._lexicon, between, Tuning())
        )
        export(trained, self._lexicon, out, Tuning())
        return self.figures(out)

    def figures(self, model_folder: Path) -> dict[str, Any]:
        """Word error rates of a model: the fixed sentences in each fixed voice, and the held-out voices."""
        model = evaluate.open_model(str(model_folder))
        result: dict[str, Any] = {}
        for voice in voices.FIXED_VOICES:
            score = evaluate.score(model, read_sentences(self._espeak, voice))
            result[f"sentences {voice}"] = _rounded(score)
            for mistake in score.mistakes:
                self._log(f"  wrong: {mistake}")
        held_out = self._held_out(self._work / "held-out.npz")
        for name, utterances in (
            ("held-out espeak", held_out[:HELD_OUT_PER_ENGINE]),
            ("held-out flite", held_out[HELD_OUT_PER_ENGINE:]),
        ):
            for noise_db in (None, 15.0):
                label = name if noise_db is None else f"{name} {noise_db:.0f} dB"
                result[label] = _rounded(evaluate.score(model, utterances, noise_db))
        return result

    def _speech(self, path: Path) -> list[corpus.Utterance]:
        if not path.exists():
            self._log(f"speaking {self._amounts}")
            utterances = training_set(self._espeak, self._amounts, self._seed)
            corpus.save(utterances, path)
        return corpus.load(path)

    def _held_out(self, path: Path) -> list[corpus.Utterance]:
        if not path.exists():
            corpus.save(held_out_set(self._espeak, HELD_OUT_PER_ENGINE, _HELD_OUT_SEED), path)
        return corpus.load(path)

    def _features(self, path: Path) -> list[frames.Example]:
        if not path.exists():
            utterances = self._speech(self._work / "speech.npz")
            hours = sum(utterance.seconds for utterance in utterances) / 3600
            self._log(f"features of {len(utterances)} utterances, {hours:.1f} hours, {COPIES} variations each")
            frames.save(list(features.examples(utterances, self._phones, COPIES, self._seed)), path)
        return frames.load(path)


def _rounded(score: evaluate.Score) -> dict[str, Any]:
    return {
        "word_error_rate": round(score.word_error_rate, 4),
        "words": score.words,
        "all_right": f"{score.all_right}/{score.utterances}",
    }
