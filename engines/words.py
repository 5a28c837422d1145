"""Words that messages share: a guess at what was meant, and a value short enough to repeat.

launch.py needs this before anything is installed: the standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_COMPARED = 64
"""Characters of a word that are compared: the time grows with the square of them, and callers send anything."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the one of `known` that looks most like `word`, or nothing if none does.

    It follows a finished sentence, so it starts with a space. Upper and lower case count as different.
    """
    near = difflib.get_close_matches(word[:MAX_COMPARED], list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def shown(value: object, most: int = 60) -> str:
    """`value` as a message may repeat it: Python's notation, cut to at most `most` characters, 4 or more.

    A text stays in one line, and what cannot be printed or encoded is escaped.
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested without end, or a number of more than 4,300 digits
        text = f"too large to show ({type(value).__name__})"
    return text if len(text) <= most else f"{text[: most - 3]}..."
