"""Which device is found, on machines that these tests make up."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from engines.devices import Device, find_device
from engines.errors import ModelInvalid

GB = 2**30


def fake_torch(*cards: tuple[str, int], cuda: str | None = "13.0", usable: bool = True, mps: bool = False) -> Any:
    """torch, as far as devices go, on a machine with these cards (name, bytes)."""
    return SimpleNamespace(
        __version__="2.13.0",
        version=SimpleNamespace(cuda=cuda),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        cuda=SimpleNamespace(
            is_available=lambda: bool(cards) and usable and cuda is not None,
            device_count=lambda: len(cards),
            get_device_properties=lambda i: SimpleNamespace(name=cards[i][0], total_memory=cards[i][1]),
        ),
    )


def find(wanted: str, torch: Any) -> Device:
    return find_device(wanted, possible=lambda: True, import_torch=lambda: torch)


TWO = fake_torch(("RTX 3090 Ti", 24 * GB), ("RTX 3060", 12 * GB))


@pytest.mark.parametrize("wanted", ["auto", "cuda", "cuda:0"])
def test_the_first_card_is_found_with_its_name_and_memory(wanted: str) -> None:
    assert find(wanted, TWO) == Device("cuda:0", "RTX 3090 Ti", 24 * GB)


def test_a_numbered_card_is_that_card() -> None:
    assert find("cuda:1", TWO) == Device("cuda:1", "RTX 3060", 12 * GB)


@pytest.mark.parametrize("wanted", ["auto", "mps"])
def test_an_apple_gpu_is_found(wanted: str) -> None:
    assert find(wanted, fake_torch(mps=True)).name == "mps"


@pytest.mark.parametrize("wanted", ["auto", "cpu"])
def test_a_machine_without_a_driver_needs_no_torch(wanted: str) -> None:
    def never() -> Any:
        raise AssertionError("torch was imported")

    found = find_device(wanted, possible=lambda: False, import_torch=never)
    assert (found.name, found.note) == ("cpu", "")
    assert found.label
    assert found.memory > GB // 4


def test_cpu_asked_for_on_a_machine_with_a_card_needs_no_torch_and_no_note() -> None:
    found = find_device("cpu", possible=lambda: True, import_torch=lambda: None)
    assert (found.name, found.note) == ("cpu", "")


@pytest.mark.parametrize(
    ("torch", "note"),
    [
        (fake_torch(("RTX 3090 Ti", 24 * GB), cuda=None), "torch 2.13.0 was built without CUDA; install PyPI's torch"),
        (
            fake_torch(("RTX 3090 Ti", 24 * GB), usable=False),
            "torch 2.13.0 finds no GPU that it can use with CUDA 13.0",
        ),
    ],
)
def test_a_driver_that_torch_cannot_use_leaves_the_cpu_and_says_why(torch: Any, note: str) -> None:
    found = find("auto", torch)
    assert found.name == "cpu"
    assert "a GPU driver is here, but" in found.note
    assert note in found.note


@pytest.mark.parametrize(
    ("wanted", "torch", "why"),
    [
        ("cuda:2", TWO, "torch finds 2 of them, counted from 0"),
        ("cuda", fake_torch(cuda=None), "built without CUDA"),
        ("mps", TWO, "no Apple GPU"),
        ("mps:1", TWO, "no such kind of device"),
        ("cuda:first", TWO, "no such kind of device"),
        ("toaster", TWO, "no such kind of device"),
    ],
)
def test_a_device_asked_for_that_cannot_be_used_is_refused(wanted: str, torch: Any, why: str) -> None:
    with pytest.raises(ModelInvalid, match=rf"The device '{wanted}' cannot be used \(.*{why}.*\): choose auto or cpu"):
        find(wanted, torch)


def test_a_card_asked_for_without_a_driver_is_refused_without_torch() -> None:
    with pytest.raises(ModelInvalid, match="no driver"):
        find_device("cuda", possible=lambda: False, import_torch=lambda: None)


def test_the_real_machine_answers_and_names_a_device_that_torch_takes() -> None:
    program = (
        "from engines.devices import find_device\n"
        "found = find_device()\n"
        "import torch\n"
        "torch.zeros(1, device=found.name)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
