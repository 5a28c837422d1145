"""Puts the page together."""

from __future__ import annotations

import os

import gradio as gr

from app.ui.avatar import avatar_tab
from app.ui.cache import FileCache
from app.ui.endpoints import endpoints
from app.ui.events import StudioBlocks
from app.ui.header import header
from app.ui.hero import hero_tab
from app.ui.transcribe import transcribe_tab
from app.work.studio import Studio

NEVER = "1000000000"


def build_blocks(studio: Studio, files: FileCache) -> StudioBlocks:
    """The whole page. Mount it with `theme.mount_options()`.

    No event has a concurrency limit of Gradio's: the lanes are the limit, and a watcher waits without working.
    """
    # After each event Gradio sums up its last 10,000 events in a table for its monitoring page, which is off here.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", NEVER)
    blocks = StudioBlocks(files, title="Carrot Studio", analytics_enabled=False, fill_width=True)
    with blocks:
        # First: Gradio adds a number to a name that an event of the page has taken already.
        endpoints(studio)
        header(studio)
        with gr.Tabs(elem_id="tabs"):
            avatar_tab(studio)
            hero_tab(studio)
            transcribe_tab(studio)
    # api_open lets clients go round the queue, and so past nothing but our own lanes; it is closed all the same.
    blocks.queue(default_concurrency_limit=None, api_open=False)
    # Mounting leaves this unset, and unset it switches Gradio's own check of the paths that clients name off.
    blocks.has_launched = True
    return blocks
