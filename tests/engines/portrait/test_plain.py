"""What the model misses of somebody before a plain background, and what is left alone."""

from __future__ import annotations

import numpy as np

from engines.portrait.plain import completed
from engines.portrait.tflite import Numbers

GROUND, SKIN, BLUE = (0.2, 0.6, 0.55), (0.8, 0.6, 0.5), (0.1, 0.2, 0.9)


def drawing() -> tuple[Numbers, Numbers]:
    """A face that the mask has, blue hair beside it that the mask lacks, and a blue ball that touches nothing."""
    picture = np.empty((256, 256, 3), np.float32)
    picture[:] = GROUND
    picture += np.random.default_rng(1).normal(0, 0.01, picture.shape).astype(np.float32)
    picture[90:200, 60:90] = BLUE
    picture[90:250, 90:170] = SKIN
    picture[100:130, 210:230] = BLUE
    mask = np.zeros((256, 256), np.float32)
    mask[90:250, 90:170] = 1
    return picture, mask


def test_hair_of_a_colour_that_the_model_does_not_know_is_added() -> None:
    picture, mask = drawing()
    found = completed(picture, mask)
    assert found[150, 75] == 1
    assert found[92:198, 62:88].min() > 0.9
    # Neither what touches nobody nor the ground.
    assert found[100:130, 208:232].max() == 0
    assert found[20:80].max() == 0
    assert (found >= mask).all()


def test_a_shadow_on_the_ground_is_none_of_it() -> None:
    picture, mask = drawing()
    picture[90:200, 60:90] = tuple(part * 0.85 for part in GROUND)
    assert (completed(picture, mask) == mask).all()


def test_before_a_ground_that_is_not_plain_nothing_is_added() -> None:
    picture, mask = drawing()
    picture[:80, :20] = (0.9, 0.1, 0.1)
    assert (completed(picture, mask) == mask).all()


def test_a_picture_that_somebody_fills_stays_as_it_is() -> None:
    picture, _ = drawing()
    everywhere = np.ones((256, 256), np.float32)
    assert (completed(picture, everywhere) == everywhere).all()
