"""Reads AUTOMATIC1111's and ComfyUI's prompt syntax, which users paste, into compel's, which the engine draws.

Without torch and compel, so that a door can tell its caller about a prompt before any model is loaded. What the two
tools read as weights: the wiki's page Features, "Attention/emphasis", and `modules/prompt_parser.py`, of
github.com/AUTOMATIC1111/stable-diffusion-webui.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

STRONGER = 1.1
"""Of `(words)`; `[words]` divides by it."""

MAX_DEPTH = 20
"""Brackets in brackets; 1.1 to the power of 20 is 6.7, more than any weight that still gives a picture."""

SHOWN = 40
"""Most characters of a prompt's part in a warning."""

ADD_ON = re.compile(r"(?:,\s?)?<(?:lora|lyco|hypernet):[^<>]*>")
EMBEDDING = re.compile(r"(?:,\s?)?\bembedding:(?![\d.]+\s?\))\w[\w.-]*")

BREAK = re.compile(r"(?<![A-Z]{2}\s)(?<![\"'“‘\w])BREAK(?![\"'”’\w])(?!\s[A-Z]{2})")
"""The word alone; beside other words in capitals it is a text to be drawn."""

COMPEL = re.compile(r"""(?:\)|(?<=[^\s(])")(?:[+-]|\.?\d|\.(?:and|add|blend|swap|attend)\()""")
"""What only compel has: a weight or an operator behind a bracket or the end of a quotation."""

BRACKET = re.compile(r"\\.|[()\[\]]", re.DOTALL)

NUMBER = re.compile(r"\s*([+-]?(?:\d+\.\d*|\.\d+))\s*")

WHEN = re.compile(r"\s*(?:\d+\.?\d*|\.\d+)\s*")

DIGIT = re.compile(r"[+-]?\d")

WHOLE_ITEM = re.compile(r"(?:^|,)\s{0,9}(\([^()\[\],]+\))(?=\s{0,9}(?:,|$))")
"""`(words)` between commas: in a list of tags a weight, where prose has a bracket behind a word."""

SIGNS = re.compile(r"""(?<![^\s,.("])[+-]+|(?:\++-|-+\+)[+-]*|=|(?<!\\)\"""")
"""What ends compel's reading of a weighted part: plus and minus without a word before them or mixed, equals signs, lone
quotation marks."""

SAID = {
    "add-on": "{}: left out, since this server has no LoRAs, hypernetworks or embeddings.",
    "negative": "{}: drawn with weight 0, the least there is; what shall be absent goes into negative_prompt.",
    "schedule": "{}: drawn as the words behind the first colon, since this server does not edit prompts between steps.",
    "removal": "{}: drawn from the first step to the last, since this server does not edit prompts between steps.",
    "alternation": "{}: drawn as all of these words at once, since this server does not alternate between steps.",
    "break": '{}: left out; beside compel\'s syntax write ("first part", "second part").and().',
    "square": "{}: drawn as it stands, without a weight; to weaken words write (words:0.9).",
    "round": "{}: drawn without a weight; to stress words write (words:1.1).",
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """`text`: what compel is given. `warnings`: a sentence for each kind of syntax that is drawn otherwise or not."""

    text: str
    warnings: tuple[str, ...] = ()


def read_prompt(text: str) -> Prompt:
    """Translate what has the same meaning in compel's syntax, and tell of what has none. Prose stays as it is.

    `(words:1.5)`, `[from:to:when]`, `[a|b]`, `BREAK` and `<lora:name:1>` are unmistakable. `(words)` and `[words]` are
    what prose has too: they are weights beside one of these, or doubled as in `((words))`, and where nothing is
    compel's. Never raises.
    """
    reading = _Reading(text)
    return Prompt(reading.result(), tuple(reading.sentences()))


@dataclass(slots=True)
class _Reading:
    text: str
    parts: dict[str, list[str]] = field(default_factory=dict)
    """Parts of the prompt by the key of SAID."""
    pairs: dict[int, int] = field(default_factory=dict)
    """Where a bracket opens -> where it closes; escaped ones and those without a partner are text."""
    emphasis: bool = False
    """Whether `(words)` and `[words]` are weights."""

    def result(self) -> str:
        original = self.text
        self._leave_out_add_ons()
        if not self._pair():
            return self.text
        compel = bool(COMPEL.search(self.text))
        breaks = BREAK.findall(self.text)
        unmistakable = bool(breaks) or self.text != original or any(map(self._unmistakable, self.pairs))
        self.emphasis = unmistakable and not compel
        pieces = _merged(self._pieces(0, len(self.text), 1.0))
        if not self.emphasis and not compel:
            self._tell_all("round", WHOLE_ITEM.findall(self.text))
        if breaks and compel:
            self._tell_all("break", breaks)
            pieces = [(BREAK.sub(" ", words), weight) for words, weight in pieces]
        if not breaks or compel:
            return _written(pieces, escape_brackets=not compel)
        chunks = [_written(chunk, escape_brackets=True).strip() for chunk in _chunks(pieces)]
        return chunks[0] if len(chunks) == 1 else f"({', '.join(map(_quoted, chunks))}).and()"

    def sentences(self) -> Iterator[str]:
        for kind, parts in self.parts.items():
            shown = [f"“{part if len(part) <= SHOWN else part[: SHOWN - 3] + '...'}”" for part in parts[:3]]
            more = f" (and {len(parts) - 3} more)" if len(parts) > 3 else ""
            yield SAID[kind].format(", ".join(shown) + more)

    def _tell_all(self, kind: str, parts: list[str]) -> None:
        if parts:
            self.parts.setdefault(kind, []).extend(parts)

    def _leave_out_add_ons(self) -> None:
        for pattern in (ADD_ON, EMBEDDING):
            found = [part.lstrip(", ") for part in pattern.findall(self.text)]
            if found:
                self._tell_all("add-on", found)
                self.text = pattern.sub("", self.text).strip(", ")

    def _pair(self) -> bool:
        """Fill `pairs`. False where too many brackets are open at once to be anybody's weights."""
        waiting: list[int] = []
        for found in BRACKET.finditer(self.text):
            char, at = found[0], found.start()
            if char in "([":
                waiting.append(at)
            elif char in ")]":
                opening = "(" if char == ")" else "["
                match = next((i for i in reversed(range(len(waiting))) if self.text[waiting[i]] == opening), None)
                if match is not None:
                    self.pairs[waiting[match]] = at
                    del waiting[match:]
            if len(waiting) > MAX_DEPTH:
                return False
        return True

    def _unmistakable(self, start: int) -> bool:
        end = self.pairs[start]
        if self.text[start] == "(":
            return self._weight(start + 1, end) is not None or self._doubled(start)
        return self._doubled(start) or len(self._split(start + 1, end, "|")) > 1 or self._schedule(start) is not None

    def _doubled(self, start: int) -> bool:
        return self.text[start] == self.text[start + 1] and self.pairs.get(start + 1) == self.pairs[start] - 1

    def _weight(self, start: int, end: int) -> tuple[float, int] | None:
        """The number behind the last colon, and where that is. Not of `(16:9)`, `(at 3:00)`, `(Psalm: 5)`, `(:3)`."""
        colon = self.text.rfind(":", start, end)
        before = self.text[start:colon]
        if colon < 0:
            return None
        tail = self.text[colon + 1 : end]
        if number := NUMBER.fullmatch(tail):
            return float(number[1]), colon
        if DIGIT.fullmatch(tail) and before and not (before[-1].isdigit() or before[-1].isspace()):
            return float(tail), colon
        return None

    def _split(self, start: int, end: int, at: str) -> list[tuple[int, int]]:
        """The spans between the separators that stand in no inner brackets."""
        spans, first, here = [], start, start
        while here < end:
            if here in self.pairs:
                here = self.pairs[here]
            elif self.text[here] == at:
                spans.append((first, here))
                first = here + 1
            here += 1
        return [*spans, (first, end)]

    def _schedule(self, start: int) -> list[tuple[int, int]] | None:
        """The spans of `[from:to:when]` or `[to:when]` without the last. Not of `[12:30:45]`."""
        end = self.pairs[start]
        spans = self._split(start + 1, end, ":")
        *words, when = spans
        if len(words) == 2 and WHEN.fullmatch(self.text, *when) and not self.text[when[0] - 2].isdigit():
            return words
        return words if len(words) == 1 and self._weight(start + 1, end) is not None else None

    def _pieces(self, start: int, end: int, weight: float) -> Iterator[tuple[str, float]]:
        """The words of a span with their weights, outer weights multiplied in."""
        here = start
        for found in BRACKET.finditer(self.text, start, end):
            at = found.start()
            if at < here:
                continue  # within a bracket that has been read
            if found[0] in (r"\[", r"\]"):
                yield self.text[here:at] + found[0][1], weight
                here = found.end()
            elif at in self.pairs:
                yield self.text[here:at], weight
                here = self.pairs[at] + 1
                yield from (self._round if found[0] == "(" else self._square)(at, here, weight)
        yield self.text[here:end], weight

    def _round(self, start: int, end: int, weight: float) -> Iterator[tuple[str, float]]:
        found = self._weight(start + 1, end - 1)
        if found is not None:
            factor, colon = found
            if factor < 0:
                self._tell_all("negative", [self.text[start:end]])
            yield from self._pieces(start + 1, colon, weight * max(factor, 0))
        elif self.emphasis:
            yield from self._pieces(start + 1, end - 1, weight * STRONGER)
        else:
            yield "(", weight
            yield from self._pieces(start + 1, end - 1, weight)
            yield ")", weight

    def _square(self, start: int, end: int, weight: float) -> Iterator[tuple[str, float]]:
        whole = self.text[start:end]
        schedule = self._schedule(start)
        choices = self._split(start + 1, end - 1, "|")
        if schedule is not None:
            drawn = [span for span in schedule if self.text[slice(*span)].strip()][-1:]
            removed = len(schedule) == 2 and drawn == schedule[:1]
            self._tell_all("removal" if removed or len(schedule) == 1 else "schedule", [whole])
            for span in drawn:
                yield from self._pieces(*span, weight)
        elif len(choices) > 1:
            self._tell_all("alternation", [whole])
            for number, span in enumerate(choices):
                yield " " * bool(number), weight
                yield from self._pieces(*span, weight)
        elif self.emphasis:
            yield from self._pieces(start + 1, end - 1, weight / STRONGER)
        else:
            self._tell_all("square", [whole])
            yield "[", weight
            yield from self._pieces(start + 1, end - 1, weight)
            yield "]", weight


Pieces = list[tuple[str, float]]


def _merged(pieces: Iterator[tuple[str, float]]) -> Pieces:
    merged: Pieces = []
    for words, weight in pieces:
        if merged and merged[-1][1] == weight:
            merged[-1] = (merged[-1][0] + words, weight)
        elif words:
            merged.append((words, weight))
    return merged


def _chunks(pieces: Pieces) -> list[Pieces]:
    """What stands between BREAKs, each with words in it."""
    chunks: list[Pieces] = [[]]
    for words, weight in pieces:
        first, *further = BREAK.split(words)
        chunks[-1].append((first, weight))
        chunks += [[(part, weight)] for part in further]
    return [chunk for chunk in chunks if any(words.strip(", \n\t") for words, _ in chunk)] or [[]]


def _written(pieces: Pieces, *, escape_brackets: bool) -> str:
    """In compel's syntax: `(words)1.5`, which must not touch a word before it nor a digit behind it."""
    text = ""
    for words, weight in pieces:
        if weight == 1 or not words.strip():
            text += " " * bool(text[-1:].isdigit() and re.match(r"\.?\d", words)) + words
            continue
        inner = SIGNS.sub(lambda found: "".join(f"\\{char}" for char in found[0]), words)
        if escape_brackets:
            inner = re.sub(r"(?<!\\)[()]", r"\\\g<0>", inner)
        guard = " " * inner.endswith("\\")
        text += f"{' ' * (text[-1:].strip() != '')}({inner}{guard}){weight:.4f}".rstrip("0").removesuffix(".")
    return text


def _quoted(text: str) -> str:
    text = re.sub(r'(?<!\\)"', r"\"", text)
    return f'"{text}{" " * text.endswith(chr(92))}"'
