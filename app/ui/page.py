"""Puts the page and Gradio's endpoints into the studio's app."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import Mount

from app.http.apps import Page
from app.http.errors import install_error_handlers
from app.studio import Studio

DAY = 24 * 3600.0


def import_page() -> None:
    """Import Gradio, which takes seconds, ahead of `add_page`."""
    # Read when it is imported, which is why that waits until here.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import gradio  # noqa: F401


def add_page(app: FastAPI, studio: Studio) -> Page:
    """Mount the page at `/`: nothing that is added later is reached."""
    import_page()
    import gradio

    from app.ui.assets import Assets
    from app.ui.blocks import build_blocks
    from app.ui.cache import gradio_cache
    from app.ui.gate import GradioGate
    from app.ui.shell import Shell
    from app.ui.theme import SCRIPT, head, manifest, mount_options, own_files, preloads

    cache = gradio_cache()
    blocks = build_blocks(studio, cache)
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        show_error=False,
        max_file_size=studio.max_upload_bytes,
        allowed_paths=[],
        enable_monitoring=False,
        **mount_options(),
    )
    mount = app.routes[-1]
    assert isinstance(mount, Mount)
    assert isinstance(mount.app, FastAPI)
    # Gradio's app has handlers of its own, which answer in another shape.
    install_error_handlers(mount.app)
    assets = Assets(
        Path(gradio.__file__).parent / "templates" / "frontend",
        {block.get_block_name() for block in blocks.blocks.values()},
        own_files(),
    )
    page = Shell(
        mount.app,
        assets,
        head=lambda: head(assets),
        preloads=preloads(assets, blocks.theme_hash),
        scripts=(SCRIPT,),
        manifest=lambda: manifest(assets),
    )
    mount.app = GradioGate(page, blocks, cache, max_upload_bytes=studio.max_upload_bytes)
    studio.queue.library.on_deleted(cache.forget)
    return Page(clean_up=lambda: cache.prune(DAY))
