"""`launch.py tunnel`: brings rented boxes' studios to this machine's ports, keeps them there, and says how they are.

It runs on a laptop where nothing is installed: the standard library and the system's ssh.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.cli.health import Silent, ask
from app.cli.ssh import Connection, Forward, Kind, Ssh, Trouble
from app.settings.boxes import Box, parse_box, read_variables

ENDED, NOT_YET, MISUSED, NEEDS_YOU = 0, 1, 2, 3
"""Exit statuses: stopped by Ctrl-C, or ready with --once; not ready in time; wrong flags; a trouble that waiting does
not mend ended it."""

STUDIO_PORT = 7860
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before the first and the later new tries; each is twice the one before."""
STABLE_SECONDS = 30.0
"""A connection that held this long starts the pauses anew."""
LOOK_SECONDS, WATCH_SECONDS = 1.0, 5.0
"""Between two looks at the studio: until it is ready, and after."""
HEALTH_SECONDS = 10.0

Ask = Callable[[str], Awaitable[bool]]


def main(argv: Sequence[str], env_file: Path) -> int:
    """Run until Ctrl-C, SIGTERM or, with --once, until every studio is ready."""
    variables = read_variables(frozenset({"STUDIO_API_TOKENS", "STUDIO_BOXES", "STUDIO_SSH_KEY"}), os.environ, env_file)
    try:
        options = _parser().parse_args(argv)
        wanted = options.boxes or [part for part in variables.get("STUDIO_BOXES", "").split(",") if part.strip()]
        boxes = [parse_box(text) for text in wanted]
        _check(options, boxes)
    except SystemExit as stop:  # argparse has said what is wrong, or has shown the help
        return MISUSED if stop.code else ENDED
    except ValueError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return MISUSED
    key = options.key or variables.get("STUDIO_SSH_KEY")
    ssh = Ssh(Path(key).expanduser() if key else None, options.ssh_config)
    forwards = [Forward(options.port + number, options.studio_port) for number in range(len(boxes))]
    # name=TOKEN or TOKEN, which may end in base64's padding.
    token = re.sub(r"^[a-z][a-z0-9_-]*=(?=[^=])", "", variables.get("STUDIO_API_TOKENS", "").partition(",")[0].strip())
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    asking = _ask_on_terminal(asyncio.Lock()) if terminal else None
    keepers = [Keeper(ssh, box, forward, asking, token) for box, forward in zip(boxes, forwards, strict=True)]
    return asyncio.run(_run(keepers, options.wait if options.once else None))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py tunnel",
        description="Opens ssh tunnels to rented boxes, on ports 7860, 7861, ... of this machine, and keeps them.",
        epilog="Status: 0 stopped, or ready with --once; 1 not ready in time; 2 wrong flags; 3 needs you.",
        allow_abbrev=False,
    )
    parser.add_argument("boxes", nargs="*", metavar="root@HOST:PORT", help="default: STUDIO_BOXES, comma-separated")
    parser.add_argument("--key", metavar="FILE", help="private key (default: STUDIO_SSH_KEY, else as ssh does)")
    parser.add_argument("--port", type=int, default=STUDIO_PORT, help="first port on this machine (7860)")
    parser.add_argument("--studio-port", type=int, default=STUDIO_PORT, help="the studio's port on the box (7860)")
    parser.add_argument("--ssh-config", type=Path, metavar="FILE", help="in place of ~/.ssh/config")
    parser.add_argument("--once", action="store_true", help="end with status 0 as soon as every studio is ready")
    parser.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="how long --once waits (60)")
    return parser


def _check(options: argparse.Namespace, boxes: list[Box]) -> None:
    """Raises ValueError."""
    if not boxes:
        raise ValueError(
            "No box is named. Type python3 launch.py tunnel root@HOST:PORT, or set STUDIO_BOXES to that in .env."
        )
    for flag, port, last in (
        ("--port", options.port, options.port + len(boxes) - 1),
        ("--studio-port", options.studio_port, options.studio_port),
    ):
        if port < 1 or last > 65535:
            raise ValueError(f"{flag} {port} cannot be used: choose a number from 1 to {65535 - (last - port)}.")


@dataclass(eq=False)
class Keeper:
    """Keeps one box's tunnel. `asking` is None where nobody can be asked whether a host key is right."""

    ssh: Ssh
    box: Box
    forward: Forward
    asking: Ask | None
    token: str = ""
    """Asks a studio that wants one how it is."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _told: str = ""
    _was_open: bool = False

    async def keep(self) -> None:
        """Until cancelled. Raises Trouble where waiting does not help."""
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            try:
                await self._once()
            except Trouble as trouble:
                if trouble.kind is Kind.HOST_KEY_UNKNOWN and await self._trusted():
                    continue
                # A box that starts again answers before its keys are in place.
                starting_again = self._was_open and trouble.kind is Kind.KEY_REFUSED
                if not trouble.waiting_helps and not starting_again:
                    self._say(str(trouble))
                    raise
                if time.monotonic() - started > STABLE_SECONDS:
                    pause = FIRST_PAUSE
                self._say(f"{trouble} Trying again in {pause:.0f} s.")
            self.ready.clear()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _once(self) -> None:
        """One connection, to its end. Raises Trouble for whatever ended it."""
        if not self._was_open:
            self._say("connecting")
        _check_free(self.forward.local)
        async with self.ssh.connect(self.box, self.forward) as connection:
            self._was_open = True
            watching = asyncio.create_task(self._watch(connection))
            ending = asyncio.create_task(connection.ended())
            try:
                await asyncio.wait((watching, ending), return_when=asyncio.FIRST_COMPLETED)
                raise watching.result() if watching.done() else ending.result()
            finally:
                # The connection first: what waits for an answer through it ends with it.
                await connection.close()
                await _cancelled(watching, ending)

    async def _watch(self, connection: Connection) -> Trouble:
        """Say how the studio is whenever that changes. Returns only if the box forbids the tunnel."""
        while True:
            state = await self._look()
            if connection.forbidden:
                return connection.forbidden
            self._say(state)
            await asyncio.sleep(WATCH_SECONDS if self.ready.is_set() else LOOK_SECONDS)

    async def _look(self) -> str:
        try:
            health = await asyncio.to_thread(ask, f"http://127.0.0.1:{self.forward.local}", HEALTH_SECONDS, self.token)
        except Silent as silent:
            self.ready.clear()
            return f"The studio is not up ({silent}): start it on the box, python3 launch.py"
        if health.state != "healthy":
            self.ready.clear()
            help_it = ". Set STUDIO_API_TOKENS to one" if health.state == "alive" else ""
            return f"The studio is {health}{help_it}"
        self.ready.set()
        return f"ready: http://localhost:{self.forward.local}"

    async def _trusted(self) -> bool:
        """Show the new host key to whoever sits here, and take their word for it."""
        if self.asking is None:
            return False
        key = await self.ssh.offered_key(self.box)
        if key is None:
            return False
        right = await self.asking(
            f"{self.box} is new here. Its host key:\n  {key.fingerprint}\nOn the box (the provider's web terminal) "
            "this shows the right one: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\nIs it the same? Type yes: "
        )
        if right:
            self._say(f"The key is kept in {await self.ssh.trust(self.box, key)}")
        return right

    def _say(self, told: str) -> None:
        if told != self._told:
            print(f"{self.forward.local}  {self.box}  {told}", flush=True)
        self._told = told


async def _run(keepers: list[Keeper], wait: float | None) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    keeping = [asyncio.create_task(keeper.keep()) for keeper in keepers]
    ready = asyncio.create_task(_all_ready(keepers))
    try:
        if wait is None:
            await _first(asyncio.gather(*keeping, return_exceptions=True), stopped)
        else:
            # The first trouble that waiting does not mend is the answer.
            async with asyncio.timeout(wait):
                await _first(asyncio.gather(*keeping), stopped, ready)
    except TimeoutError:
        print(f"Not ready after {wait:g} s.", file=sys.stderr)
        return NOT_YET
    except Trouble:
        return NEEDS_YOU
    finally:
        await _cancelled(*keeping, stopped, ready)
    return ENDED if stop.is_set() or wait is not None else NEEDS_YOU


async def _all_ready(keepers: list[Keeper]) -> None:
    for keeper in keepers:
        await keeper.ready.wait()


async def _first(*waited: asyncio.Future[Any]) -> None:
    """Wait for the first of them, and raise what it raised."""
    done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _check_free(port: int) -> None:
    """ssh is content with one of the two loopback addresses, so it would not tell that the other is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise Trouble(Kind.PORT_TAKEN, f"Port {port} is for root only. Choose a higher one: --port 7860") from None
        except OSError:
            raise Trouble(Kind.PORT_TAKEN, f"Port {port} of this machine is taken{_by(port)}.") from None


def _by(port: int) -> str:
    other = f"choose another, --port {port + 100}"
    try:
        ask(f"http://127.0.0.1:{port}", 1.0)
    except Silent:
        return f" by another program: stop that one, or {other}"
    return f", and a studio answers there: another tunnel is open, or a studio runs here. Use that one, or {other}"


def _ask_on_terminal(turn: asyncio.Lock) -> Ask:
    async def asking(question: str) -> bool:
        # One question at a time. It is read by the loop, so that Ctrl-C ends it like everything else.
        async with turn:
            print(question, end="", flush=True)
            loop = asyncio.get_running_loop()
            typed = asyncio.Event()
            loop.add_reader(sys.stdin.fileno(), typed.set)
            try:
                await typed.wait()
            finally:
                loop.remove_reader(sys.stdin.fileno())
            return sys.stdin.readline().strip().lower() == "yes"

    return asking
