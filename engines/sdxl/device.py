"""Which device an engine runs on, told without importing torch where there is no accelerator."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

NVIDIA_DRIVER = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"), Path("/dev/dxg"))
"""Any of these is there when Linux (or Linux under Windows) has an NVIDIA driver."""


def resolve(device: str) -> str:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps` as the device's full name: cpu, cuda:0, mps.

    torch takes seconds to import, and a machine without an accelerator shall show its page before that: so `auto` asks
    torch only where a driver makes an accelerator possible.
    """
    if device == "cuda":
        return "cuda:0"
    if device != "auto":
        return device
    return _best_by_torch() if _accelerator_possible() else "cpu"


def _accelerator_possible() -> bool:
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return sys.platform == "win32" or any(path.exists() for path in NVIDIA_DRIVER)


def _best_by_torch() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"
