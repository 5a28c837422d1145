"""Marks that a model puts where nobody said a word: for noise, laughter, silence, a sound that is none of its words."""

from __future__ import annotations

import re

_MARK = re.compile(
    r"""
      \[.*\] | <.*> | \{.*\}    # [unk], [noise], <UNK>, <unk>, <eps>, <s>, {laughter}
    | \+\+.*\+\+                # ++garbage++, as in Sphinx's dictionaries
    | ![A-Z_]+                  # !SIL, as in HTK's and Kaldi's
    | \#(\d+|nonterm.*)         # #0: what Kaldi's graphs are disambiguated by
    """,
    re.VERBOSE,
)


def is_mark(word: str) -> bool:
    """Whether a recogniser's word is such a mark. No language writes words like that, so that the shape tells it in any
    model, whatever it calls its marks; captions and a search would show them to people as words."""
    return _MARK.fullmatch(word) is not None
