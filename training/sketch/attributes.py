"""What a picture can show: the vocabularies, the two frozen records, and how they are drawn by lot.

Knows nothing of drawing, captions or models.
"""

import random
from dataclasses import asdict, dataclass, fields

Color = tuple[int, int, int]

COLORS: dict[str, Color] = {
    "black": (38, 36, 44),
    "white": (246, 244, 238),
    "grey": (152, 156, 164),
    "red": (214, 58, 52),
    "orange": (244, 140, 48),
    "yellow": (250, 208, 70),
    "green": (62, 160, 92),
    "teal": (36, 170, 172),
    "blue": (58, 108, 216),
    "purple": (132, 78, 188),
    "pink": (246, 138, 178),
    "brown": (112, 70, 42),
    "blonde": (240, 204, 106),
}
SKIN_COLORS: dict[str, Color] = {
    "pale": (255, 222, 198),
    "tan": (228, 176, 124),
    "brown": (160, 104, 68),
    "dark": (98, 64, 46),
}

SKINS = tuple(SKIN_COLORS)
STYLES = ("short", "long", "curly", "bun", "spiky", "bald")
NATURAL_HAIRS = ("black", "brown", "blonde", "red", "grey")
HAIRS = (*NATURAL_HAIRS, "blue", "pink", "green", "purple")
GLASSES = ("none", "round", "sun")
BEARDS = ("none", "beard", "moustache")
HATS = ("none", "cap", "beanie", "crown")
HAT_COLORS = ("red", "blue", "green", "black", "yellow")
EXPRESSIONS = ("smiling", "neutral", "sad", "surprised")
GENDERS = ("man", "woman")
BACKGROUNDS = ("blue", "teal", "green", "yellow", "orange", "red", "pink", "purple", "white", "grey", "black")
CLOTHES = ("blue", "teal", "green", "yellow", "orange", "red", "pink", "purple", "white", "grey", "black")
PATTERNS = ("plain", "circle", "rays", "gradient")
OUTFITS = ("tee", "collar", "hoodie")

KINDS = ("face", "place")
SCENES = ("mountains", "city", "sea", "forest", "desert", "space", "hills")
TIMES = ("sunrise", "day", "sunset", "night")
ACCENTS = ("none", "red", "orange", "pink", "purple", "blue", "teal", "green")

# Two surfaces that touch need this much distance in RGB (Euclidean, 0..441), or the picture loses its outline.
MIN_CONTRAST = 88.0


@dataclass(frozen=True)
class Avatar:
    """One face. `hair` is "none" exactly when `style` is "bald"; `hat_color` counts only for cap and beanie."""

    gender: str
    skin: str
    style: str
    hair: str
    glasses: str
    beard: str
    hat: str
    hat_color: str
    expression: str
    background: str
    clothes: str
    pattern: str
    outfit: str


@dataclass(frozen=True)
class Scene:
    """One landscape. `accent` recolours the main thing in it ("none": its natural colour)."""

    scene: str
    time: str
    accent: str


Picture = Avatar | Scene


def value(picture: Picture, attribute: str) -> str | None:
    """The picture's value of an attribute, or None where it has no such attribute (or it cannot be seen).

    Beside the fields there is "kind", of KINDS.
    """
    if attribute == "kind":
        return KINDS[isinstance(picture, Scene)]
    if attribute not in {field.name for field in fields(picture)}:
        return None
    if attribute == "hat_color" and getattr(picture, "hat") not in ("cap", "beanie"):  # noqa: B009 - narrows the union
        return None
    if attribute == "hair" and getattr(picture, "style") == "bald":  # noqa: B009
        return None
    return str(getattr(picture, attribute))


def contrast(a: Color, b: Color) -> float:
    """Euclidean distance of two colours in RGB, 0..441."""
    return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5)


def color_of(attribute: str, name: str) -> Color:
    """The colour that the value `name` of an attribute has."""
    return SKIN_COLORS[name] if attribute == "skin" else COLORS[name]


def touching(avatar: Avatar) -> list[tuple[str, str]]:
    """The pairs of surfaces that touch, as attributes ("crown" is one of its own)."""
    pairs = [("skin", "background"), ("clothes", "background"), ("clothes", "skin")]
    if avatar.style != "bald":
        pairs += [("hair", "background"), ("hair", "skin")]
        if avatar.style == "long":
            pairs.append(("hair", "clothes"))
    if avatar.hat in ("cap", "beanie"):
        pairs += [("hat_color", "background"), ("hat_color", "skin")]
        if avatar.style != "bald":
            pairs.append(("hat_color", "hair"))
    if avatar.hat == "crown":
        pairs.append(("crown", "background"))
    return pairs


def apart(*surfaces: tuple[str, str]) -> bool:
    """Whether two surfaces, each (attribute, value), can be told apart where they touch."""
    # Black hair on dark skin is common and reads well: skin is held to less.
    least = 45.0 if "skin" in dict(surfaces) else MIN_CONTRAST
    first, second = (color_of(*surface) for surface in surfaces)
    return contrast(first, second) >= least


def _well_set_apart(avatar: Avatar) -> bool:
    held = {**asdict(avatar), "crown": "yellow"}
    return all(apart((a, held[a]), (b, held[b])) for a, b in touching(avatar))


def sample_avatar(rng: random.Random) -> Avatar:
    """An avatar whose surfaces can be told apart."""
    while True:
        gender = rng.choice(GENDERS)
        style = rng.choices(STYLES, [3, 2, 3, 1, 3, 1.6] if gender == "man" else [2.2, 3.5, 3, 3, 1.5, 0.4])[0]
        # A hat hides a bun and spikes; drawing both would teach the model that the words mean nothing.
        hat = rng.choices(HATS, [5, 1.6, 1.6, 1.4])[0] if style not in ("bun", "spiky") else "none"
        avatar = Avatar(
            gender=gender,
            skin=rng.choice(SKINS),
            style=style,
            hair="none" if style == "bald" else rng.choice(HAIRS),
            glasses=rng.choices(GLASSES, [5, 3, 2.4])[0],
            beard=rng.choices(BEARDS, [4, 3, 2.6])[0] if gender == "man" else "none",
            hat=hat,
            hat_color=rng.choice(HAT_COLORS),
            expression=rng.choices(EXPRESSIONS, [4, 3, 3, 3])[0],
            background=rng.choice(BACKGROUNDS),
            clothes=rng.choice(CLOTHES),
            pattern=rng.choices(PATTERNS, [3, 3, 1.5, 2])[0],
            outfit=rng.choice(OUTFITS),
        )
        if _well_set_apart(avatar):
            return avatar


def sample_scene(rng: random.Random) -> Scene:
    """A landscape; two of three keep their natural colours."""
    return Scene(rng.choice(SCENES), rng.choice(TIMES), rng.choices(ACCENTS, [14] + [1] * 7)[0])
