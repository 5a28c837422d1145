"""Puts the page together."""

from __future__ import annotations

import os

import gradio as gr

from app.studio import Studio
from app.ui.avatar import avatar_tab
from app.ui.cache import FileCache
from app.ui.endpoints import endpoints
from app.ui.events import StudioBlocks
from app.ui.header import header
from app.ui.hero import hero_tab
from app.ui.transcribe import transcribe_tab
from app.ui.work import running_job

NEVER = "1000000000"


def build_blocks(studio: Studio, files: FileCache) -> StudioBlocks:
    """The whole page. Mount it with `theme.mount_options()`.

    No event has a concurrency limit of Gradio's: our own queue is the limit, and who follows a job only waits.
    """
    # After each event Gradio sums up its last 10,000 events in a table for its monitoring page, which is off here.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", NEVER)
    blocks = StudioBlocks(files, title="Carrot Studio", analytics_enabled=False, fill_width=True)
    with blocks:
        # First: Gradio adds a number to a name that an event of the page has taken already.
        endpoints(studio)
        header(studio)
        running = {name: running_job(name) for name in ("avatar", "hero", "transcribe")}
        with gr.Tabs(elem_id="tabs"):
            avatar_tab(studio, running["avatar"])
            hero_tab(studio, running["hero"])
            transcribe_tab(studio, running["transcribe"])
    # api_open lets clients go round Gradio's own queue. That would only lead them to ours; it is closed all the same.
    blocks.queue(default_concurrency_limit=None, api_open=False)
    # Mounting leaves this unset, and unset it switches Gradio's own check of the paths that clients name off.
    blocks.has_launched = True
    return blocks
