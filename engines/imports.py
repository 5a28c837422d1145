"""Makes the start's large imports take less time: on two cores, they are most of what a start takes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


@contextmanager
def uncollected() -> Iterator[None]:
    """For a block that imports much, once: without garbage collection.

    What modules make is there to stay. Looking through all of it for garbage, again and again while it grows, took a
    sixth of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        # And it is never looked through later: a pass over a million objects held everything else up for half a second.
        gc.freeze()


@contextmanager
def quick_imports(name: str, change: Callable[[ModuleType], None]) -> Iterator[None]:
    """As `uncollected`, and with a module changed before others use it.

    name: of the module, which the block imports directly or not.
    change: called with it when it has been executed.
    """
    finder = _Changing(name, change)
    sys.meta_path.insert(0, finder)
    try:
        with uncollected():
            yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def without(name: str) -> Iterator[None]:
    """For a block whose imports use the package `name` if it is there, and do without if not: it is not there."""
    if name in sys.modules:
        yield
        return
    # None is Python's own mark for a module that cannot be imported.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


class _Changing(MetaPathFinder):
    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._change = change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            self._change(module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec
