"""Which models are picked, and what the start says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings.fields import Settings
from app.wiring import SDXL, SKETCH, choose_image_model
from engines.devices import Device

GB = 2**30
CPU = Device("cpu", "x86_64", 16 * GB)
NO_CUDA = Device("cpu", "x86_64", 16 * GB, "a GPU driver is here, but torch was built without CUDA")


@pytest.mark.parametrize(
    ("device", "model", "why"),
    [
        (CPU, str(SKETCH), "no CUDA GPU here; SDXL needs one with 10 GB"),
        (NO_CUDA, str(SKETCH), NO_CUDA.note),
        (Device("mps", "Apple GPU", 64 * GB), str(SKETCH), "no CUDA GPU here; SDXL needs one with 10 GB"),
        (Device("cuda:0", "GTX 1080", 8 * GB), str(SKETCH), "GTX 1080 has 8 GB of memory; SDXL needs 10"),
        # What torch tells of a card that is sold with 10 GB.
        (Device("cuda:0", "RTX 3080", 10_504_896_512), SDXL, "RTX 3080 with 10 GB is here"),
        (Device("cuda:0", "RTX 3090 Ti", 24 * GB), SDXL, "RTX 3090 Ti with 24 GB is here"),
    ],
)
def test_auto_picks_what_the_device_can_run(device: Device, model: str, why: str) -> None:
    choice = choose_image_model(Settings(image_model="auto"), device)
    assert (choice.what, choice.why) == (model, why)


@pytest.mark.parametrize(("asked", "model"), [("sdxl", SDXL), ("sketch", str(SKETCH)), ("own/model", "own/model")])
def test_what_is_asked_for_is_picked_on_any_device(asked: str, model: str, tmp_path: Path) -> None:
    settings = Settings(image_model=asked)
    choice = choose_image_model(settings, CPU)
    assert (choice.what, choice.why) == (model, "asked for")
    assert choose_image_model(settings, NO_CUDA).why == f"asked for; {NO_CUDA.note}"
