"""What the machine can compute on, told without importing torch (which takes seconds)."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

SDXL_BYTES = 10 * 2**30
"""GPU memory that SDXL needs at 1024x1024 in fp16: 7 GB of weights and 3 GB to work in."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first CUDA device; `memory` in bytes."""

    name: str
    memory: int


def cuda_gpu() -> Gpu | None:
    """Ask the driver's own tool; None without a driver, a GPU or an answer within 10 s."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits", "--id=0"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        name, megabytes = answer.strip().splitlines()[0].rsplit(",", 1)
        return Gpu(name.strip(), int(megabytes) * 2**20)
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return None
