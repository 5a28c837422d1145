"""The start's large imports: what is left out, and that it is left out of the start alone."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import ROOT

PROGRAM = """
import gc, sys
from app.imports import quick_imports

finders, stubs = list(sys.meta_path), []

def note(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".pyi"):
        stubs.append(arguments[0])

sys.addaudithook(note)
with quick_imports():
    assert not gc.isenabled()
    import gradio
assert not stubs, stubs
assert gradio.Textbox.EVENTS
assert gc.isenabled()
assert sys.meta_path == finders
"""


def test_gradio_is_imported_without_a_look_at_its_stub_files() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_gradio_still_does_what_is_left_out() -> None:
    """Where this fails after an update of Gradio, app/imports.py may have nothing to leave out any more."""
    gradio = find_spec("gradio")
    assert gradio is not None
    assert gradio.origin is not None
    source = (Path(gradio.origin).parent / "component_meta.py").read_text(encoding="utf-8")
    assert "create_or_modify_pyi(component_class, name, events)" in source
