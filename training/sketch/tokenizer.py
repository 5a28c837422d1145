"""A byte-level CLIP tokenizer in which every caption word is one token and any other text still has tokens.

Its merges are learned from the list of words alone, until each word is whole.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import regex  # type: ignore[import-untyped]

from training.sketch.captions import vocabulary
from training.sketch.lexicon import LEXICON

START, END = "<|startoftext|>", "<|endoftext|>"
MAX_LENGTH = 77
# CLIP's own splitting rule (openai/CLIP simple_tokenizer.py).
PIECES = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")


def _byte_letters() -> list[str]:
    """The 256 printable stand-ins for bytes, in byte order (GPT-2's table)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = 256
    letters = []
    for byte in range(256):
        if byte in kept:
            letters.append(chr(byte))
        else:
            letters.append(chr(spare))
            spare += 1
    return letters


def _learn_merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair encoding (Sennrich et al. 2016), run until every word is one piece; ties go by the alphabet."""
    pieces = [[*word[:-1], word[-1] + "</w>"] for word in words]
    counts = Counter(pair for word in pieces for pair in pairwise(word))
    homes: defaultdict[tuple[str, str], set[int]] = defaultdict(set)  # which words a pair has been seen in
    for i, word in enumerate(pieces):
        for pair in pairwise(word):
            homes[pair].add(i)
    merges: list[tuple[str, str]] = []
    while counts:
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        for i in homes.pop(best):
            before, pieces[i] = pieces[i], _merged(pieces[i], best)
            counts.subtract(pairwise(before))
            counts.update(pairwise(pieces[i]))
            for pair in pairwise(pieces[i]):
                homes[pair].add(i)
        counts = +counts  # drops the pairs that are gone
    return merges


def _merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for piece in word:
        if result and (result[-1], piece) == pair:
            result[-1] += piece
        else:
            result.append(piece)
    return result


@cache
def build() -> tuple[dict[str, int], list[str]]:
    """Vocabulary (token to id) and merges in CLIP's file format."""
    letters = _byte_letters()
    words = sorted({piece for line in (*vocabulary(), *LEXICON) for piece in PIECES.findall(line)})
    merges = _learn_merges(words)
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges)]
    vocab = {token: i for i, token in enumerate([*dict.fromkeys(tokens), START, END])}
    return vocab, [" ".join(merge) for merge in merges]


def make_tokenizer(folder: Path) -> Any:
    """Writes the files into `folder` and loads them as transformers' CLIPTokenizer."""
    from transformers import CLIPTokenizer

    vocab, merges = build()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=MAX_LENGTH)


class WordTokens:
    """Token ids of a text, word by word and remembered: captions are redrawn at every step, so this must be fast."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self.start: int = tokenizer.bos_token_id
        self.end: int = tokenizer.eos_token_id
        self.pad: int = tokenizer.pad_token_id

    def __call__(self, text: str) -> list[int]:
        """Ids without start and end."""
        ids: list[int] = []
        for word in text.lower().split():
            if word not in self._known:
                self._known[word] = self._tokenizer(word, add_special_tokens=False).input_ids
            ids += self._known[word]
        return ids


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the tokenizer's files.")
    parser.add_argument("--out", type=Path, default=Path("work/sketch/tokenizer"))
    options = parser.parse_args(argv)
    tokenizer = make_tokenizer(options.out)
    print(f"{len(tokenizer)} tokens in {options.out}")


if __name__ == "__main__":
    main()
