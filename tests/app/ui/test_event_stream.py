"""The page's event stream: an event that is sent while the stream ends is not lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Event

from playwright.sync_api import BrowserContext
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.app.ui.steps import corner, pictures, start, until_done
from tests.browser import open_page
from tests.serving import create_app, make_studio, serving, settings_in
from tests.small_engines import BlobEngine, EchoSpeech


class SlowEnd:
    """Keeps back the last message of every event stream, as a slow line may, until `let_go` is set."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.ending = Event()
        self.let_go = Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly(message: Message) -> None:
            if b'"close_stream"' in message.get("body", b""):
                self.ending.set()
                await asyncio.to_thread(self.let_go.wait, 60)
            await send(message)

        await self.app(scope, receive, slowly)


def test_generate_pressed_while_the_stream_ends_makes_a_picture(tmp_path: Path, profile: BrowserContext) -> None:
    line = SlowEnd(create_app(make_studio(settings_in(tmp_path), BlobEngine(), EchoSpeech())))
    with serving(line) as url:
        page, watch = open_page(profile, url)
        assert line.ending.wait(60)
        with page.expect_response("**/queue/join*"):
            start(page, "avatar", "A blue knight")
        line.let_go.set()
        until_done(page, "avatar")
        assert corner(pictures(page, "avatar")[0]) == (0, 0, 255)
        page.close()
    watch.check()
