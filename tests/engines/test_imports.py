"""The start's large imports: what is left out of them, and that nothing else is."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

GRADIO = """
import gc, sys
from app.cli.serve import _leave_out_stubs
from engines.imports import quick_imports, without

finders, stubs = list(sys.meta_path), []

def note(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".pyi"):
        stubs.append(arguments[0])

sys.addaudithook(note)
changed = []
with quick_imports("gradio.component_meta", lambda module: (changed.append(module), _leave_out_stubs(module))):
    assert not gc.isenabled()
    with without("mcp"):
        import gradio
assert not any(name == "mcp" or name.startswith("mcp.") for name in sys.modules)
import mcp
with without("mcp"):
    assert sys.modules["mcp"] is mcp
assert not stubs, stubs
assert "create_or_modify_pyi(component_class, name, events)" in open(changed[0].__file__).read(), "nothing to leave out"
assert gradio.Textbox.EVENTS
assert gc.isenabled()
assert gc.get_freeze_count() > 100_000
assert sys.meta_path == finders
"""

TRANSFORMERS = """
import collections, importlib.util, sys

opened = collections.Counter()

def note(event, arguments):
    if event == "open" and "/transformers/models/" in str(arguments[0]) and str(arguments[0]).endswith(".py"):
        opened[arguments[0]] += 1

sys.addaudithook(note)
from engines.sdxl.libraries import import_libraries
import_libraries()
read = [name for name in opened if "/configuration_" in name]
assert len(read) > 100, "nothing is read: there may be nothing to do once any more"
# What is really imported may be opened again, without bytecode.
assert sum(opened[name] for name in read) < 1.2 * len(read)
# It is here, for speech, and diffusers takes what it finds.
assert importlib.util.find_spec("onnxruntime") and "onnxruntime" not in sys.modules
import transformers
assert transformers.BertConfig and transformers.models.bert.BertConfig
"""


def _run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_gradio_is_imported_without_a_look_at_its_stub_files() -> None:
    """Where this fails after an update of Gradio, there may be nothing to leave out any more."""
    _run(GRADIO)


def test_transformers_reads_the_source_of_its_models_once() -> None:
    _run(TRANSFORMERS)
