"""Makes the start's large imports take less time: on two cores, they are most of what a start takes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


@contextmanager
def quick_imports() -> Iterator[None]:
    """For a block that imports Gradio and much else, once, before there are other threads."""
    finder = _GradioWithoutStubs()
    sys.meta_path.insert(0, finder)
    # What modules make is there to stay. Looking through all of it for garbage, again and again while it grows, took a
    # sixth of the time.
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.meta_path.remove(finder)


class _GradioWithoutStubs(MetaPathFinder):
    """Gradio, while it is imported, parses the source of its 81 component classes to see whether the stub files for
    editors beside them are current. That was half the time of its import, and nothing here reads those files."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gradio.component_meta":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_leave_out(module: ModuleType) -> None:
            execute(module)
            module.__dict__["create_or_modify_pyi"] = lambda *_: None

        spec.loader.exec_module = execute_and_leave_out  # type: ignore[method-assign]
        return spec
