"""Puts the page together."""

from __future__ import annotations

import os

import gradio as gr

from app.i18n.texts import built
from app.studio import Studio
from app.ui.account import account_of
from app.ui.avatar import avatar_tab
from app.ui.banner import banner
from app.ui.cache import FileCache, caller_id
from app.ui.endpoints import endpoints
from app.ui.events import StudioBlocks
from app.ui.header import header
from app.ui.hero import hero_tab
from app.ui.library import library_tab
from app.ui.picture_actions import wire_across
from app.ui.progress import connection_html
from app.ui.switches import switches
from app.ui.transcribe import transcribe_tab
from app.ui.work import QUIET, kept_jobs

NEVER = "1000000000"

MAX_EVENTS = 2_000
"""Under way at once. Gradio's 40 would be all taken by 40 people who wait for pictures, and nobody could cancel one."""


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
        switches()
        banner(studio)
        gr.HTML(built(connection_html), elem_id="connection")
        with gr.Row(elem_classes="unseen"):
            jobs = {name: kept_jobs(name) for name in ("avatar", "hero", "transcribe")}
            _kept_for_the_account()
        with gr.Tabs(elem_id="tabs") as tabs:
            images = {"avatar": avatar_tab(studio, jobs["avatar"]), "hero": hero_tab(studio, jobs["hero"])}
            transcribe = transcribe_tab(studio, jobs["transcribe"])
            library_tab(studio, tabs, images, transcribe)
        wire_across(studio, tabs, images["avatar"], images["hero"])
    blocks.max_threads = MAX_EVENTS
    # api_open lets clients go round Gradio's own queue. That would only lead them to ours; it is closed all the same.
    blocks.queue(default_concurrency_limit=None, api_open=False)
    # Mounting leaves this unset, and unset it switches Gradio's own check of the paths that clients name off.
    blocks.has_launched = True
    return blocks


def _kept_for_the_account() -> None:
    """What a browser tab keeps is thrown away there when somebody else logs in."""

    def owner(request: gr.Request) -> str:
        return caller_id(account_of(request))

    account = gr.Textbox(show_label=False, elem_id="kept-for")
    account.change(None, account, None, js="account => window.studio.own(account)", **QUIET)
    gr.on([gr.context.Context.root_block.load], owner, None, account, **QUIET)
