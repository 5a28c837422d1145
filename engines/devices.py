"""Which device pictures are computed on: the one place that looks for it."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import ModelInvalid

SDXL_BYTES = 10 * 10**9
"""GPU memory that SDXL needs at 1024x1024 in fp16: 7 GB of weights and 3 GB to work in. A card sold with 10 GB tells
torch of a few per cent less than 10 GiB, so these are decimal."""

NVIDIA_DRIVER = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"), Path("/dev/dxg"))
"""Any of these is there when Linux (or Linux under Windows) has an NVIDIA driver."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that torch can use. `memory`: bytes; of `cpu` and `mps` the machine's own."""

    name: str
    """As torch calls it: cpu, cuda:0, mps."""
    label: str
    """As a person calls it: the processor's or the card's name."""
    memory: int
    note: str = ""
    """Why an accelerator that seems to be here is not used; a sentence's end, without a full stop."""


def accelerator_possible() -> bool:
    """Whether this machine may have an accelerator; told without torch, which takes seconds to import."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return sys.platform == "win32" or any(path.exists() for path in NVIDIA_DRIVER)


def _import_torch() -> Any:
    import torch

    return torch


def find_device(
    wanted: str = "auto",
    *,
    possible: Callable[[], bool] = accelerator_possible,
    import_torch: Callable[[], Any] = _import_torch,
) -> Device:
    """The device that `wanted` (auto, cpu, cuda, cuda:N or mps) means here. `auto`: a GPU if one is here, else the CPU.

    Imports torch only where an accelerator is possible. Raises ModelInvalid if a device asked for cannot be used.
    """
    if wanted == "cpu" or (wanted == "auto" and not possible()):
        return _cpu()
    if wanted == "auto":
        torch = import_torch()
        if torch.backends.mps.is_available():
            return _mps()
        why = _why_no_cuda(torch)
        return _cpu(why) if why else _cuda(torch, 0)
    kind, _, number = wanted.partition(":")
    if kind not in ("cuda", "mps") or (number and (kind == "mps" or not number.isdecimal())):
        raise _refused(wanted, "there is no such kind of device")
    if not possible():
        raise _refused(wanted, "this machine has no driver for one")
    torch = import_torch()
    if kind == "mps":
        if not torch.backends.mps.is_available():
            raise _refused(wanted, "torch finds no Apple GPU")
        return _mps()
    if why := _why_no_cuda(torch):
        raise _refused(wanted, why)
    if int(number or 0) >= torch.cuda.device_count():
        raise _refused(wanted, f"torch finds {torch.cuda.device_count()} of them, counted from 0")
    return _cuda(torch, int(number or 0))


def _why_no_cuda(torch: Any) -> str:
    """Empty if CUDA works."""
    if torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return f"a GPU driver is here, but torch {torch.__version__} was built without CUDA; install PyPI's torch"
    return (
        f"a GPU driver is here, but torch {torch.__version__} finds no GPU that it can use with CUDA "
        f"{torch.version.cuda}; see what nvidia-smi and CUDA_VISIBLE_DEVICES say"
    )


def _cuda(torch: Any, number: int) -> Device:
    found = torch.cuda.get_device_properties(number)
    return Device(f"cuda:{number}", str(found.name), int(found.total_memory))


def _mps() -> Device:
    return Device("mps", "Apple GPU", _machine_memory())


def _cpu(note: str = "") -> Device:
    return Device("cpu", platform.processor() or platform.machine(), _machine_memory(), note)


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_in_use(device: Device) -> int:
    """Bytes: of a GPU, what all programs have taken of it; else what this process and its children have.

    Without torch, which would take memory of the GPU for itself. 0: unknown here.
    """
    if device.name.startswith("cuda"):
        asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        number = int(device.name.partition(":")[2] or 0)
        try:
            told = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=True).stdout
            return int(told.splitlines()[number]) * 2**20
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            return 0
    return sum(_memory_of(pid) for pid in _with_children(os.getpid()))


def _with_children(root: int) -> list[int]:
    """A process and all below it; nothing where /proc does not tell (not on Linux)."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # It has ended.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [root] if root in parents else []
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _memory_of(pid: int) -> int:
    """Bytes, memory that is shared counted by its part; 0 for a process that has ended."""
    with contextlib.suppress(OSError):
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) * 1024 for line in told.splitlines() if line.startswith("Pss:"))
    return 0


def _refused(wanted: str, why: str) -> ModelInvalid:
    return ModelInvalid(f"The device {wanted!r} cannot be used ({why}): choose auto or cpu.")
