"""Keeps the libraries' progress bars and advice to developers out of a server's log."""

from __future__ import annotations


def be_quiet() -> None:
    """Only errors from now on. To be called before diffusers' pipelines are imported: already while it is, transformers
    advises, per class, to install torchvision, which nothing here needs."""
    import transformers.utils.logging

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

    import diffusers.utils.logging

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
