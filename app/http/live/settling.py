"""Which of the words that are still open to change may be told as settled."""

from __future__ import annotations

from itertools import takewhile


class Settling:
    """One utterance's text, told in pieces that are never taken back.

    A recogniser changes its mind about the last words with every bit of sound. A word is taken for settled when two
    guesses in a row have it in the same place and another word after it (LocalAgreement, Liu et al. 2020).
    """

    def __init__(self) -> None:
        self._before: list[str] = []
        self._told: list[str] = []

    def guess(self, partial: str) -> str:
        """A guess at the whole utterance so far -> what is settled by it, to be added to what was told before."""
        words = partial.split()
        agreed = takewhile(lambda pair: pair[0] == pair[1], zip(self._before, words, strict=False))
        settled = [word for word, _ in agreed][:-1]
        self._before = words
        return self._tell(settled)

    def end(self, text: str) -> str:
        """The utterance as it is -> the rest; empty where something else was told, which the whole text corrects."""
        rest = self._tell(text.split())
        self._before, self._told = [], []
        return rest

    def _tell(self, words: list[str]) -> str:
        if words[: len(self._told)] != self._told or len(words) <= len(self._told):
            return ""
        new = " ".join(words[len(self._told) :])
        space = " " if self._told else ""
        self._told = words
        return space + new
