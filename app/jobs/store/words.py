"""What a search looks for, and in what form words lie in the index: SQLite's FTS5 over one column.

FTS5's tokenizer for all languages (unicode61) takes a run of letters for a word. Chinese, Japanese, Korean with its
endings, Thai and others leave no gaps, so a whole clause would be one word. FTS5's trigrams would find parts of it, but
none of fewer than three characters, and most Chinese and Japanese words have two. So each character of these scripts is
a word of its own here, and several in a row are looked for as a phrase: any part of a text is found, in one index.
"""

from __future__ import annotations

import re
import unicodedata

WITHOUT_GAPS = re.compile(
    "(["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3040-\u30ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese
    "\uac00-\ud7a3"  # Korean
    "])"
)
"""Who changes this reads all that was indexed anew, in a migration."""


def indexed(text: str) -> str:
    """The text as it lies in the index: width and ligatures made one, and gaps where a script has none."""
    return WITHOUT_GAPS.sub(r" \1 ", unicodedata.normalize("NFKC", text))


def query(typed: str) -> str | None:
    """What a person typed as FTS5's query: all of its words, the last of them perhaps unfinished. None: no word in it.

    Everything is quoted, so nothing that is typed is an operator or an error.
    """
    words = [word for word in typed.replace('"', " ").replace("\0", " ").split() if _has_letters(word)]
    if not words:
        return None
    return " ".join(f'"{indexed(word)}"' for word in words) + "*"


def _has_letters(word: str) -> bool:
    """Something that the tokenizer keeps: a phrase of nothing would match nothing."""
    return any(unicodedata.category(char)[0] in "LN" or unicodedata.category(char) == "Co" for char in word)
