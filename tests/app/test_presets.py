"""The shipped presets are sound and unlike each other, and a bad file is refused with its name and field."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from app.presets import ASPECTS, KINDS, Kind, Preset, PresetError, Presets, load_presets
from engines.errors import InvalidRequest
from engines.sdxl.samplers import SAMPLERS
from training.sketch import attributes, captions
from training.sketch.sayings import of_face, of_place, sayings

BUILTIN = Path(__file__).parents[2] / "presets"

AVATAR = """\
order = 10
name = "Plain"
description = "A plain portrait."
prompt = "{subject}, portrait, grey background"
negative_prompt = "blurry"
width = 1024
height = 896
num_inference_steps = 30
guidance_scale = 5.5
sampler = "dpmpp_2m_karras"
"""
HERO = AVATAR.replace("width = 1024\nheight = 896\n", 'aspect = "16:9"\n').replace("portrait", "mountains")

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def shipped() -> Presets:
    return load_presets(BUILTIN)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes presets/<name> beside one good preset of each kind, and returns the folder."""

    def put(name: str = "hero/good.toml", text: str | bytes = HERO, folder: str = "presets") -> Path:
        root = tmp_path / folder
        for path, content in (("avatar/good.toml", AVATAR), ("hero/good.toml", HERO), (name, text)):
            if folder == "presets" or path == name:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return put


def problems(folder: Path, user: Path | None = None) -> list[str]:
    with pytest.raises(PresetError) as caught:
        load_presets(folder, user)
    return str(caught.value).splitlines()


def everything(presets: Presets) -> list[Preset]:
    return [*presets.avatar, *presets.hero]


# The shipped ones.


def test_enough_of_each_kind_and_defaults_that_suit_most(shipped: Presets) -> None:
    assert len(shipped.avatar) >= 14
    assert len(shipped.hero) >= 14
    assert (shipped.avatar[0].id, shipped.hero[0].id) == ("studio-portrait", "mountain-sunrise")


def test_display_order_is_unambiguous(shipped: Presets) -> None:
    for kind in KINDS:
        orders = [preset.order for preset in shipped.of(kind)]
        assert orders == sorted(set(orders))


def test_prompts_are_distinct_and_short_enough_to_leave_the_subject_its_weight(shipped: Presets) -> None:
    prompts = [preset.prompt for preset in everything(shipped)]
    assert len(set(prompts)) == len(prompts)
    assert max(len(prompt.split()) for prompt in prompts) < 60
    assert all(preset.negative_prompt for preset in everything(shipped))


def test_the_subject_stands_once_and_early(shipped: Presets) -> None:
    for preset in everything(shipped):
        assert preset.prompt.count("{subject}") == 1
        assert len(preset.prompt.partition("{subject}")[0].split()) <= 6, preset.id


def test_words_are_plain_to_compel(shipped: Presets) -> None:
    """No weights in templates, not even by accident: a hyphen or plus at a word's end is one."""
    for preset in everything(shipped):
        assert not re.search(r"[()\"\\]|\S[+-]+(\s|,|$)", f"{preset.prompt} {preset.negative_prompt}"), preset.id


def test_sizes_are_in_range_and_near_what_sdxl_was_trained_on(shipped: Presets) -> None:
    for preset in everything(shipped):
        assert (preset.width, preset.height) in ASPECTS.values()
        assert (preset.aspect is None) == (preset.kind == "avatar")
        assert 20 <= preset.num_inference_steps <= 40
        assert 4 <= preset.guidance_scale <= 8
        assert preset.sampler in SAMPLERS


def test_aspects_are_the_nearest_trained_sizes() -> None:
    # Appendix I of arXiv 2307.01952: width from 512 to 2048 in steps of 64 with these heights, and the same turned.
    heights = {512: (1856, 2048), 576: (1664, 1792), 640: (1536, 1600), 704: (1344, 1472), 768: (1280, 1344)}
    heights |= {832: (1152, 1216), 896: (1088, 1152), 960: (1024, 1088), 1024: (960, 1024)}
    wide = {(w, h) for h, (low, high) in heights.items() for w in range(low, high + 1, 64)}
    trained = wide | {(h, w) for w, h in wide}

    for name, size in ASPECTS.items():
        across, _, down = name.partition(":")
        ratio = int(across) / int(down)

        def off(size: tuple[int, int], ratio: float = ratio) -> float:
            return max(size[0] / size[1] / ratio, ratio * size[1] / size[0])

        assert size == min(trained, key=off), name


# The demo model knows few words: each preset's must be clear to it and unlike every other's.


def told(preset: Preset) -> dict[str, set[str]]:
    text = preset.fill("someone")
    return of_face(text) if preset.kind == "avatar" else of_place(text)


def test_the_demo_model_is_told_something_different_by_every_preset(shipped: Presets) -> None:
    for kind in KINDS:
        for one, other in combinations(shipped.of(kind), 2):
            assert told(one) != told(other), (one.id, other.id)


def test_avatars_tell_the_demo_model_one_background_and_no_scene(shipped: Presets) -> None:
    for preset in shipped.avatar:
        said = told(preset)
        assert "background" in said, preset.id
        assert all(len(values) == 1 for values in said.values()), (preset.id, said)
        for table in (captions.SCENE_WORDS, captions.TIME_WORDS, captions.SKIN_WORDS):
            assert not sayings(preset.prompt, table), preset.id


def test_heroes_tell_the_demo_model_one_scene_one_time_and_at_most_one_colour(shipped: Presets) -> None:
    for preset in shipped.hero:
        said = told(preset)
        # Before the subject, which may be a long summary.
        assert {"scene", "time"} <= of_place(preset.prompt.partition("{subject}")[0]).keys(), preset.id
        assert all(len(values) == 1 for values in said.values()), (preset.id, said)
        assert said.get("accent", set()) <= set(attributes.ACCENTS), preset.id


def test_negative_prompts_do_not_push_the_demo_model_off_what_was_asked(shipped: Presets) -> None:
    tables = (captions.SCENE_WORDS, captions.TIME_WORDS, captions.EXPRESSION_WORDS, captions.GENDER_WORDS)
    for preset in everything(shipped):
        text = preset.negative_prompt.lower()
        assert not any(sayings(text, table) for table in tables), preset.id
        assert not set(re.findall(r"\w+", text)) & set(attributes.COLORS), preset.id


# Using them.


@pytest.mark.parametrize(
    "subject", ["{subject}", "50% {x} {0} %s", "{", r"back\slash \1", "a 'quoted' \"name\"", "猫 🥕"]
)
def test_fill_takes_any_subject_literally(shipped: Presets, subject: str) -> None:
    filled = shipped.get("avatar", "anime").fill(f"  {subject}\n")
    assert filled.startswith(f"anime portrait of {subject}, key visual")


def test_get_finds_by_kind_and_id(shipped: Presets) -> None:
    assert shipped.get("hero", "aurora").name == "Aurora"


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_preset_is_refused_with_what_there_is(shipped: Presets, kind: Kind) -> None:
    with pytest.raises(InvalidRequest, match=f"No {kind} preset 'nothing-like-it'. Available: ") as caught:
        shipped.get(kind, "nothing-like-it")
    assert caught.value.field == "preset"
    assert all(preset.id in str(caught.value) for preset in shipped.of(kind))


@pytest.mark.parametrize("mistyped", ["studio-portait", "Studio Portrait", " STUDIO-PORTRAIT"])
def test_a_mistyped_preset_gets_a_suggestion(shipped: Presets, mistyped: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Did you mean 'studio-portrait'\?"):
        shipped.get("avatar", mistyped)


def test_a_preset_of_the_other_kind_is_unknown(shipped: Presets) -> None:
    with pytest.raises(InvalidRequest, match="No hero preset 'anime'"):
        shipped.get("hero", "anime")


# Reading files.


def test_a_file_becomes_a_preset(write: Write) -> None:
    presets = load_presets(write())
    assert presets.avatar == (
        Preset(
            id="good",
            kind="avatar",
            name="Plain",
            description="A plain portrait.",
            prompt="{subject}, portrait, grey background",
            negative_prompt="blurry",
            width=1024,
            height=896,
            aspect=None,
            num_inference_steps=30,
            guidance_scale=5.5,
            sampler="dpmpp_2m_karras",
            order=10,
        ),
    )
    assert (presets.hero[0].width, presets.hero[0].height, presets.hero[0].aspect) == (1344, 768, "16:9")


def test_a_template_of_several_lines_becomes_one(write: Write) -> None:
    text = HERO.replace('"{subject}, mountains, grey background"', '"""\n{subject},\n  mountains\n"""')
    assert load_presets(write(text=text)).hero[0].prompt == "{subject}, mountains"


def test_a_byte_order_mark_is_no_syntax_error(write: Write) -> None:
    assert load_presets(write(text=b"\xef\xbb\xbf" + HERO.encode())).hero[0].id == "good"


def test_whole_numbers_are_good_for_guidance(write: Write) -> None:
    assert load_presets(write(text=HERO.replace("5.5", "6"))).hero[0].guidance_scale == 6.0


def hero(old: str, new: str) -> str:
    assert old in HERO
    return HERO.replace(old, new)


BAD = [
    ("unknown key", hero("sampler =", "samplr ="), "samplr: is no field", "Did you mean 'sampler'?"),
    ("pixel size in a hero", HERO + "width = 1024\n", "width: is no field", "Remove"),
    ("missing field", hero("guidance_scale = 5.5\n", ""), "guidance_scale: is missing", "give a number from 1"),
    ("missing name", hero('name = "Plain"\n', ""), "name: is missing", "give a display name"),
    ("empty name", hero('"Plain"', '"  "'), "name:", "1 to 40 characters"),
    (
        "text for a number",
        hero("= 30", '= "30"'),
        "num_inference_steps:",
        "not '30'; give a whole number from 1 to 150",
    ),
    ("a fraction of a step", hero("= 30", "= 30.5"), "num_inference_steps:", "not 30.5"),
    ("a flag for a number", hero("5.5", "true"), "guidance_scale:", "not True; give a number"),
    ("a number for text", hero('"blurry"', "3"), "negative_prompt:", "not 3; give up to 1000 characters"),
    ("no steps", hero("= 30", "= 0"), "num_inference_steps:", "greater than or equal to 1, not 0"),
    ("too many steps", hero("= 30", "= 151"), "num_inference_steps:", "less than or equal to 150, not 151"),
    ("too much guidance", hero("5.5", "30.1"), "guidance_scale:", "give a number from 1 to 30"),
    ("guidance that is no number", hero("5.5", "nan"), "guidance_scale:", "finite number"),
    ("negative order", hero("order = 10", "order = -1"), "order:", "give a whole number from 0"),
    ("unknown sampler", hero("dpmpp_2m_karras", "dpmpp_2m_karas"), "sampler:", "Did you mean 'dpmpp_2m_karras'?"),
    ("unknown aspect", hero("16:9", "16:10"), "aspect: '16:10' is unknown.", "Use one of: 21:9, 16:9"),
    ("an aspect that TOML reads as a time", hero('"16:9"', "16:09:00"), "aspect:", "give one of 21:9, 16:9"),
    ("no subject", hero("{subject}, ", ""), "prompt: has {subject} 0 times", "exactly once"),
    ("two subjects", hero("mountains,", "{subject},"), "prompt: has {subject} 2 times", "exactly once"),
    (
        "another placeholder",
        hero("mountains,", "{style},"),
        "prompt: has {style};",
        "the only placeholder is {subject}",
    ),
    ("a lone brace", hero("mountains,", "mount}ains,"), "prompt: has }", "the only placeholder"),
    ("a template too long", hero("mountains,", "mountains, " * 100), "prompt:", "up to 1000 characters"),
    ("broken TOML", hero('"16:9"', '"16:9'), "TOML:", "line 6"),
    ("the same key twice", HERO + 'name = "Twice"\n', "TOML:", "overwrite"),
    ("not UTF-8", HERO.replace("Plain", "Café").encode("latin-1"), "file:", "save it as UTF-8"),
    ("empty file", "", "name: is missing", "give a display name"),
]


@pytest.mark.parametrize(("text", "field", "remedy"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_file_is_named_with_its_field_and_a_remedy(
    write: Write, text: str | bytes, field: str, remedy: str
) -> None:
    folder = write("hero/bad.toml", text)
    found = problems(folder)
    assert all(line.startswith(f"{folder / 'hero' / 'bad.toml'}: ") for line in found)
    assert any(f"bad.toml: {field}" in line and remedy in line for line in found), found


def test_avatar_sizes_are_multiples_of_8_in_range(write: Write) -> None:
    text = AVATAR.replace("1024", "1020").replace("896", "4096")
    lines = problems(write("avatar/bad.toml", text))
    assert [line.partition("bad.toml: ")[2].partition(":")[0] for line in lines] == ["width", "height"]
    assert all("give a multiple of 8 from 64 to 2048" in line for line in lines)


@pytest.mark.parametrize("name", ["My Look", "UPPER", "under_score", "-dash", "two--dashes", "ünicode"])
def test_a_file_name_that_cannot_be_an_id_is_refused(write: Write, name: str) -> None:
    [line] = problems(write(f"avatar/{name}.toml", AVATAR))
    assert f"{name}.toml: file name: {name!r} cannot be an id; use small letters" in line


def test_two_presets_of_one_name_cannot_be_told_apart(write: Write) -> None:
    [line] = problems(write("avatar/second.toml", AVATAR.replace("Plain", "PLAIN")))
    assert "second.toml: name: 'PLAIN' is also the name of " in line


def test_a_file_that_nobody_would_read_is_named(write: Write) -> None:
    folder = write("heroes/lost.toml", HERO)
    (folder / "loose.toml").write_text(HERO)
    assert [Path(line.partition(":")[0]).name for line in problems(folder)] == ["lost.toml", "loose.toml"]


def test_all_problems_of_all_files_are_told_at_once(write: Write) -> None:
    write("avatar/one.toml", "broken")
    folder = write("hero/two.toml", hero("= 30", "= 0").replace("16:9", "1:7"))
    named = [line.removeprefix(f"{folder}/").split(": ")[:2] for line in problems(folder)]
    assert named == [
        ["avatar/one.toml", "TOML"],
        ["hero/two.toml", "num_inference_steps"],
        ["hero/two.toml", "aspect"],
    ]


def test_a_folder_without_presets_is_no_start(tmp_path: Path) -> None:
    lines = problems(tmp_path)
    assert [line.partition(": ")[0] for line in lines] == [str(tmp_path / kind) for kind in KINDS]


# The user's own folder.


def test_a_users_preset_replaces_the_built_in_of_its_id_and_others_are_added(write: Write) -> None:
    builtin = write()
    write("avatar/good.toml", AVATAR.replace("Plain", "Mine"), folder="own")
    own = write("avatar/another.toml", AVATAR.replace("Plain", "Another").replace("order = 10\n", ""), folder="own")
    presets = load_presets(builtin, own)
    assert [(preset.id, preset.name, preset.order) for preset in presets.avatar] == [
        ("good", "Mine", 10),
        ("another", "Another", 1000),
    ]
    assert [preset.id for preset in presets.hero] == ["good"]


def test_a_users_folder_need_not_exist(write: Write, tmp_path: Path) -> None:
    assert len(load_presets(write(), tmp_path / "absent").avatar) == 1


def test_a_users_bad_preset_is_an_error_even_where_the_built_in_is_good(write: Write) -> None:
    builtin = write()
    [line] = problems(builtin, write("hero/good.toml", hero("= 30", "= 999"), folder="own"))
    assert "own/hero/good.toml: num_inference_steps:" in line
