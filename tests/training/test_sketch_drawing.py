"""The drawing program and its captions: what the built-in model learns from."""

import random

import numpy as np
import pytest

from training.sketch import attributes, captions
from training.sketch.attributes import Avatar, Scene
from training.sketch.draw import draw

AVATAR = Avatar(
    gender="woman", skin="tan", style="long", hair="red", glasses="round", beard="none", hat="none", hat_color="red",
    expression="smiling", background="green", clothes="blue", pattern="plain", outfit="tee",
)  # fmt: skip


def pixels(record: attributes.Picture, seed: int, width: int = 256) -> np.ndarray:
    return np.asarray(draw(record, random.Random(seed), width, 256))


def near(color: np.ndarray, name: str) -> bool:
    r, g, b = (int(v) for v in color)
    return attributes.contrast((r, g, b), attributes.COLORS[name]) < 30


@pytest.mark.parametrize("record", [AVATAR, Scene("city", "night", "none")])
def test_a_picture_is_decided_by_record_and_seed(record: attributes.Picture) -> None:
    assert np.array_equal(pixels(record, 1), pixels(record, 1))
    assert not np.array_equal(pixels(record, 1), pixels(record, 2))


def test_the_colours_are_where_they_belong() -> None:
    picture = pixels(AVATAR, 3)
    assert near(picture[10, 10], "green")
    assert near(picture[250, 60], "blue")
    assert near(picture[54, 128], "red")


@pytest.mark.parametrize("scene", attributes.SCENES)
@pytest.mark.parametrize("time", attributes.TIMES)
def test_every_scene_can_be_drawn_wide(scene: str, time: str) -> None:
    assert pixels(Scene(scene, time, "none"), 1, 448).shape == (256, 448, 3)


def test_sampled_avatars_stand_out_from_their_background() -> None:
    rng = random.Random(0)
    for _ in range(200):
        avatar = attributes.sample_avatar(rng)
        assert avatar.clothes != avatar.background
        assert avatar.hair != avatar.background
        assert (avatar.hair == "none") == (avatar.style == "bald")
        assert attributes.value(avatar, "hair") == (None if avatar.style == "bald" else avatar.hair)
        assert attributes.value(avatar, "scene") is None


def test_a_full_caption_says_what_there_is() -> None:
    words = captions.caption(AVATAR, random.Random(4), keep=1.0, filler=0.0)
    assert words.said >= {"gender", "skin", "style", "hair", "glasses", "expression", "background", "clothes"}
    assert "green" in words.text
    assert any(word in words.text for word in ("red", "ginger"))


def test_captions_vary_in_words_and_order() -> None:
    rng = random.Random(5)
    assert len({captions.caption(AVATAR, rng).text for _ in range(50)}) > 45


def test_a_rival_says_something_else() -> None:
    rng = random.Random(6)
    for _ in range(20):
        other = captions.rival(AVATAR, captions.Phrase("green background", "background"), rng)
        assert other is not None
        assert "green" not in other.text
    assert captions.rival(AVATAR, captions.Phrase("nothing"), rng) is None


def test_what_is_unsaid_is_usual() -> None:
    rng = random.Random(7)
    for _ in range(300):
        avatar = attributes.sample_avatar(rng)
        said = captions.caption(avatar, rng, keep=0.0, filler=0.0).said
        assert "hair" in said or avatar.hair in (*attributes.NATURAL_HAIRS, "none")
    scenes = [attributes.sample_scene(rng) for _ in range(600)]
    untimed = [scene for scene in scenes if "time" not in captions.caption(scene, rng, keep=0.0, filler=0.0).said]
    assert sum(scene.time == "day" for scene in untimed) > 0.6 * len(untimed)
    unplaced = [scene for scene in scenes if "scene" not in captions.caption(scene, rng, keep=0.0, filler=0.0).said]
    assert set(unplaced) == {captions.USUAL_SCENE}
