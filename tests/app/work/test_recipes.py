"""What was given, the model's own recipe and the preset meet in one request, in that order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.presets import ASPECTS, Preset, Presets
from app.work.image import PictureKind, PictureWork, PlainKind, PlainRequest
from app.work.presets import AvatarKind, HeroKind, HeroRequest, hero_prompt
from engines.errors import InvalidRequest
from engines.requests import MAX_PROMPT_CHARS, ImageRequest, parse
from engines.results import ImageModelInfo, Unused
from tests.small_engines import BlobEngine

SDXL = ImageModelInfo(
    name="sdxl",
    label="SDXL",
    demo=False,
    device="cpu",
    sizes=((1024, 1024),),
    fixed_sizes=False,
    num_inference_steps=25,
    guidance_scale=7.0,
    sampler="euler",
    samplers=("euler", "heun", "dpmpp_2m_karras"),
    own_recipe=False,
    max_pixels=2**22,
)
SKETCH = replace(SDXL, name="sketch", demo=True, fixed_sizes=True, own_recipe=True)
PRESET = Preset(
    id="look",
    kind="hero",
    name="Look",
    description="A look.",
    prompt="photo of {subject}, mountains",
    negative_prompt="blurry, text",
    width=1344,
    height=768,
    aspect="16:9",
    num_inference_steps=32,
    guidance_scale=5.5,
    sampler="dpmpp_2m_karras",
    order=1,
)


class Knowing(BlobEngine):
    """A small engine that says of itself what it is told to."""

    told: ImageModelInfo = SDXL

    @property
    def info(self) -> ImageModelInfo:
        return self.told


def request(preset: Preset | None = PRESET, info: ImageModelInfo = SDXL, /, **given: Any) -> PictureWork:
    """What a hero's request with these values comes to."""
    engine = Knowing()
    engine.told = info
    values = {"prompt": "a cat", "seed": 7, **given}
    if preset is None:
        values["preset"] = "none"
    kind = HeroKind(engine, Presets((), (preset or PRESET,)))
    return kind.prepare(parse(HeroRequest, values), {})[0]


def test_the_preset_decides_what_was_not_given() -> None:
    assert request() == PictureWork(
        seed=7,
        preset="look",
        prompt="photo of a cat, mountains",
        negative_prompt="blurry, text",
        width=1344,
        height=768,
        num_inference_steps=32,
        guidance_scale=5.5,
        sampler="dpmpp_2m_karras",
    )


GIVEN: dict[str, Any] = {
    "seed": 8,
    "count": 3,
    "width": 512,
    "height": 640,
    "num_inference_steps": 1,
    "guidance_scale": 1.0,
    "sampler": "heun",
}


@pytest.mark.parametrize("info", [SDXL, SKETCH], ids=lambda info: info.name)
@pytest.mark.parametrize("preset", [PRESET, None], ids=["preset", "no preset"])
@pytest.mark.parametrize("name", GIVEN)
def test_what_was_given_comes_first_and_alone(info: ImageModelInfo, preset: Preset | None, name: str) -> None:
    plain = request(preset, info)
    assert request(preset, info, **{name: GIVEN[name]}) == plain.model_copy(update={name: GIVEN[name]})


FACE = replace(PRESET, id="face", kind="avatar", prompt="portrait of {subject}", width=832, height=1216, aspect=None)
PRESETS = Presets((FACE,), (PRESET, replace(PRESET, id="second", prompt="{subject} at night")))


def prepared(make: Callable[[BlobEngine], PictureKind[Any]], /, **sent: Any) -> Any:
    """The work that a request comes to, and what of it will not be used."""
    kind = make(Knowing())
    return kind.prepare(parse(kind.request_type, {"prompt": "a cat", "seed": 7, **sent}), {})


def hero(engine: BlobEngine) -> HeroKind:
    return HeroKind(engine, PRESETS)


def avatar(engine: BlobEngine) -> AvatarKind:
    return AvatarKind(engine, PRESETS)


def test_the_first_preset_is_taken_where_none_is_named_and_another_by_its_id() -> None:
    assert prepared(hero)[0].preset == "look"
    assert prepared(hero, preset="second")[0].prompt == "a cat at night"
    assert prepared(avatar)[0].prompt == "portrait of a cat"
    with pytest.raises(InvalidRequest, match="look, second") as caught:
        prepared(hero, preset="face")
    assert caught.value.field == "preset"


def test_null_stands_for_what_is_left_out() -> None:
    nothing = dict.fromkeys([*GIVEN, "preset", "aspect", "negative_prompt"])
    assert prepared(hero, **{**nothing, "seed": 7}) == prepared(hero)


def test_how_far_to_go_from_the_photo_is_the_senders_choice() -> None:
    usual = prepared(avatar)[0]
    assert prepared(avatar, photo_strength=0.3)[0] == usual.model_copy(update={"photo_strength": 0.3})


class Asked(Knowing):
    """Keeps what it is asked about, and has something to say."""

    said = (Unused("guidance_scale", "guidance_scale has no effect here."),)
    asked: ImageRequest | None = None

    def check(self, request: ImageRequest, photo: Path | None) -> tuple[Unused, ...]:
        self.asked = request
        return self.said


def test_the_model_is_asked_about_the_work_and_says_what_it_will_not_use() -> None:
    engine = Asked()
    work, unused = prepared(lambda _: hero(engine))
    assert (engine.asked, unused) == (work, engine.said)


@pytest.mark.parametrize("prompt", ["", " ", "\n\t", "\u3000"])
@pytest.mark.parametrize("preset", ["face", "none"])
def test_an_avatar_needs_a_prompt(preset: str, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match="prompt is empty") as caught:
        prepared(avatar, preset=preset, prompt=prompt)
    assert caught.value.field == "prompt"


def test_a_hero_without_a_prompt_is_made_of_the_post() -> None:
    post = {"title": "Ten tips", "summary": "Rest."}
    assert prepared(hero, prompt=" ", **post)[0].prompt == "photo of a scene about Ten tips, Rest, mountains"
    assert prepared(hero, **post)[0].prompt == "photo of a cat, mountains"


@pytest.mark.parametrize("name", ["prompt", "negative_prompt"])
@pytest.mark.parametrize("make", [PlainKind, hero, avatar])
def test_words_that_are_too_long_by_themselves_are_refused(make: Any, name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"has {MAX_PROMPT_CHARS + 1} characters") as caught:
        prepared(make, **{name: "x" * (MAX_PROMPT_CHARS + 1)})
    assert caught.value.field == name


def test_a_random_seed_is_drawn_before_anything_runs() -> None:
    seeds = {request(seed=-1).seed for _ in range(20)}
    assert len(seeds) > 15


def test_the_kind_without_presets_takes_the_words_as_they_are() -> None:
    work, _ = PlainKind(BlobEngine()).prepare(PlainRequest(prompt=" a cat ", seed=7, width=512), {})
    assert work == PictureWork(prompt=" a cat ", seed=7, width=512)


def test_a_model_with_its_own_recipe_keeps_it_and_takes_the_presets_words_and_size() -> None:
    made = request(PRESET, SKETCH)
    assert (made.num_inference_steps, made.guidance_scale, made.sampler) == (None, None, None)
    assert (made.prompt, made.negative_prompt) == ("photo of a cat, mountains", "blurry, text")
    assert (made.width, made.height) == (1344, 768)


def test_without_a_preset_the_words_are_the_users_and_the_rest_the_models() -> None:
    assert request(None, prompt=" a cat ", negative_prompt="dog") == PictureWork(
        prompt="a cat", negative_prompt="dog", seed=7
    )


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        (None, "blurry, text"),
        ("", "blurry, text"),
        ("  \n", "blurry, text"),
        ("hands", "blurry, text, hands"),
        (" , hands, ", "blurry, text, hands"),
    ],
)
def test_a_negative_prompt_is_added_to_the_presets(given: str | None, joined: str) -> None:
    assert request(negative_prompt=given).negative_prompt == joined


def test_an_empty_negative_prompt_of_a_preset_leaves_no_comma() -> None:
    assert request(replace(PRESET, negative_prompt=""), negative_prompt="hands").negative_prompt == "hands"


@pytest.mark.parametrize("aspect", ASPECTS)
def test_an_aspect_is_a_size(aspect: str) -> None:
    made = request(aspect=aspect)
    assert (made.width, made.height) == ASPECTS[aspect]


@pytest.mark.parametrize("aspect", ["16:10", "9x16", "1:" + "9" * 500])
def test_an_unknown_aspect_is_refused_with_what_there_is(aspect: str) -> None:
    with pytest.raises(InvalidRequest, match="Send one of 21:9, 16:9, 3:2") as caught:
        request(aspect=aspect)
    assert caught.value.field == "aspect"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("size", [{"width": 512}, {"height": 512}])
def test_an_aspect_and_a_size_contradict_each_other(size: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match="not both") as caught:
        request(aspect="1:1", **size)
    assert caught.value.field == "aspect"


@pytest.mark.parametrize("prompt", ["", " ", "\n\t", "\u3000"])
@pytest.mark.parametrize("preset", [PRESET, None], ids=["preset", "no preset"])
def test_a_blank_prompt_of_a_post_that_says_nothing_is_refused(preset: Preset | None, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match="Give a prompt, or the title") as caught:
        request(preset, prompt=prompt)
    assert caught.value.field == "prompt"


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_the_presets_words_count_towards_the_longest_prompt(field: str) -> None:
    extra = len(getattr(request(**{field: "x"}), field)) - 1
    fits = "x" * (MAX_PROMPT_CHARS - extra)
    assert len(getattr(request(**{field: fits}), field)) == MAX_PROMPT_CHARS
    with pytest.raises(InvalidRequest, match="preset 'look' is 1 characters too long") as caught:
        request(**{field: fits + "x"})
    assert caught.value.field == field


def test_a_post_becomes_a_subject() -> None:
    subject = hero_prompt("  Ten tips\n for better   sleep ", "Rest well.")
    assert subject == "a scene about Ten tips for better sleep, Rest well"


@pytest.mark.parametrize(("title", "summary"), [("Sleep", ""), ("", "Sleep"), ("Sleep", " \n"), ("...", "Sleep")])
def test_a_title_or_a_summary_is_enough(title: str, summary: str) -> None:
    assert hero_prompt(title, summary) == "a scene about Sleep"


@pytest.mark.parametrize(("title", "summary"), [("", ""), (" ", "\n"), ('"()"', "..."), ("https://example.com/a", "")])
def test_a_post_that_says_nothing_is_refused(title: str, summary: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        hero_prompt(title, summary)
    assert caught.value.field == "prompt"


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ('He said "stop" (twice)', "He said stop twice"),
        ("“Sleep” «well»", "Sleep well"),
        ("C++ for - well-being-- and more+", "C for - well-being and more"),
        ("#sleep @night **bold** `code`", "sleep night bold code"),
        ("Read https://example.com/x?y=(z) now", "Read now"),
        ("50% off\x00, isn't it?", "50% off , isn't it?"),
        ("猫と眠る 🥕", "猫と眠る 🥕"),
        (r"a {subject} \ %s", "a subject %s"),
    ],
)
def test_a_title_is_words_and_no_syntax(title: str, words: str) -> None:
    assert hero_prompt(title) == f"a scene about {words}"


def test_long_posts_are_cut_between_words() -> None:
    subject = hero_prompt("carrot " * 100, "studio " * 100)
    title, _, summary = subject.removeprefix("a scene about ").partition(", ")
    assert set(title.split()) == {"carrot"}
    assert set(summary.split()) == {"studio"}
    assert 110 < len(title) <= 120
    assert 230 < len(summary) <= 240


def test_a_word_that_fits_exactly_is_kept_and_one_without_gaps_is_cut() -> None:
    assert hero_prompt("a" * 119 + " b").endswith(" " + "a" * 119)
    assert hero_prompt("a" * 118 + " b").endswith("a b")
    assert hero_prompt("a" * 60 + " " + "b" * 59 + " c").endswith("a " + "b" * 59)
    assert hero_prompt("猫" * 200) == "a scene about " + "猫" * 120
