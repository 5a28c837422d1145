"""`launch.py` without a command: takes the port, wires the studio, and says once where everything is."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from app.about import version
from app.accounts import Accounts
from app.logs import set_up_logging
from app.runner import PortRefused, listen, run, say
from app.settings.fields import Settings, is_loopback
from engines.errors import StudioError
from engines.imports import quick_imports, without

if TYPE_CHECKING:
    from app.studio import Studio
    from engines.child import Child


def main(settings: Settings, pictures: Child) -> int:
    """Serve until told to stop. 0 after a stop that cut nothing short.

    `pictures`: the process that they are made in.
    """
    set_up_logging()
    # For what libraries write: uploads on the page, downloaded weights.
    os.umask(0o077)
    # People's photos and recordings belong with the rest of their data, not in a folder that a machine's users share.
    os.environ.setdefault("GRADIO_TEMP_DIR", str(settings.data_dir.resolve() / "gradio"))
    try:
        listener = listen(settings.host, settings.port)
        # Only now the slow imports: a taken port is told at once.
        with quick_imports("gradio.component_meta", _leave_out_stubs):
            from app.ui.page import import_page
            from app.wiring import build_studio, describe, open_accounts, open_images

            # Before the page, beside whose imports the model so is loaded.
            image = open_images(settings, pictures)
            # Gradio has an MCP server of its own, for which it would import half a second of schemas. Ours
            # stands in app/http/mcp.py and imports them when it is switched on.
            with without("mcp"):
                import_page()
            accounts = open_accounts(settings)
            device = image.device
            studio = build_studio(settings, accounts, image)
    except (PortRefused, StudioError) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1

    def on_started() -> None:
        say(welcome(settings, accounts, describe(settings, studio, device)))

    return serve(studio, accounts, listener, on_started)


def _leave_out_stubs(component_meta: ModuleType) -> None:
    """Gradio, while it is imported, parses the source of its 81 component classes to see whether the stub files for
    editors beside them are current. That was half the time of its import, and nothing here reads those files."""
    component_meta.__dict__["create_or_modify_pyi"] = lambda *_: None


def serve(studio: Studio, accounts: Accounts, listener: socket.socket, on_started: Callable[[], None]) -> int:
    """Serve a studio until told to stop; see `app.runner.run`."""
    from app.http.apps import create_studio
    from app.ui.page import add_page

    return run(
        create_studio(studio, accounts, add_page),
        listener,
        studio.queue,
        drain_seconds=studio.settings.drain_seconds,
        on_started=on_started,
    )


def welcome(settings: Settings, accounts: Accounts, engines: Sequence[str]) -> str:
    """The one block that a person sees after the start."""
    port = settings.port
    local = is_loopback(settings.host)
    anywhere = settings.host in ("0.0.0.0", "::")
    bound = f"[{settings.host}]" if ":" in settings.host else settings.host
    page = f"http://localhost:{port}" if local or anywhere else f"http://{bound}:{port}"
    who = "this machine only" if local else f"every machine that reaches {bound}:{port}"
    token = "no token asked" if accounts.open else "with a token from STUDIO_API_TOKENS or launch.py token"
    lines = [
        f"Page     {page}   (for programs: {page}/docs and {page}/?view=api)",
        *engines,
        f"Access   {who}, {token}",
    ]
    if local or anywhere:
        lines.append(
            f"Tunnel   ssh -N -L {port}:localhost:{port} root@HOST -p PORT   (on your machine; then open {page})"
        )
    lines.append(
        f"Stop     Ctrl-C: running work gets up to {settings.drain_seconds} s to finish; Ctrl-C again stops at once"
    )
    return "\n".join([f"Carrot Studio {version()}", *(f"  {line}" for line in lines)])
