"""What a text tells the model: its values by whole phrases, as captions use them."""

import re

from training.sketch import captions
from training.sketch.attributes import BACKGROUNDS, CLOTHES, COLORS


def sayings(text: str, table: captions.Words) -> set[str]:
    """The values of an attribute that a text says, by whole phrases."""
    return {
        value
        for value, phrases in table.items()
        if any(re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text.lower()) for phrase in phrases)
    }


def of_face(text: str) -> dict[str, set[str]]:
    """What a text says of a face: for each attribute that it speaks of, the values."""
    text = text.lower()
    found = {
        "background": set(re.findall(rf"({'|'.join(BACKGROUNDS)}) background", text)),
        "clothes": set(re.findall(rf"({'|'.join(CLOTHES)}) (?:jacket|collar|shirt)", text)),
        "expression": sayings(text, captions.EXPRESSION_WORDS),
        "glasses": sayings(text, captions.GLASSES_WORDS),
        "hat": {"crown"} & set(text.split()),
    }
    return {name: values for name, values in found.items() if values}


def of_place(text: str) -> dict[str, set[str]]:
    """What a text says of a place; `accent`: any colours."""
    found = {
        "scene": sayings(text, captions.SCENE_WORDS),
        "time": sayings(text, captions.TIME_WORDS),
        "accent": set(re.findall(rf"\b({'|'.join(COLORS)})\b", text.lower())),
    }
    return {name: values for name, values in found.items() if values}
