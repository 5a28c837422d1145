"""What the denoiser is taught: recoloured drawings are drawings, and what words leave open is told as it is."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from training.sketch import data, recolor
from training.sketch.attributes import Avatar, apart, sample_avatar, touching
from training.sketch.draw import draw
from training.sketch.examples import Examples, times
from training.sketch.paths import MODEL
from training.sketch.restore import restore
from training.sketch.tokenizer import WordTokens, make_tokenizer


class Untinted(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return 0.0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sketch")
    restore(MODEL, folder)
    return folder


@pytest.mark.parametrize("seed", range(6))
def test_recoloured_latents_are_those_of_the_drawing_in_these_colours(workspace: Path, seed: int) -> None:
    rng = Untinted(seed)
    avatar = sample_avatar(rng)
    other = recolor.recolored(avatar, rng)
    assert other != avatar
    latents, _ = recolor.colorings(other, data.encoded(recolor.basis(avatar), workspace), frozenset(), rng)
    drawn = torch.from_numpy(data.encoded([draw(other, rng, 256, 256)], workspace)[0].astype(np.float32))
    assert float((latents - drawn).abs().max()) < 0.1
    assert float(drawn.std()) > 0.5


def test_only_what_is_unsaid_changes_and_surfaces_stay_apart() -> None:
    rng = random.Random(2)
    for _ in range(20):
        avatar = sample_avatar(rng)
        found = recolor.choices(avatar, frozenset({"clothes", "hair"}))
        assert found["skin"] == (avatar.skin,)
        assert found["background"] == (avatar.background,)
        for place in recolor.combinations(avatar, found)[:40]:
            held = {name: found[name][at] for name, at in zip(recolor.SURFACES, place, strict=True)}
            held["crown"] = "yellow"
            assert all(apart((a, held[a]), (b, held[b])) for a, b in touching(avatar))


def test_under_little_noise_the_picture_is_expected_and_under_much_the_mean_of_all(workspace: Path) -> None:
    rng = random.Random(4)
    avatar = sample_avatar(rng)
    latents, possible = recolor.colorings(
        avatar, data.encoded(recolor.basis(avatar), workspace), frozenset({"skin"}), rng
    )
    assert len(possible.options) > 5
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    clear, dark = torch.tensor([0.99]), torch.tensor([1e-7])
    seen = possible.expected(clear.sqrt() * latents + (1 - clear).sqrt() * noise, clear)
    assert float((seen - latents).abs().max()) < 0.01
    unseen = possible.expected(dark.sqrt() * latents + (1 - dark).sqrt() * noise, dark)
    assert float((unseen - possible.latents(possible.options.mean(0))).abs().max()) < 0.05


def test_the_deciding_times_are_taught_most() -> None:
    when = times(torch.linspace(0, 1, 10_001))
    assert int(when.min()) == 0
    assert int(when.max()) == 999
    assert float((when >= 700).float().mean()) > 0.55


def test_a_batch_has_avatars_and_landscapes_with_their_words(workspace: Path) -> None:
    for bucket in data.WIDTHS:
        for kind, count in {"avatars": 20, "scenes": 20, "shapes": 3 if bucket == "square" else 0}.items():
            data.make(workspace, bucket, kind, count, seed=1, processes=2)
    examples = Examples(workspace, WordTokens(make_tokenizer(workspace / "tokenizer")))
    for bucket, width in data.WIDTHS.items():
        made = examples.batch(bucket, 60, random.Random(3), torch.Generator().manual_seed(3))
        kinds = {type(example.record) for example in made.examples}
        assert len(kinds) == 2
        assert made.noise.shape[1:] == (32, 16, width // 16)
        assert any(example.possible for example in made.examples if isinstance(example.record, Avatar)) is (
            bucket == "square"
        )
