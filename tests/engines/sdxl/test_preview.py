"""Previews: of the clean picture, in time, and at no risk for the picture itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from engines import events
from engines.errors import Cancelled
from engines.events import OnEvent, Preview, Progress
from engines.requests import ImageRequest
from engines.sdxl.engine import SdxlEngine
from engines.sdxl.samplers import SAMPLERS
from tests.engines.sdxl.conftest import Generate, difference, pixels, request
from tests.engines.sdxl.test_samplers import SDXL, ZERO_SNR

SKETCH = Path(__file__).parents[3] / "models" / "sketch"


class Clock:
    """Stands still but for a denoising step, which takes `step_seconds`."""

    now = 0.0
    step_seconds = 1.0

    def __call__(self) -> float:
        return self.now

    def collecting(self, previews: list[Preview]) -> OnEvent:
        def on_event(event: events.Event) -> None:
            if isinstance(event, Progress) and event.stage == "denoise":
                self.now += self.step_seconds
            elif isinstance(event, Preview):
                previews.append(event)

        return on_event


@pytest.fixture(autouse=True)
def alone(one_thread: None) -> None:
    """All of these models are small."""


@pytest.fixture
def folder_of(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    return request.getfixturevalue


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def small(model_folder: Path, clock: Clock) -> Iterator[SdxlEngine]:
    """The tiny model, with a clock of its own."""
    engine = SdxlEngine(model_folder, "cpu", clock=clock)
    yield engine
    engine.close()


def made(engine: SdxlEngine, clock: Clock, asked: ImageRequest, photo: Path | None = None) -> tuple[list[Preview], Any]:
    """The previews, and the finished first picture's pixels."""
    previews: list[Preview] = []
    result = engine.generate(asked, photo, clock.collecting(previews), Event())
    return previews, result


def unlike(preview: Preview, result: Any) -> float:
    """Mean difference from the finished picture made as small, 0 to 255."""
    small = result.images[0].image.resize(preview.image.size)
    return float(np.abs(np.asarray(preview.image, float) - np.asarray(small, float)).mean())


def test_previews_of_the_built_in_model_become_the_picture() -> None:
    clock = Clock()
    engine = SdxlEngine(SKETCH, "cpu", clock=clock)
    asked = ImageRequest(prompt="portrait of a woman with red hair", seed=1, width=256, height=256)
    previews, result = made(engine, clock, asked)
    steps = engine.info.num_inference_steps
    engine.close()
    apart = [unlike(preview, result) for preview in previews]
    assert [(p.step, p.total) for p in previews] == [(step, steps) for step in range(1, steps + 1)]
    assert {p.image.size for p in previews} == {(64, 64)}
    assert apart[0] > 35, "the first is rough"
    assert max(apart[-5:]) < 15, "the last ones are the picture but for details"


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("model", ["model_folder", "sketch_folder"], ids=["noise prediction", "v-prediction, zero SNR"])
def test_every_sampler_tells_what_the_clean_picture_would_be(
    folder_of: Callable[[str], Path], clock: Clock, model: str, sampler: str
) -> None:
    """Decoded by the VAE, the last prediction is the picture itself."""
    from engines.sdxl.generate import generate
    from engines.sdxl.latents import to_pixels
    from engines.sdxl.load import load
    from engines.sdxl.plan import make_plan
    from engines.sdxl.preview import Previews

    folder = folder_of(model)
    loaded = load(folder, "cpu")
    asked = request(sampler=sampler, num_inference_steps=6)
    plan = make_plan(asked, None, SdxlEngine(folder, "cpu").info, loaded.pixels_per_latent)
    seen: list[Preview] = []
    on_event = clock.collecting(seen)
    previews = Previews(lambda one: to_pixels(loaded.vae, one[None])[0].movedim(0, -1), (64, 64), on_event, clock)
    result = generate(loaded, plan, on_event, Event(), previews)
    apart = [unlike(preview, result) for preview in seen]
    assert apart[-1] < 2
    assert apart[0] > 4


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("trained", [SDXL, ZERO_SNR], ids=["noise prediction", "v-prediction, zero SNR"])
def test_what_is_told_of_a_step_has_no_noise(sampler: str, trained: dict[str, Any]) -> None:
    """A UNet that knows the clean latents makes every sampler tell them, from under most of the noise."""
    import torch

    from engines.sdxl.preview import Previews
    from engines.sdxl.samplers import make_scheduler

    generator = torch.Generator().manual_seed(1)
    clean, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    scheduler = make_scheduler(sampler, trained)
    scheduler.set_timesteps(10)
    scheduler.set_begin_index(2) if hasattr(scheduler, "set_begin_index") else None
    time = scheduler.timesteps[2]
    noisy = scheduler.add_noise(clean, noise, time[None])
    signal = scheduler.alphas_cumprod[time] if sampler == "ddim" else 1 / (scheduler.sigmas[2] ** 2 + 1)
    told = signal**0.5 * noise - (1 - signal) ** 0.5 * clean if trained is ZERO_SNR else noise
    seen: list[torch.Tensor] = []

    def to_rgb(latents: torch.Tensor) -> torch.Tensor:
        seen.append(latents)
        return latents.movedim(0, -1)[..., :3]

    clock = Clock()
    previews = Previews(to_rgb, (64, 64), lambda _: None, clock)
    with previews.watching(scheduler):
        scheduler.step(told, time, noisy, return_dict=False)
        clock.now = 1
        previews.stepped(1, 10)
    torch.testing.assert_close(seen[0], clean[0], atol=1e-3, rtol=1e-3)


def test_the_picture_is_the_same_with_and_without_previews(
    small: SdxlEngine, clock: Clock, generate: Generate, photo: Path
) -> None:
    for asked, start in ((request(count=2), None), (request(photo_strength=0.8), photo)):
        previews, result = made(small, clock, asked, start)
        assert previews
        alone = generate(photo=start, **asked.model_dump(exclude_none=True))
        assert difference(pixels(result), pixels(alone)) == 0


def test_there_are_no_more_than_two_a_second(small: SdxlEngine, clock: Clock) -> None:
    clock.step_seconds = 0.125
    previews, _ = made(small, clock, request(num_inference_steps=18))
    assert [preview.step for preview in previews] == [4, 8, 12, 16]


def test_a_quick_picture_has_none(small: SdxlEngine, clock: Clock) -> None:
    clock.step_seconds = 0.1
    assert made(small, clock, request(num_inference_steps=4))[0] == []


def test_only_the_first_picture_has_previews(small: SdxlEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.sdxl.generate.BATCH_PIXELS", 64 * 64)
    three, _ = made(small, clock, request(count=3, num_inference_steps=4))
    one, _ = made(small, clock, request(num_inference_steps=4))
    assert [(p.step, p.total) for p in three] == [(step, 4) for step in range(1, 5)]
    assert [p.image.tobytes() for p in three] == [p.image.tobytes() for p in one]


def test_a_preview_has_the_shape_of_the_picture(sketch_folder: Path, clock: Clock) -> None:
    """A model of fixed sizes renders 64 x 64, of which the picture is a strip."""
    previews, _ = made(SdxlEngine(sketch_folder, "cpu", clock=clock), clock, request(width=64, height=80))
    width, height = previews[-1].image.size
    assert width / height == pytest.approx(64 / 80, rel=0.1)


def test_cancel_in_a_preview_ends_the_job_in_the_next_step(small: SdxlEngine, clock: Clock) -> None:
    cancel = Event()
    previews: list[Preview] = []
    collect = clock.collecting(previews)

    def on_event(event: events.Event) -> None:
        collect(event)
        if isinstance(event, Preview):
            cancel.set()

    with pytest.raises(Cancelled):
        small.generate(request(num_inference_steps=50), None, on_event, cancel)
    assert [preview.step for preview in previews] == [1]


def test_an_error_of_the_caller_in_a_preview_is_the_callers(small: SdxlEngine, clock: Clock) -> None:
    def on_event(event: events.Event) -> None:
        clock.now += 1
        if isinstance(event, Preview):
            raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        small.generate(request(), None, on_event, Event())


def test_a_preview_that_fails_costs_the_previews_only(
    small: SdxlEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from engines.sdxl.preview import LatentColours

    def fail(colours: LatentColours, latents: Any) -> Any:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(LatentColours, "picture", fail)
    previews, result = made(small, clock, request())
    assert (previews, len(result.images)) == ([], 1)
    assert caplog.text.count("No more previews") == 1


def test_numbers_without_end_are_no_preview_but_later_ones_may_be(
    small: SdxlEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from engines.sdxl.preview import LatentColours

    whole = LatentColours.picture
    calls = []

    def first_overflows(colours: LatentColours, latents: torch.Tensor) -> torch.Tensor:
        calls.append(latents)
        return whole(colours, latents * (torch.inf if len(calls) == 1 else 1))

    monkeypatch.setattr(LatentColours, "picture", first_overflows)
    previews, _ = made(small, clock, request())
    assert [preview.step for preview in previews] == [2, 3]


class Config:
    scaling_factor = 0.13025
    latent_channels = 4


class SdxlVae:
    """As far as SDXL's own VAE is looked at: nothing of it is run."""

    config = Config()


def test_sdxls_latents_have_their_published_colours() -> None:
    import torch

    from engines.sdxl.preview import latent_colours

    colours = latent_colours(SdxlVae())
    assert colours is not None
    latents = torch.zeros(4, 2, 3)
    latents[0, 1, 2] = 1
    picture = colours.picture(latents)
    assert picture.shape == (2, 3, 3)
    torch.testing.assert_close(picture[0, 0], torch.tensor([0.1084, -0.0175, -0.0011]))
    torch.testing.assert_close(picture[1, 2], torch.tensor([0.1084 + 0.3651, -0.0175 + 0.4232, -0.0011 + 0.4341]))


def test_a_vae_that_no_colours_can_be_fitted_to_gives_no_previews(caplog: pytest.LogCaptureFixture) -> None:
    from engines.sdxl.preview import latent_colours

    class Other(SdxlVae):
        class config(Config):  # noqa: N801
            scaling_factor = 1.0

    assert latent_colours(Other()) is None
    assert "no previews" in caplog.text


def test_a_finished_job_leaves_the_scheduler_as_it_was() -> None:

    from engines.sdxl.preview import Previews
    from engines.sdxl.samplers import make_scheduler

    scheduler = make_scheduler("euler", {})
    previews = Previews(lambda latents: latents, (64, 64), lambda _: None, Clock())
    with previews.watching(scheduler):
        assert "step" in vars(scheduler)
    assert "step" not in vars(scheduler)
