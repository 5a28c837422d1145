"""Says a picture in words: synonyms, free order, things left unsaid, and words that mean nothing here.

What a caption leaves unsaid differs from seed to seed in the trained model, so leaving out is what gives variety.
What is unusual is seldom left out: unsaid, a man's hair is mostly short and a woman's long, and of a natural colour;
nobody is sad, there are no glasses, beard or hat, and the background is plain. Of a place the hour is day, and a place
of which nothing at all is said is hills.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from training.sketch.attributes import (
    BACKGROUNDS,
    CLOTHES,
    EXPRESSIONS,
    HAIRS,
    NATURAL_HAIRS,
    SCENES,
    SKINS,
    TIMES,
    Avatar,
    Picture,
    Scene,
)

Words = dict[str, tuple[str, ...]]

SKIN_WORDS: Words = {
    "pale": ("pale skin", "light skin", "fair skin", "white skin"),
    "tan": ("tan skin", "olive skin", "tanned skin"),
    "brown": ("brown skin", "medium skin"),
    "dark": ("dark skin", "black skin", "deep skin", "ebony skin"),
}
HAIR_WORDS: Words = {
    "black": ("black", "black", "raven"),
    "brown": ("brown", "brown", "brunette", "chestnut"),
    "blonde": ("blonde", "blond", "golden"),
    "red": ("red", "red", "ginger"),
    "grey": ("grey", "gray", "silver"),
    "blue": ("blue",),
    "pink": ("pink",),
    "green": ("green",),
    "purple": ("purple", "violet"),
}
STYLE_WORDS: Words = {
    "short": ("short {} hair", "short {} hair", "{} short hair", "cropped {} hair"),
    "long": ("long {} hair", "long {} hair", "{} long hair", "straight long {} hair"),
    "curly": ("curly {} hair", "curly {} hair", "{} curls", "{} afro", "{} curly hair"),
    "bun": ("{} hair in a bun", "{} bun", "{} hair bun", "{} hair tied in a bun"),
    "spiky": ("spiky {} hair", "{} mohawk", "{} spiky hair", "{} punk hair"),
    "bald": ("bald", "bald head", "no hair", "shaved head"),
}
GLASSES_WORDS: Words = {
    "none": ("no glasses", "without glasses"),
    "round": ("round glasses", "glasses", "wearing glasses", "spectacles", "eyeglasses"),
    "sun": ("sunglasses", "dark glasses", "wearing sunglasses", "shades"),
}
BEARD_WORDS: Words = {
    "none": ("clean shaven", "no beard"),
    "beard": ("a beard", "bearded", "full beard", "beard"),
    "moustache": ("moustache", "a mustache", "mustache", "a moustache"),
}
HAT_WORDS: Words = {
    "none": ("no hat", "without a hat"),
    "cap": ("{} cap", "{} baseball cap", "wearing a {} cap"),
    "beanie": ("{} beanie", "{} knit hat", "{} wool hat", "wearing a {} beanie"),
    "crown": ("a crown", "wearing a crown", "gold crown", "golden crown"),
}
EXPRESSION_WORDS: Words = {
    "smiling": ("smiling", "happy", "cheerful", "joyful", "friendly", "big smile", "laughing"),
    "neutral": ("neutral", "serious", "calm", "relaxed", "confident"),
    "sad": ("sad", "unhappy", "frowning", "worried", "gloomy"),
    "surprised": ("surprised", "shocked", "amazed", "astonished", "open mouth"),
}
GENDER_WORDS: Words = {
    "man": ("man", "man", "guy", "boy", "male", "gentleman"),
    "woman": ("woman", "woman", "girl", "lady", "female"),
}
NEUTRAL_WORDS = ("person", "face", "")
OUTFIT_WORDS: Words = {
    "tee": ("shirt", "t-shirt", "tee", "top", "sweater"),
    "collar": ("shirt", "collared shirt", "blouse", "jacket", "suit"),
    "hoodie": ("hoodie", "hoodie", "sweatshirt"),
}
PATTERN_WORDS: Words = {
    "plain": ("plain background", "simple background", "minimalist", "clean"),
    "circle": ("round badge", "circle behind", "profile badge", "logo"),
    "rays": ("comic", "pop art", "sunburst", "retro"),
    "gradient": ("studio light", "soft light", "gradient", "cinematic"),
}
SCENE_WORDS: Words = {
    "mountains": ("mountains", "mountain range", "snowy mountains", "mountain landscape", "alps", "peaks"),
    "city": ("city skyline", "city", "skyscrapers", "skyline", "buildings", "downtown", "cityscape"),
    "sea": ("sea", "ocean", "sea with a sailboat", "boat on the ocean", "sailing boat", "seascape", "beach"),
    "forest": ("forest", "pine forest", "woods", "trees", "woodland"),
    "desert": ("desert", "desert dunes with cactus", "sand dunes", "cactus desert", "dunes"),
    "space": ("space", "planet in space", "outer space", "planet with rings", "galaxy", "planet", "cosmos"),
    "hills": ("hills", "rolling hills", "meadow", "countryside", "green fields", "valley"),
}
TIME_WORDS: Words = {
    "sunrise": ("at sunrise", "at dawn", "in the morning", "sunrise", "early morning"),
    "day": ("by day", "in daylight", "at noon", "sunny day", "daytime", "blue sky"),
    "sunset": ("at sunset", "at dusk", "in the evening", "sunset", "golden hour"),
    "night": ("at night", "at midnight", "under the moon", "night", "starry night", "moonlight"),
}
USUAL_SCENE = Scene("hills", "day", "none")
OPENINGS: tuple[str, ...] = (
    "flat design avatar of a",
    "avatar of a",
    "portrait of a",
    "a",
    "",
    "",
    "cartoon avatar,",
    "profile picture of a",
    "flat illustration of a",
    "photo of a",
    "headshot of a",
    "close-up of a",
    "drawing of a",
    "picture of a",
)
SCENE_OPENINGS = (
    "flat design hero image of",
    "hero image,",
    "landscape of",
    "",
    "",
    "banner with",
    "flat illustration of",
    "scene of",
    "wallpaper of",
    "wide shot of",
    "photo of",
    "view of",
    "background with",
)
# What presets and people like to add; it must change nothing.
FILLERS = (
    "flat design", "minimal vector art", "high quality", "clean flat style", "highly detailed", "4k", "8k", "dslr",
    "professional", "masterpiece", "best quality", "85mm", "bokeh", "photorealistic", "digital art", "trending",
    "award winning", "cinematic lighting", "soft lighting", "studio lighting", "film grain", "depth of field",
    "vibrant colors", "ultra realistic", "sharp eyes", "centered", "symmetrical", "elegant", "modern", "epic",
    "concept art", "illustration", "watercolor", "oil painting", "anime style", "3d render", "editorial", "minimal",
    "looking at the camera", "natural light", "social media", "website header", "blog post", "copy space", "hdr",
    "beautiful", "colorful", "intricate", "50mm lens", "f/1.8", "skin texture", "upper body", "head and shoulders",
    "sharp focus", "dramatic", "composition",
)  # fmt: skip
NEGATIVES = (
    "blurry", "low quality", "worst quality", "deformed", "bad anatomy", "ugly", "watermark", "text", "signature",
    "extra fingers", "mutated hands", "poorly drawn face", "disfigured", "out of frame", "cropped", "lowres", "noise",
    "duplicate", "oversaturated", "grainy", "bad proportions", "logo", "nsfw", "jpeg artifacts",
)  # fmt: skip
# Things that are in many pictures, and decide nothing by being named.
THINGS = (
    "head", "eyes", "nose", "ear", "sky", "sun", "stars", "snow", "water", "tree", "road", "river", "lake", "house",
    "cloud", "clouds",
)  # fmt: skip
# Words of a post or a blog, among which the known ones must still be found.
CHATTER = (
    "the", "of", "to", "and", "in", "for", "with", "our", "new", "how", "your", "this", "that", "from", "is", "are",
    "about", "more", "team", "work", "life", "best", "story", "people", "day",
)  # fmt: skip


@dataclass(frozen=True)
class Phrase:
    """A few words that say one attribute (`attribute` is "" for words that say nothing)."""

    text: str
    attribute: str = ""


@dataclass(frozen=True)
class Caption:
    """Phrases in the order in which they are spoken."""

    phrases: tuple[Phrase, ...]

    @property
    def text(self) -> str:
        return " ".join(phrase.text for phrase in self.phrases if phrase.text)

    @property
    def said(self) -> frozenset[str]:
        """The attributes that the words decide."""
        return frozenset(name for phrase in self.phrases for name in phrase.attribute.split("+") if name)


def hair_phrase(style: str, hair: str, rng: random.Random) -> Phrase:
    """`style` may be "" (only the colour is said) and `hair` "" (only the style is said)."""
    if style == "bald":
        return Phrase(rng.choice(STYLE_WORDS["bald"]), "style")
    color = rng.choice(HAIR_WORDS[hair]) if hair else ""
    if not style:
        return Phrase(f"{color} hair", "hair")
    words = " ".join(rng.choice(STYLE_WORDS[style]).format(color).split())
    return Phrase(words, "style+hair" if hair else "style")


def _chance(keep: float, usual: bool) -> float:
    """How probably something is said, if the usual is said with `keep`."""
    return keep if usual else 1 - (1 - keep) * 0.1


def _hair(avatar: Avatar, rng: random.Random, keep: float, gendered: bool) -> Phrase | None:
    usual = avatar.style == ("long" if gendered and avatar.gender == "woman" else "short")
    with_style = rng.random() < _chance(keep, usual)
    with_color = rng.random() < keep or avatar.hair not in NATURAL_HAIRS
    if avatar.style == "bald":
        return hair_phrase("bald", "", rng) if with_style else None
    if not (with_style or with_color):
        return None
    return hair_phrase(avatar.style if with_style else "", avatar.hair if with_color else "", rng)


def _spelled(color: str, rng: random.Random) -> str:
    return rng.choice(("grey", "gray")) if color == "grey" else color


def _worn(avatar: Avatar, rng: random.Random, keep: float) -> list[Phrase]:
    """Glasses, beard and hat: said when there, and now and then said to be absent."""
    phrases = []
    for name, words, present in (
        ("glasses", GLASSES_WORDS, avatar.glasses),
        ("beard", BEARD_WORDS, avatar.beard),
        ("hat", HAT_WORDS, avatar.hat),
    ):
        chance = 0.04 if present == "none" else _chance(keep, usual=False)
        if rng.random() >= chance:
            continue
        colored = name == "hat" and present in ("cap", "beanie")
        with_color = colored and rng.random() < keep
        text = rng.choice(words[present]).format(_spelled(avatar.hat_color, rng) if with_color else "")
        phrases.append(Phrase(" ".join(text.split()), "hat+hat_color" if with_color else name))
    return phrases


def avatar_phrases(avatar: Avatar, rng: random.Random, keep: float) -> tuple[Phrase, list[Phrase]]:
    """The subject, and everything else in any order."""
    parts = _worn(avatar, rng, keep)
    gendered = rng.random() < max(keep, 0.6)
    if rng.random() < keep:
        parts.append(Phrase(rng.choice(SKIN_WORDS[avatar.skin]), "skin"))
    if (hair := _hair(avatar, rng, keep, gendered)) is not None:
        parts.append(hair)
    if rng.random() < keep:
        parts.append(Phrase(f"{_spelled(avatar.clothes, rng)} {rng.choice(OUTFIT_WORDS[avatar.outfit])}", "clothes"))
    if rng.random() < keep:
        place = rng.choice(("background", "background", "backdrop"))
        lead = rng.choice(("", "", "on a ", "in front of a "))
        parts.append(Phrase(f"{lead}{_spelled(avatar.background, rng)} {place}", "background"))
    if rng.random() < (0.12 if avatar.pattern == "plain" else 0.95):
        parts.append(Phrase(rng.choice(PATTERN_WORDS[avatar.pattern]), "pattern"))
    subject, attribute = (rng.choice(GENDER_WORDS[avatar.gender]), "gender") if gendered else (
        rng.choice(NEUTRAL_WORDS), "",
    )  # fmt: skip
    if rng.random() < _chance(keep, usual=avatar.expression in ("smiling", "neutral")):
        mood = rng.choice(EXPRESSION_WORDS[avatar.expression])
        if rng.random() < 0.6 and " " not in mood:
            subject, attribute = f"{mood} {subject}".strip(), "+".join(filter(None, ("expression", attribute)))
        else:
            parts.append(Phrase(mood, "expression"))
    rng.shuffle(parts)
    return Phrase(subject, attribute), parts


def scene_phrases(scene: Scene, rng: random.Random, keep: float) -> tuple[Phrase, list[Phrase]]:
    """The place, and the time and colour in any order."""
    if scene == USUAL_SCENE and rng.random() < (1 - keep) * 0.5:
        return Phrase(""), []
    place, attribute = rng.choice(SCENE_WORDS[scene.scene]), "scene"
    parts = []
    if rng.random() < _chance(keep, usual=scene.time == USUAL_SCENE.time):
        parts.append(Phrase(rng.choice(TIME_WORDS[scene.time]), "time"))
    if scene.accent != "none" and rng.random() < 0.95:
        if rng.random() < 0.65:
            place, attribute = f"{scene.accent} {place}", "scene+accent"
        else:
            parts.append(Phrase(f"{scene.accent} {rng.choice(('accent', 'tones', 'theme', 'colors'))}", "accent"))
    rng.shuffle(parts)
    return Phrase(place, attribute), parts


def _joined(subject: Phrase, parts: Sequence[Phrase], opening: str, rng: random.Random) -> list[Phrase]:
    phrases = [Phrase(opening), subject]
    for i, part in enumerate(parts):
        if i == 0:
            joint = rng.choice(("with", "with", ",", ""))
        else:
            joint = "and" if i == len(parts) - 1 and rng.random() < 0.3 else rng.choice((",", ",", ",", ""))
        phrases += [Phrase(joint), part]
    return phrases


def caption(picture: Picture, rng: random.Random, keep: float = 0.78, filler: float = 0.3) -> Caption:
    """A caption that says each attribute with probability `keep`, with meaningless words in a share of `filler`."""
    if isinstance(picture, Avatar):
        subject, parts = avatar_phrases(picture, rng, keep)
        openings = OPENINGS
    else:
        subject, parts = scene_phrases(picture, rng, keep)
        openings = SCENE_OPENINGS
    if parts and rng.random() < 0.15:  # the subject need not come first
        at = rng.randrange(len(parts))
        phrases = _joined(parts[at], [subject, *parts[:at], *parts[at + 1 :]], "", rng)
    else:
        phrases = _joined(subject, parts, rng.choice(openings), rng)
    if rng.random() < filler:
        phrases = _with_filler(phrases, rng)
    return Caption(tuple(phrase for phrase in phrases if phrase.text))


def _with_filler(phrases: list[Phrase], rng: random.Random) -> list[Phrase]:
    kind = rng.random()
    if kind < 0.75:
        extra = [Phrase(", " + ", ".join(rng.sample(FILLERS, rng.choice((1, 2, 3, 5, 8)))))]
        return [*extra, Phrase(","), *phrases] if rng.random() < 0.2 else [*phrases, *extra]
    if kind < 0.9:
        noise = Phrase(" ".join(rng.choice(CHATTER) for _ in range(rng.randint(2, 8))))
    else:
        noise = Phrase("".join(rng.choice("abcdefghijklmnoprstuvwyz") for _ in range(rng.randint(3, 9))))
    at = rng.randrange(len(phrases) + 1)
    return [*phrases[:at], noise, *phrases[at:]]


def rival(picture: Picture, phrase: Phrase, rng: random.Random) -> Phrase | None:
    """A phrase that says another value of what `phrase` says, or None where there is no simple one."""

    def other(values: Sequence[str], mine: str) -> str:
        return rng.choice([v for v in values if v != mine])

    if isinstance(picture, Scene):
        if phrase.attribute == "time":
            return Phrase(rng.choice(TIME_WORDS[other(TIMES, picture.time)]), "time")
        if phrase.attribute == "scene":
            return Phrase(rng.choice(SCENE_WORDS[other(SCENES, picture.scene)]), "scene")
        return None
    if phrase.attribute in ("hair", "style+hair"):
        return Phrase(f"{rng.choice(HAIR_WORDS[other(HAIRS, picture.hair)])} hair", "hair")
    if phrase.attribute == "skin":
        return Phrase(rng.choice(SKIN_WORDS[other(SKINS, picture.skin)]), "skin")
    if phrase.attribute == "clothes":
        return Phrase(f"{other(CLOTHES, picture.clothes)} {rng.choice(('shirt', 'top'))}", "clothes")
    if phrase.attribute == "background":
        return Phrase(f"{other(BACKGROUNDS, picture.background)} background", "background")
    if phrase.attribute == "expression":
        return Phrase(rng.choice(EXPRESSION_WORDS[other(EXPRESSIONS, picture.expression)]), "expression")
    return None


def words_of(*tables: Words) -> set[str]:
    """The single words of all phrases."""
    return {word for table in tables for phrases in table.values() for line in phrases for word in _split(line)}


def meaningful() -> set[str]:
    """The words that say something of a picture."""
    tables = (
        SKIN_WORDS, HAIR_WORDS, STYLE_WORDS, GLASSES_WORDS, BEARD_WORDS, HAT_WORDS, EXPRESSION_WORDS, GENDER_WORDS,
        OUTFIT_WORDS, PATTERN_WORDS, SCENE_WORDS, TIME_WORDS,
    )  # fmt: skip
    return words_of(*tables) | {*BACKGROUNDS, *CLOTHES, "gray"}


def _split(line: str) -> list[str]:
    return line.replace("{}", " ").lower().split()


def vocabulary() -> list[str]:
    """Every word that a caption can hold, so that the tokenizer knows each as one token."""
    lines = [
        *OPENINGS,
        *SCENE_OPENINGS,
        *FILLERS,
        *NEGATIVES,
        *CHATTER,
        *THINGS,
        "hair background",
        "backdrop person face on a in front of accent tones theme colors and with, no not without only very light dark"
        " wearing",
    ]
    return sorted(meaningful() | {word for line in lines for word in _split(line)})
