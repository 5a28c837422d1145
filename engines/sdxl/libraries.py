"""Brings in torch, transformers and diffusers, quickly, and without their progress bars and advice in the log."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from types import ModuleType

from engines.imports import quick_imports, without


def import_libraries() -> None:
    """Import what a load needs. To be called before anything else imports transformers or diffusers: already while
    their pipelines are imported, transformers advises, per class, to install torchvision, which nothing here needs.

    Where onnxruntime is installed (for speech), diffusers would import it for pipelines that nobody here uses.
    """
    with without("onnxruntime"), quick_imports("transformers.utils.import_utils", _read_models_once):
        import transformers.utils.logging

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()

        import diffusers.utils.logging

        diffusers.utils.logging.set_verbosity_error()
        diffusers.utils.logging.disable_progress_bar()

        import engines.sdxl.load  # noqa: F401


def _read_models_once(import_utils: ModuleType) -> None:
    """To know what its models are called, transformers reads the source of all of them, two thousand files, and does so
    twice while it is imported: as half of itself, and once more as its subpackage."""
    read = cache(import_utils.create_import_structure_from_path)
    import_utils.__dict__["create_import_structure_from_path"] = lambda path: deepcopy(read(str(path)))
