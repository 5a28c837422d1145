"""The page as browsers get it: Gradio's HTML with our head, and the files that it asks for.

Gradio's head names pictures on another host, asks for a script that makes frames grow, and lets a browser find out step
by step what the page is made of. Ours names all of it at once, and the theme before anything is drawn.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.concurrency import run_blocking
from app.i18n.language import language, language_of, speaking
from app.ui.assets import SHEET, Assets

NOT_OURS = (
    re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*?/>\s*'),
    re.compile(r"<script>\s*\(\(\) => \{(?:(?!</script>).)*iframeResizer\.contentWindow.*?</script>\s*", re.DOTALL),
)
"""Each begins with letters, which are found in half a megabyte in no time; with white space that takes 13 ms."""
MANIFEST_LINK = '<link rel="manifest" href="/manifest.json" />'


class Shell:
    """ASGI app in front of Gradio's: answers for its files and the manifest, and finishes its page.

    `head` goes to the page's head before anything that Gradio has there, in the language of the request, as does
    `manifest`; `preloads` are further links for it, and
    `scripts` names of files in `assets` that run before Gradio's.
    """

    def __init__(
        self,
        gradio: ASGIApp,
        assets: Assets,
        *,
        head: Callable[[], str],
        preloads: tuple[str, ...],
        scripts: tuple[str, ...],
        manifest: Callable[[], dict[str, object]],
    ) -> None:
        self._gradio = gradio
        self._assets = assets
        self._manifest = manifest
        self._head = head
        entry = f'<script type="module" crossorigin src="./assets/{assets.entry}"></script>'
        sheet = f'<link rel="stylesheet" crossorigin href="./assets/{assets.entry_sheet}">'
        modules = "".join(
            f'<link rel="modulepreload" crossorigin href="./{assets.address(name)}">' for name in assets.modules
        )
        # Else a browser asks for them last, and Gradio's wait for them.
        before = "".join(
            f'<script defer fetchpriority="high" src="./{assets.address(name)}"></script>' for name in scripts
        )
        self._links = {
            MANIFEST_LINK: '<link rel="manifest" href="manifest.json" crossorigin="use-credentials">',
            # The style sheet first: nothing is drawn without it.
            entry: f'<link rel="stylesheet" href="./{assets.address(SHEET)}">{"".join(preloads)}{before}'
            f'<script type="module" crossorigin src="./{assets.address(assets.entry)}"></script>{modules}',
            sheet: "",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].lstrip("/") if scope["type"] == "http" else ""
        if scope["type"] == "http" and not path:
            with speaking(language_of(Headers(scope=scope))):
                await self._gradio(scope, receive, _Finished(send, self._finish).send)
        elif path.startswith(f"{self._assets.prefix}/"):
            name = path.removeprefix(f"{self._assets.prefix}/")
            answer = await run_blocking(self._assets.answer, name, Headers(scope=scope))
            await (answer or Response(status_code=404))(scope, receive, send)
        elif path == "manifest.json":
            with speaking(language_of(Headers(scope=scope))):
                told = await run_blocking(self._manifest)
            manifest = Response(json.dumps(told), media_type="application/manifest+json")
            await manifest(scope, receive, send)
        else:
            await self._gradio(scope, receive, send)

    def _finish(self, page: str) -> str:
        for part in NOT_OURS:
            page = part.sub("", page)
        for old, new in self._links.items():
            page = page.replace(old, new, 1)
        page = page.replace('lang="en"', f'lang="{language()}"', 1)
        return page.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />{self._head()}', 1)


def preload(address: str, kind: str, *, crossorigin: bool = False) -> str:
    """A link that has a file of this kind (style, font) fetched early."""
    how = " crossorigin" if crossorigin else ""
    return f'<link rel="preload" as="{kind}"{how} href="{html.escape(address, quote=True)}">'


class _Finished:
    """An answer that is changed as a whole on its way out, if it is a page."""

    def __init__(self, send: Send, finish: Callable[[str], str]) -> None:
        self._send = send
        self._finish = finish
        self._start: Message | None = None
        self._page = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
                self._start = message
                return
        elif self._start is not None:
            self._page += message.get("body", b"")
            if message.get("more_body"):
                return
            # On a thread: the first page in a language reads its catalog.
            page = (await run_blocking(self._finish, self._page.decode())).encode()
            headers = MutableHeaders(scope=self._start)
            headers["Content-Length"] = str(len(page))
            headers["Content-Language"] = language()
            headers.add_vary_header("Accept-Language")
            headers.add_vary_header("Cookie")
            await self._send(self._start)
            message = {**message, "body": page}
        await self._send(message)
