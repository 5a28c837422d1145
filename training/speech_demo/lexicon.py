"""How each word is pronounced, asked of flite and written to lexicon.txt: `python -m training.speech_demo.lexicon`.

Only needed again when WORDS change; the file is checked in, so that tests need no flite.
"""

from __future__ import annotations

from training.speech_demo import flite
from training.speech_demo.vocabulary import LEXICON_FILE, WORDS

# Words that change in running speech, in flite's phones. Everything else takes flite's own reading.
SEVERAL_WAYS = {
    "a": ("ax", "ey"),
    "again": ("ax g eh n",),
    "an": ("ae n", "ax n"),
    "and": ("ae n d", "ax n d", "ax n"),
    "are": ("aa r",),
    "can": ("k ae n", "k ax n"),
    "close": ("k l ow z", "k l ow s"),
    "evening": ("iy v n ih ng",),
    "for": ("f ao r", "f er"),
    "from": ("f r ah m", "f r ax m"),
    "have": ("hh ae v",),
    "hundred": ("hh ah n d r ax d",),
    "i": ("ay",),
    "it": ("ih t",),
    "new": ("n uw", "n y uw"),
    "of": ("ah v", "ax v"),
    "the": ("dh ax", "dh iy"),
    "to": ("t ax", "t uw"),
    "today": ("t ax d ey",),
    "tomorrow": ("t ax m aa r ow",),
    "was": ("w aa z", "w ax z"),
    "what": ("w ah t",),
    "with": ("w ih dh", "w ih th"),
    "you": ("y uw",),
    "your": ("y ao r", "y er"),
    "zero": ("z iy r ow", "z ih r ow"),
}


def pronunciations(word: str) -> list[str]:
    """The distinct pronunciations of a word, phones separated by spaces."""
    spoken = SEVERAL_WAYS.get(word) or (" ".join(flite.phones(word)),)
    return list(dict.fromkeys(" ".join(flite.merged(phone) for phone in way.split()) for way in spoken))


def main() -> None:
    """Write lexicon.txt beside this file."""
    lines = [f"{word} {way}" for word in WORDS for way in pronunciations(word)]
    LEXICON_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{LEXICON_FILE.name}: {len(lines)} pronunciations of {len(WORDS)} words")


if __name__ == "__main__":
    main()
