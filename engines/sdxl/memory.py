"""Out of memory: recognised, freed, and told in words that help."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from engines.errors import OutOfMemory

ALLOCATORS_SAY = ("DefaultCPUAllocator", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")
"""How torch words a plain RuntimeError that means: no memory left."""


@contextmanager
def out_of_memory_as(message: str) -> Iterator[None]:
    """Turn torch's ways of running out of memory into OutOfMemory(message), with the caches freed.

    It is raised after the except block: until then the traceback's frames hold the very tensors that must go.
    """
    failed = False
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        failed = True
    if failed:
        free()
        raise OutOfMemory(message)


def is_out_of_memory(error: BaseException) -> bool:
    """True for each of the ways in which Python and torch say so."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in ALLOCATORS_SAY)


def free() -> None:
    """Give unused memory back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
