"""The demo model's words, the sentences it should do best at, and how each word sounds."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_MORE_WORDS = """
    oh ten hundred hello hi this is a an the test testing of to and in on for with my your you me i it we are was be
    not no yes okay please thank thanks good morning evening night day today tomorrow weather sunny rain cold hot warm
    app carrot post voice message image photo picture avatar hero video audio song music play stop start open close
    send edit listen new next back up down left right home search help time what how where who show tell make create
    share like comment user name channel group friend friends world welcome recording transcribe speech text word words
    will here there can have from about very red green blue city house water letter number phone call again now first
    last
"""

WORDS = (*DIGITS, *_MORE_WORDS.split())

SENTENCES = (
    "hello this is a test",
    "hello world",
    "hello this is a test of the voice message",
    "this is a test of the voice message",
    "this is a voice message from carrot",
    "welcome to the carrot app",
    "good morning today the weather is sunny",
    "good evening how are you",
    "the weather today is cold",
    "tomorrow will be sunny and warm",
    "please send a voice message to my friend",
    "thank you for the post",
    "thanks for the message",
    "create a new post with a hero image",
    "show me the photo of the day",
    "make a new avatar for me",
    "share this photo with my friends",
    "play the next song",
    "stop the music",
    "start the recording now",
    "please transcribe this recording",
    "transcribe the voice message please",
    "what time is it now",
    "where is the user group",
    "who is there",
    "tell me about the weather",
    "my name is not here",
    "i like the new picture",
    "we are here to help you",
    "you can search for music in the app",
    "open the app and edit a comment",
    "edit the text and send it to the channel",
    "call my phone number again",
    "the first word and the last word",
    "the left and the right",
    "the red house and the blue water",
    "this is not a test",
    "yes please",
    "no thank you",
    "okay good night",
    "how can i make a post",
    "i have a new voice message",
    "the image is very good",
    "the city is hot today",
    "it was a good day",
    "hi how are you today",
    "the voice message is from my friend",
    "send the audio to the group",
    "comment on the video",
    "the number is one two three four",
    "my phone number is five five five one two three four",
    "one hundred and ten",
    "testing one two three",
    "zero one two three four five six seven eight nine",
)

_OTHER_WORDS = """
    table window mountain river guitar elephant banana computer keyboard yellow purple orange doctor engine market
    garden kitchen summer winter bridge castle dragon pencil money travel minute second history science language country
    island ocean forest animal tiger monkey rabbit chicken butter coffee sugar dinner breakfast lunch bottle glass
    mirror curtain ceiling corner basket hammer ladder ticket station airport airplane bicycle truck tractor soldier
    captain pirate wizard magic secret puzzle problem question answer student teacher school college office business
    company factory machine robot rocket planet galaxy universe energy power battery electric signal network server
    database python program function variable because however although sometimes always never everybody nothing
    something anything important different beautiful terrible wonderful strange simple difficult possible run jump walk
    swim fly dance laugh cry sleep eat drink think believe remember forget understand explain describe discuss should
    would could might must shall during between through under over before after until black white brown silver gold
    heavy light strong weak quick slow bread cheese fish meat fruit tree leaf grass stone sand snow ice fire smoke dust
    cloud wind storm
"""

OTHER_WORDS = tuple(_OTHER_WORDS.split())
"""Words outside the vocabulary, so that the model learns what to call UNKNOWN."""

UNKNOWN = "[unk]"
"""What the recogniser writes for a word it does not know; one filler phone, as Kaldi does it."""

SILENCE_PHONE = "sil"
UNKNOWN_PHONE = "spn"

LEXICON_FILE = Path(__file__).with_name("lexicon.txt")

Lexicon = Mapping[str, tuple[tuple[str, ...], ...]]
"""Word -> its pronunciations, each a tuple of CMU phones in lower case."""


def in_vocabulary(text: str) -> bool:
    """Whether the model knows every word of the text."""
    return all(word in WORDS for word in text.split())


def read_lexicon(path: Path = LEXICON_FILE) -> Lexicon:
    """Read `word phone phone ...` lines; a word with several pronunciations has several lines.

    Raises ValueError naming the words if the file does not cover exactly WORDS.
    """
    found: dict[str, list[tuple[str, ...]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split()
        found.setdefault(word, []).append(tuple(phones))
    if wrong := set(found) ^ set(WORDS):
        raise ValueError(f"{path.name} and WORDS differ in {sorted(wrong)}: run python -m training.speech_demo.lexicon")
    return {word: tuple(found[word]) for word in WORDS}


def phone_names(lexicon: Lexicon) -> tuple[str, ...]:
    """The network's outputs in order: silence, the phones of the lexicon, the filler for unknown words."""
    spoken = {phone for pronunciations in lexicon.values() for phones in pronunciations for phone in phones}
    return (SILENCE_PHONE, *sorted(spoken), UNKNOWN_PHONE)


def with_unknown_words(lexicon: Lexicon) -> Lexicon:
    """The lexicon plus OTHER_WORDS, each of them the one filler phone."""
    return {**lexicon, **dict.fromkeys(OTHER_WORDS, ((UNKNOWN_PHONE,),))}


def draw_text(random_: random.Random) -> str:
    """A text of vocabulary words: a known sentence, a row of digits, or words in any order."""
    kind = random_.random()
    if kind < 0.3:
        return random_.choice(SENTENCES)
    if kind < 0.6:
        return " ".join(random_.choice((*DIGITS, "oh")) for _ in range(random_.randint(1, 7)))
    return " ".join(random_.choice(WORDS) for _ in range(random_.randint(1, 7)))


def draw_text_with_unknown_words(random_: random.Random) -> str:
    """A text in which about 6 words of 10 are outside the vocabulary."""
    pools = (OTHER_WORDS if random_.random() < 0.6 else WORDS for _ in range(random_.randint(1, 6)))
    return " ".join(random_.choice(pool) for pool in pools)
