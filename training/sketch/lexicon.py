"""Words that people and presets put into image prompts and that mean nothing to this model.

As whole tokens they leave room in the 77, and the text encoders learn to hear past them (`training.sketch.harden`).
"""

import random
from dataclasses import dataclass

from training.sketch.attributes import Avatar, Picture
from training.sketch.captions import (
    CHATTER,
    EXPRESSION_WORDS,
    FILLERS,
    PATTERN_WORDS,
    SCENE_WORDS,
    THINGS,
    TIME_WORDS,
    meaningful,
    words_of,
)

LEXICON = tuple(  # as a text, because it is read and edited as one
    """
    3d 16 35mm abstract above across adventure aerial aesthetic afternoon ai air airbrushed airy amazing ambient
    analog anamorphic ancient angle antialiased app appetising aperture architectural architecture armour artist
    artistic artwork articles astronomical athlete atmosphere aurora author autumn awnings baby balanced balcony
    bar batik before being beside between big bird birds bit blossom blurred body bokeh bold book books borealis
    border bottle bread breeze bridge bright brush brushstrokes brushwork business bust busy cafe calligraphy
    camera candid candle canvas captured careful cat cats cel cell center centre centred cgi chaos character
    characters charcoal chart chiaroscuro chromatic cinema classic classical close clothing clutter coast
    cobblestone code coder coffee collage coloured colour colours comfortable community company computer
    conference confetti contemplative contemporary contrast cookies cool corporate cosmic cosy countless cozy
    craft creamy creative creepy crisp crowd crystal cute cyberpunk cybernetic dancing dashboard data decorated
    deep delicate delicious designer desk desktop detail details developer diffused digital director dithering
    document dog dogs dots down dragon dramatic drawn dreamy dress drone dusty dynamic early earth earthly easy
    edge edges education elements embroidered emotion energy engineer engraved entrepreneur environment ethereal
    even event every exposure expressive exterior fabric faceted faded fallen family fantasy far fashion
    festival festive few field fields figure fill film fine finance fire first fitness flare floating floor
    floral flower flowers fluffy focus fog foliage food footage foreground form forms frame fresh friend friends
    fruit full fun futuristic galaxy gallery game garden gentle geometric geometry ghibli giant giving glass
    glitch global glossy glow glowing gold good gothic gradients grain grand graphic graphics great greyscale
    ground group growth guide halation halftone halos hand handsome harbour hard harmonious haze hazy health
    heart heavy hero heroic hills history holding holiday holographic home honest horizon horse hot houseplants
    human icon icons ideas image images impasto impressionist impressive industrial influencer ink innovation
    insects inside inspired inspiring instagram interface interior into inviting iridescent island isometric
    jewelry job journal journey joy jungle just kodak lamp landscapes lanterns laptop large lattice launch
    layered layers leader learn learning leather leaves lens level library lifestyle lights line lines linework
    linkedin liquid little lively living local logo lone lookbook lost love low luminous luxury machine macro
    magazine magic magical majestic manager manga many map marble market marketing massive material matte
    medieval medium memphis messy metal metallic microscopic mist misty mobile model monochrome mood moody
    morning mossy motion mountainous movie moving multiple muted mystical mysterious narrow nature near neat
    neon network news next nice nobody noir northern nostalgic notebook novel object objects off office old
    online open optimistic organic origami ornate outdoor outdoors outline outlines over overhead own page
    painted painterly painting palette panorama panoramic paper papercraft particles party pastel path patterns
    pencil perfect person perspective phone photograph photographer photographic photography photos piece
    pigment pixel pixels place plain planar plants plastic playful podcast poly polished portra portraits pose
    poster powerful pretty print product production productive professor profile programmer project psychedelic
    pure quiet rain rainy raking ray raytracing ready real realism realistic reflections remote render rendered
    rendering renders resolution rich rim ripples robot rocks room rough round rounded royal rule rustic sail
    sand saturated scale scattering scenery science scientist screen sculpted sculpture sea season seamless
    sepia serene setting several shade shades shading shadow shadows shallow shape shapes shiny shoes shop short
    shot shoulder show side silhouette silk simple single singer size sketch skilled sleek slight small smart
    smile smoke smooth snapshot social softbox software solid some sparkling speaker special spectacular speech
    speed splash splashes spring sports stage stained stairs stand standing startup steampunk steps still stock
    storm stormy street streets strings strong student studies stunning style styled stylised stylish stylized
    subject subsurface subtle success summer sunbeams sunlight super surface surreal sweet symmetry synthwave
    table tall teacher tech techniques technology techwear temple ten terrain texture textured theatre thick
    thin thing things thirds three tilt time timeless tiny tips tonal tone top topics touch tower town toy
    trails tranquil transparent travel traveller trend trendy triangles tropical trunks two typography ultra
    uncluttered uncanny under underwater unique universe unposed unreal unsplash up updates urban use vaporwave
    varnished vast vector vegetables vehicle very vibe vibrant victorian video view vignette village vintage
    vivid volumetric walking wall walls warm warrior washed washes watching water watercolour waves way weather
    web website week welcome welcoming wet what when where while wide wild wind window windows winter wise
    wizard wonder wonderful wooden world wrinkles writer writing year years yellowish yoga young your zen zoom
    """.split()  # noqa: SIM905
)
# Words of posts and presets that the tokenizer cuts into pieces, as it does most words of a language.
RARE = tuple(
    """
    accessible account animated announcing answers around autumnal backlight bakery because become behaviour below
    benefits between bicycle bleeding breakfast bubble budget build building burning camp campaign careers celebrate
    change chaotic checklist children chocolate chrome circuit clear climate closer clothes cluttered coaching collar
    colleagues complex concert confidence contributors cooking course creators curious customers dappled decision
    delicious delivery designing dinner disappear discover distorted download dull easier empty endless events
    everything exercise experience explained faces faster features feedback finally forming founders free freelance
    funding furniture generous getting glacier grade grass grateful grid growing habits happening harvest healthy
    helping hidden hiking honey hosting illumination improve inbox insights interview introducing investing joining
    kitchen knowledge launching leadership learned lessons letters limited listening looking loose lunch lush making
    marathon meeting members mentor mirror mistakes moment mornings museum musicians neighbours newsletter noisy
    nutrition occlusion opening parents patience pattern payments planning platform points practice preparing
    pricing principles privacy problems projects questions reading recipe recipes recycling release remember report
    research resilience ridge rotten roadmap running safety sailing savings scattered schedule school secret
    security sense series services sharing simpler sleeping solar soup square starting stories strategy stronger
    subscribe sustainable teaching teams testing thinking tickets tilted tinted together tourism tradition training
    trust tutorial understanding updates useful vacation values version visible visual visiting volunteers wellness
    wildflowers winding winner without wonders workshop workspace worth writers yearly yesterday zero
    """.split()  # noqa: SIM905
)
# Words that end in one with a meaning and are cut there: "answered" is "an", "swe" and "red".
BORROWERS = tuple(
    """
    acquired admired ahead answered apart arrange authenticity belong birthday brings capacity captured cared cart
    cleared committee compared configured considered covered delivered desired discovered electricity engineered entered
    everyday expired explored fired flight gathered german guarantee heart highlight hired human hundred ignored
    inspired jared layered loft manufactured measured microsoft monday multipart namespace numbered offered ordered
    part powered prepared publicity rearrange registered remembered required restart restored retired roman router
    rumored scattered scored scrolling shared simplicity smart someday squared start stored structured sunday surround
    thousand thunder tired today triggered tuesday wandered weekday wired wondered workspace yearly yesterday
    """.split()  # noqa: SIM905
)
_SOUNDS = (
    "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we", "xi", "yo",
    "zu", "bra", "cle", "stri", "pho", "thu", "gra", "er", "in", "ost", "ul", "ang", "ty", "tion", "ness",
)  # fmt: skip


@dataclass(frozen=True)
class Strangers:
    """Words that mean nothing: beside a face, and beside a place, where what is `said_of_faces` means nothing too."""

    faces: tuple[str, ...]
    said_of_faces: frozenset[str]
    endings: tuple[str, ...]
    """Words with a meaning, in which an unknown word may end."""

    def beside(self, picture: Picture) -> tuple[str, ...]:
        return self.faces if isinstance(picture, Avatar) else (*self.faces, *sorted(self.said_of_faces) * 3)

    def noise(self, count: int, words: tuple[str, ...], rng: random.Random) -> str:
        """`count` words: of `words`, or made up, with commas now and then."""
        made = []
        for _ in range(count):
            kind = rng.random()
            word = rng.choice(words) if kind < 0.7 else "".join(rng.choices(_SOUNDS, k=rng.randint(1, 4)))
            if kind > 0.94:
                word += rng.choice(self.endings)
            elif kind > 0.82:
                word = rng.choice(BORROWERS)
            made.append(word + ("," if rng.random() < 0.25 else ""))
        return " ".join(made)


def strangers() -> Strangers:
    known = meaningful() | {"without"}
    words = (*LEXICON, *RARE, *THINGS, *CHATTER, *(word for line in FILLERS for word in line.split()))
    faces = tuple(dict.fromkeys(word for word in words if word not in known))
    said_of_faces = {"sky"} | words_of(PATTERN_WORDS, EXPRESSION_WORDS) - words_of(SCENE_WORDS, TIME_WORDS)
    endings = tuple(sorted(word for word in known if word.isalpha() and len(word) > 2))
    return Strangers(faces, frozenset(said_of_faces - {"background"}), endings)
