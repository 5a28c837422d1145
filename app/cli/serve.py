"""Runs the studio on its port: takes it first, says once where everything is, and drains before it stops."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

from app.about import version
from app.listening import PortRefused, listen
from app.logs import set_up_logging
from app.runner import DrainingServer
from app.settings.fields import Settings, is_loopback
from engines.errors import StudioError

if TYPE_CHECKING:
    from app.work.studio import Studio

CUT_SHORT = 1
"""Exit status when the limit ended running work."""


def main(settings: Settings) -> int:
    """Serve until told to stop. 0 after a stop that cut nothing short."""
    set_up_logging()
    # For what libraries write: uploads on the page, downloaded weights.
    os.umask(0o077)
    try:
        listener = listen(settings.host, settings.port)
    except PortRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    # Read when torch is loaded. Threads that wait by spinning take each other's cores: on a busy machine of two, one
    # small picture took minutes instead of seconds.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # People's photos and recordings belong with the rest of their data, not in a folder that a machine's users share.
    os.environ.setdefault("GRADIO_TEMP_DIR", str(settings.data_dir.resolve() / "gradio"))
    # Only now the slow imports: a taken port is told at once.
    from app.wiring import build_studio, describe

    try:
        studio = build_studio(settings)
    except StudioError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return serve_studio(studio, listener, lambda: _say(welcome(settings, describe(settings, studio))))


def serve_studio(studio: Studio, listener: socket.socket, on_started: Callable[[], None]) -> int:
    """Serve a studio until told to stop; see `serve`."""
    from app.http.apps import create_app

    return serve(
        create_app(studio),
        listener,
        start_drain=studio.jobs.drain,
        busy=lambda: not studio.jobs.idle,
        give_up=studio.jobs.give_up,
        drain_seconds=studio.settings.drain_seconds,
        on_started=on_started,
    )


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    start_drain: Callable[[], None],
    busy: Callable[[], bool],
    give_up: Callable[[], None],
    drain_seconds: float,
    on_started: Callable[[], None],
) -> int:
    """Serve `app` until SIGTERM or Ctrl-C, then drain; see DrainingServer."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        log_config=None,
        access_log=False,
        server_header=False,
        # Forwarded addresses are believed from nobody: the peer is who calls.
        proxy_headers=False,
        # Node's clients reuse a connection for a minute; closing it under them shows as failed requests.
        timeout_keep_alive=75,
    )
    server = DrainingServer(
        config,
        start_drain=start_drain,
        busy=busy,
        give_up=give_up,
        drain_seconds=drain_seconds,
        on_started=on_started,
    )
    server.run(sockets=[listener])
    if server.cut_short:
        # A thread deep in native code cannot be ended, and would hold the exit for as long as it likes.
        os._exit(CUT_SHORT)
    return 0


def welcome(settings: Settings, engines: Sequence[str]) -> str:
    """The one block that a person sees after the start."""
    port = settings.port
    local = is_loopback(settings.host)
    anywhere = settings.host in ("0.0.0.0", "::")
    bound = f"[{settings.host}]" if ":" in settings.host else settings.host
    page = f"http://localhost:{port}" if local or anywhere else f"http://{bound}:{port}"
    who = "this machine only" if local else f"every machine that reaches {bound}:{port}"
    token = "with a token from STUDIO_API_TOKENS" if settings.api_tokens else "no token asked"
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


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
