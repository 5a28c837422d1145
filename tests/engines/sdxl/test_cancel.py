"""Progress and cancel: within one step, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from engines import events
from engines.errors import Cancelled, OutOfMemory
from engines.events import OnEvent, Progress
from engines.requests import ImageRequest
from engines.sdxl.engine import SdxlEngine
from tests.engines.sdxl.conftest import Generate, difference, ignore, pixels, request


@contextmanager
def before_each_unet_call(do: Any) -> Iterator[None]:
    """Call `do(number)` before each call of any UNet, from 1."""
    from diffusers import UNet2DConditionModel
    from torch.nn.modules.module import register_module_forward_pre_hook

    calls = 0

    def hook(module: Any, args: Any) -> None:
        nonlocal calls
        if isinstance(module, UNet2DConditionModel):
            calls += 1
            do(calls)

    handle = register_module_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("fields", "stages"),
    [
        ({}, {"encode": 1, "denoise": 3, "decode": 1}),
        ({"count": 3}, {"encode": 1, "denoise": 3, "decode": 3}),
        ({"sampler": "heun"}, {"encode": 1, "denoise": 5, "decode": 1}),
    ],
)
def test_progress_grows_to_one(engine: SdxlEngine, fields: dict[str, Any], stages: dict[str, int]) -> None:
    check_progress(engine, request(**fields), stages)


def test_progress_from_a_photo_grows_to_one(engine: SdxlEngine, photo: Path) -> None:
    half = request(photo_strength=0.5, num_inference_steps=4)
    check_progress(engine, half, {"encode": 1, "denoise": 2, "decode": 1}, photo)


def keep(seen: list[Progress]) -> OnEvent:
    """Keeps the progress among the events."""
    return lambda event: seen.append(event) if isinstance(event, Progress) else None


def check_progress(engine: SdxlEngine, asked: ImageRequest, stages: dict[str, int], photo: Path | None = None) -> None:
    seen: list[Progress] = []
    engine.generate(asked, photo, keep(seen), Event())
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(set(fractions))
    assert fractions[-1] == 1.0
    for stage, total in stages.items():
        own = [progress for progress in seen if progress.stage == stage]
        assert [(p.step, p.total) for p in own] == [(i, total) for i in range(1, total + 1)]


def test_progress_over_several_batches(engine: SdxlEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.sdxl.generate.BATCH_PIXELS", 64 * 64)
    seen: list[Progress] = []
    engine.generate(request(count=2), None, keep(seen), Event())
    assert [(p.step, p.total) for p in seen if p.stage == "denoise"] == [(i, 6) for i in range(1, 7)]
    assert [p.fraction for p in seen] == sorted({p.fraction for p in seen})


def test_cancel_stops_at_the_step_in_which_it_came(engine: SdxlEngine, generate: Generate) -> None:
    expected = pixels(generate())
    cancel, unet_calls = Event(), []

    def cancel_in_second_step(call: int) -> None:
        unet_calls.append(call)
        if call == 2:
            cancel.set()

    with before_each_unet_call(cancel_in_second_step), pytest.raises(Cancelled):
        engine.generate(request(num_inference_steps=50), None, ignore, cancel)
    assert unet_calls == [1, 2]
    assert difference(pixels(generate()), expected) == 0


def test_cancel_from_another_thread(engine: SdxlEngine) -> None:
    cancel = Event()
    threading.Timer(0.2, cancel.set).start()
    with pytest.raises(Cancelled):
        engine.generate(request(num_inference_steps=150, count=8), None, ignore, cancel)


@pytest.mark.parametrize("stage", ["encode", "denoise", "decode"])
def test_cancel_in_any_stage(engine: SdxlEngine, generate: Generate, stage: str) -> None:
    cancel = Event()
    seen: list[Progress] = []

    def cancel_in_stage(event: events.Event) -> None:
        if isinstance(event, Progress):
            seen.append(event)
            if event.stage == stage:
                cancel.set()

    with pytest.raises(Cancelled):
        engine.generate(request(count=2), None, cancel_in_stage, cancel)
    assert [p.stage for p in seen].count(stage) == 1
    assert generate().images


def test_a_job_that_is_cancelled_before_it_starts_does_nothing(engine: SdxlEngine) -> None:
    cancel = Event()
    cancel.set()
    seen: list[events.Event] = []
    with pytest.raises(Cancelled):
        engine.generate(request(), None, seen.append, cancel)
    assert seen == []


def test_a_cancel_that_came_with_the_words_spares_the_photo(engine: SdxlEngine, photo: Path) -> None:
    """Decoding it would tell that it is cut off."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    photo.write_bytes(photo.read_bytes()[:-40])
    cancel = Event()
    handle = register_module_forward_pre_hook(lambda *_: cancel.set())
    try:
        with pytest.raises(Cancelled):
            engine.generate(request(), photo, ignore, cancel)
    finally:
        handle.remove()


def memory_errors() -> list[Any]:
    import torch

    return [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ]


@pytest.mark.parametrize("which", range(3))
def test_out_of_memory_is_told_and_the_next_job_succeeds(engine: SdxlEngine, generate: Generate, which: int) -> None:
    expected = pixels(generate())

    def fail(call: int) -> None:
        raise memory_errors()[which]

    with (
        before_each_unet_call(fail),
        pytest.raises(OutOfMemory, match="64 x 64 pixels: choose a smaller size or fewer"),
    ):
        engine.generate(request(count=2), None, ignore, Event())
    assert difference(pixels(generate()), expected) == 0


def test_other_errors_are_not_taken_for_missing_memory(engine: SdxlEngine) -> None:
    def fail(call: int) -> None:
        raise RuntimeError("shapes do not fit")

    with before_each_unet_call(fail), pytest.raises(RuntimeError, match="shapes do not fit"):
        engine.generate(request(), None, ignore, Event())


def test_a_failed_job_frees_its_tensors(engine: SdxlEngine, model_folder: Path) -> None:
    import gc

    import torch

    def tensors() -> int:
        gc.collect()
        return sum(1 for thing in gc.get_objects() if type(thing) is torch.Tensor)

    def fail(call: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    engine.generate(request(), None, ignore, Event())
    before = tensors()
    with before_each_unet_call(fail), pytest.raises(OutOfMemory):
        engine.generate(request(), None, ignore, Event())
    assert tensors() <= before
