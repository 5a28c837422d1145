"""The words and the grammar as weighted finite-state machines, in OpenFst's text form.

Two machines, as Vosk wants them for run-time grammars: HCLr turns transition ids into words, Gr says which words
follow which. Arc lines are `from to input output cost`, final states `state [cost]`; costs are minus natural logs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from training.speech_demo.vocabulary import DIGITS, SILENCE_PHONE, UNKNOWN, UNKNOWN_PHONE, Lexicon

EPSILON = 0
_HALF = math.log(2)

DIGIT_WEIGHT = 3.0
"""How much likelier a digit is than another word where the sentences say nothing."""

END_SHARE = 0.13
"""Chance that the text ends after any word, where the sentences say nothing."""

BIGRAM_SHARE = 0.5
"""How much is believed of the sentences' own word pairs; the rest backs off to any word."""


class PhoneTable:
    """Kaldi's position-dependent phones: silence, then each phone at a word's Begin, End, Inside, or alone (S)."""

    def __init__(self, phones: Sequence[str]) -> None:
        if phones[0] != SILENCE_PHONE:
            raise ValueError(f"the first phone is {phones[0]!r}: it must be {SILENCE_PHONE!r}")
        self.ids: dict[str, int] = {"<eps>": EPSILON, SILENCE_PHONE: 1}
        self.outputs: list[int] = [0]
        """Network output of phone i + 1."""
        self.positions: list[str] = ["nonword"]
        """Word-boundary class of phone i + 1."""
        for output, phone in enumerate(phones[1:], 1):
            for suffix, position in (("B", "begin"), ("E", "end"), ("I", "internal"), ("S", "singleton")):
                self.ids[f"{phone}_{suffix}"] = len(self.ids)
                self.outputs.append(output)
                self.positions.append(position)

    def of_word(self, phones: Sequence[str]) -> list[int]:
        """The ids of one pronunciation's phones, each in its position."""
        if len(phones) == 1:
            return [self.ids[f"{phones[0]}_S"]]
        inside = [self.ids[f"{phone}_I"] for phone in phones[1:-1]]
        return [self.ids[f"{phones[0]}_B"], *inside, self.ids[f"{phones[-1]}_E"]]


def word_ids(words: Sequence[str]) -> dict[str, int]:
    """Vosk's symbol table: <eps>, the words, and last the unknown word."""
    return {word: i for i, word in enumerate(("<eps>", *words, UNKNOWN))}


class _Machine:
    """Collects lines of OpenFst text."""

    def __init__(self, states: int) -> None:
        self.lines: list[str] = []
        self._states = states

    def state(self) -> int:
        self._states += 1
        return self._states - 1

    def arc(self, start: int, end: int, input_: int, output: int, cost: float = 0.0) -> None:
        self.lines.append(f"{start} {end} {input_} {output} {cost:.5f}")

    def final(self, state: int, cost: float = 0.0) -> None:
        self.lines.append(f"{state} {cost:.5f}")


def lexicon_machine(
    lexicon: Lexicon, phones: PhoneTable, stays: Sequence[float], word_cost: float, unknown_cost: float
) -> str:
    """HCLr: the words in a ring, silence optional before and after each.

    `stays[i]`: chance that phone i + 1 goes on for another frame. `word_cost` is paid for every word. The word
    comes out with its first phone.
    """
    start, boundary = 0, 1
    machine = _Machine(states=2)
    ids = word_ids(tuple(lexicon))

    def emit(source: int, phone: int, word: int = EPSILON, cost: float = 0.0) -> int:
        # The exit transition comes first and the self-loop sits on its target: the order that Vosk's word times need.
        stay = stays[phone - 1]
        target = machine.state()
        machine.arc(source, target, 2 * phone, word, cost - math.log(1 - stay))
        machine.arc(target, target, 2 * phone - 1, EPSILON, -math.log(stay))
        return target

    def maybe_silence(source: int) -> None:
        machine.arc(source, boundary, EPSILON, EPSILON, _HALF)
        machine.arc(emit(source, phones.ids[SILENCE_PHONE], cost=_HALF), boundary, EPSILON, EPSILON)

    maybe_silence(start)
    pronounced = {word: [phones.of_word(way) for way in ways] for word, ways in lexicon.items()}
    pronounced[UNKNOWN] = [phones.of_word((UNKNOWN_PHONE,))]
    for word, ways in pronounced.items():
        cost = word_cost + (unknown_cost if word == UNKNOWN else math.log(len(ways)))
        for way in ways:
            state = emit(boundary, way[0], ids[word], cost)
            for phone in way[1:]:
                state = emit(state, phone)
            maybe_silence(state)
    machine.final(boundary)
    return "\n".join(machine.lines) + "\n"


def grammar_machine(words: Sequence[str], sentences: Sequence[str]) -> str:
    """Gr: the sentences' word pairs, backing off to any word after any word."""
    start, any_word = 0, 1
    machine = _Machine(states=2)
    ids = word_ids(words)
    pairs = _pairs(sentences)
    state_after = {before: start if before is None else machine.state() for before in pairs}
    for before, followers in pairs.items():
        source, total = state_after[before], sum(followers.values())
        for word, count in followers.items():
            cost = -math.log(BIGRAM_SHARE * count / total)
            if word is None:
                machine.final(source, cost)
            else:
                machine.arc(source, state_after.get(word, any_word), ids[word], ids[word], cost)
        machine.arc(source, any_word, EPSILON, EPSILON, -math.log(1 - BIGRAM_SHARE))
    weights = {word: DIGIT_WEIGHT if word in DIGITS else 1.0 for word in words} | {UNKNOWN: 1.0}
    total_weight = sum(weights.values()) / (1 - END_SHARE)
    for word, weight in weights.items():
        cost = -math.log(weight / total_weight)
        machine.arc(any_word, state_after.get(word, any_word), ids[word], ids[word], cost)
    machine.final(any_word, -math.log(END_SHARE))
    # OpenFst takes the first line's state as the start.
    return "\n".join(sorted(machine.lines, key=lambda line: int(line.split()[0]))) + "\n"


def _pairs(sentences: Sequence[str]) -> Mapping[str | None, Counter[str | None]]:
    """Word -> how often each word follows it; None is the start of a sentence, and its end."""
    pairs: dict[str | None, Counter[str | None]] = {None: Counter()}
    for sentence in sentences:
        words = sentence.split()
        for before, word in zip([None, *words], [*words, None], strict=True):
            pairs.setdefault(before, Counter())[word] += 1
    return pairs
