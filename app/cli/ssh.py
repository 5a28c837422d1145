"""The system's own ssh, started and understood: one connection to a box, and a sentence for each way it ends.

The system's, not a library: it is on every laptop, and with it come the user's agent, keys on hardware, jump hosts and
known hosts. What it says is English in every locale, and OpenSSH has kept these words for many years.

The box belongs to a stranger, so it gets neither agent nor display, and its host key is never taken unseen.
Standard library only: a laptop that wants nothing but the tunnel installs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import subprocess
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.settings.boxes import Box

CONNECT_SECONDS = 10
ALIVE_SECONDS, ALIVE_COUNT = 5, 3
"""A line that is dead without a word is noticed after 15 s."""
LAST_LINES = 40
SIGN = "connected"


class Kind(StrEnum):
    """What can go wrong."""

    NO_SSH = "no_ssh"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    KEY_REFUSED = "key_refused"
    KEY_UNUSABLE = "key_unusable"
    PORT_TAKEN = "port_taken"
    FORWARDING_FORBIDDEN = "forwarding_forbidden"
    NO_SUCH_HOST = "no_such_host"
    BOX_OFF = "box_off"
    LOST = "lost"


WAITING_HELPS = frozenset({Kind.NO_SUCH_HOST, Kind.BOX_OFF, Kind.LOST})
"""A box that starts, a network that comes back. Everything else needs a person."""


class Trouble(Exception):
    """`str()` says what happened and what to do, in whole sentences."""

    def __init__(self, kind: Kind, told: str) -> None:
        super().__init__(told)
        self.kind = kind

    @property
    def waiting_helps(self) -> bool:
        return self.kind in WAITING_HELPS


@dataclass(frozen=True, slots=True)
class Forward:
    """`local` of this machine's loopback addresses leads to `remote` of the box's."""

    local: int
    remote: int


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """The host key that a box shows: its fingerprint for a person, and its line for a file of known hosts."""

    fingerprint: str
    known_hosts_line: str


@dataclass(frozen=True, slots=True)
class Ssh:
    """How to call ssh. `key`: the private key to use. `config`: in place of the user's ~/.ssh/config."""

    key: Path | None = None
    config: Path | None = None

    def command(self, box: Box, forward: Forward | None = None) -> list[str]:
        """A connection without a shell that says SIGN once it and its forwarding are there."""
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(CONNECT_SECONDS),
            "ControlMaster": "no",
            "ControlPath": "none",
            "ExitOnForwardFailure": "yes",
            "LocalCommand": f"echo {SIGN}",
            "LogLevel": "INFO",
            "PermitLocalCommand": "yes",
            "RemoteCommand": "none",
            "ServerAliveCountMax": str(ALIVE_COUNT),
            "ServerAliveInterval": str(ALIVE_SECONDS),
            "StrictHostKeyChecking": "yes",
        }
        # "localhost" in front: GatewayPorts in the user's configuration must not open it to the network.
        forwarding = ["-L", f"localhost:{forward.local}:localhost:{forward.remote}"] if forward else []
        return [*self._ssh(options), "-N", "-T", "-a", "-x", *forwarding, *_address(box)]

    @contextlib.asynccontextmanager
    async def connect(self, box: Box, forward: Forward | None = None) -> AsyncIterator[Connection]:
        """An open connection, ended with the block. Raises Trouble."""
        if self.key is not None and not self.key.is_file():
            raise Trouble(Kind.KEY_UNUSABLE, f"There is no key file {self.key}. Name your private key with --key FILE.")
        connection = Connection(box, await _start(self.command(box, forward)))
        try:
            await connection.opened()
            yield connection
        finally:
            await connection.close()

    async def offered_key(self, box: Box) -> OfferedKey | None:
        """The host key that the box shows now; None if it shows none.

        ssh itself asks, as for a real connection (jump hosts, names, algorithms), but without showing who we are.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "known_hosts")
            options = {
                "BatchMode": "yes",
                "ConnectTimeout": str(CONNECT_SECONDS),
                "ControlPath": "none",
                "GlobalKnownHostsFile": "/dev/null",
                "PreferredAuthentications": "none",
                "StrictHostKeyChecking": "accept-new",
                "UserKnownHostsFile": str(file),
            }
            await _output([*self._ssh(options), "-N", *_address(box)])
            if not file.exists():
                return None
            told = await _output(["ssh-keygen", "-l", "-f", str(file)])
            # 256 SHA256:... host (ED25519)
            words = told.split()
            return OfferedKey(f"{words[-1].strip('()')} {words[1]}", file.read_text()) if len(words) > 3 else None

    async def trust(self, box: Box, key: OfferedKey) -> Path:
        """Put the key into the user's own file of known hosts, which is returned."""
        told = await _output([*self._ssh({}), "-G", *_address(box)])
        named = [line.partition(" ")[2] for line in told.splitlines() if line.startswith("userknownhostsfile ")]
        file = Path(shlex.split(named[0])[0] if named else "~/.ssh/known_hosts").expanduser()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            file.touch(mode=0o600)
        written = file.read_text()
        with file.open("a") as known:
            known.write(("\n" if written and not written.endswith("\n") else "") + key.known_hosts_line)
        return file

    def _ssh(self, options: dict[str, str]) -> list[str]:
        command = ["ssh", *(["-F", str(self.config)] if self.config else [])]
        if self.key is not None:
            command += ["-i", str(self.key), "-o", "IdentitiesOnly=yes"]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return command


class Connection:
    """One running ssh."""

    def __init__(self, box: Box, process: asyncio.subprocess.Process) -> None:
        self._box = box
        self._process = process
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._listening = asyncio.create_task(self._listen())

    async def opened(self) -> None:
        """Wait until it is there. Raises Trouble."""
        assert self._process.stdout is not None
        if (await self._process.stdout.readline()).decode().strip() != SIGN:
            raise await self.ended()

    async def ended(self) -> Trouble:
        """Wait for its end, and tell why."""
        await self._process.wait()
        await self._listening
        return explain(self._box, list(self._said))

    @property
    def forbidden(self) -> Trouble | None:
        """Set once the box has refused to forward what came through."""
        if any("administratively prohibited" in line for line in self._said):
            return explain(self._box, list(self._said))
        return None

    async def close(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._said.append(line.decode(errors="replace").strip())


def explain(box: Box, said: list[str]) -> Trouble:
    """What ssh's last lines mean, and what to do."""
    text = "\n".join(said)
    for sign, kind, told in _SIGNS:
        if sign in text:
            return Trouble(kind, told.format(box=box, name=_known_as(box)))
    last = next((line for line in reversed(said) if line), "ssh ended without a word")
    return Trouble(Kind.LOST, f"The connection to {box} ended ({last[:200]}).")


# In this order: after a changed host key ssh says "verification failed" too, and after many troubles "closed".
_SIGNS = (
    (
        "IDENTIFICATION HAS CHANGED",
        Kind.HOST_KEY_CHANGED,
        "THE HOST KEY OF {box} HAS CHANGED. Somebody may be in between, so nothing was sent. Only if you know that a "
        "new box has this address now (providers hand them on), forget the old key and look at the new one: "
        "ssh-keygen -R '{name}'",
    ),
    (
        "Host key verification failed",
        Kind.HOST_KEY_UNKNOWN,
        "The host key of {box} is not known here. Start this command on a terminal once: it shows the fingerprint and "
        "asks.",
    ),
    (
        "UNPROTECTED PRIVATE KEY FILE",
        Kind.KEY_UNUSABLE,
        "Other users can read the private key, so ssh does not use it. Close it to them: chmod 600 KEYFILE",
    ),
    (
        "Permission denied",
        Kind.KEY_REFUSED,
        "{box} is on, but takes none of your keys. Put your public key into its ~/.ssh/authorized_keys (at Vast: "
        "Account, SSH keys, before the box is rented), name the private one with --key FILE, and load one that has a "
        "passphrase first: ssh-add FILE",
    ),
    (
        "Too many authentication failures",
        Kind.KEY_REFUSED,
        "{box} was offered too many keys before the right one. Name it: --key FILE",
    ),
    (
        "Could not request local forwarding",
        Kind.PORT_TAKEN,
        "The port on this machine was taken by another program meanwhile. Choose another: --port",
    ),
    (
        "administratively prohibited",
        Kind.FORWARDING_FORBIDDEN,
        "{box} lets you in but forbids tunnels. In its /etc/ssh/sshd_config set AllowTcpForwarding yes, then restart "
        "its sshd.",
    ),
    (
        "Could not resolve hostname",
        Kind.NO_SUCH_HOST,
        "The name of {box} cannot be looked up: check it, and whether this machine is online.",
    ),
    (
        "Connection refused",
        Kind.BOX_OFF,
        "{box} refuses the connection: the box is off or still starting, or its ssh has another port now. Look at the "
        "provider's page.",
    ),
    ("not responding", Kind.LOST, "{box} does not answer any more."),
    ("timed out", Kind.BOX_OFF, "{box} does not answer: the box is off, or a firewall is in between."),
    ("No route to host", Kind.BOX_OFF, "{box} cannot be reached: the box is off, or this machine is offline."),
    ("Network is unreachable", Kind.BOX_OFF, "{box} cannot be reached: this machine seems to be offline."),
    ("closed by", Kind.LOST, "{box} closed the connection."),
    ("reset by", Kind.LOST, "The connection to {box} was cut."),
    ("Broken pipe", Kind.LOST, "The connection to {box} was cut."),
)


def _address(box: Box) -> list[str]:
    port = ["-p", str(box.port)] if box.port else []
    return [*port, "--", f"{box.user}@{box.host}".removeprefix("@")]


def _known_as(box: Box) -> str:
    """How files of known hosts call it."""
    return f"[{box.host}]:{box.port}" if box.port and box.port != 22 else box.host


async def _start(command: list[str]) -> asyncio.subprocess.Process:
    """In a session of its own: Ctrl-C is ours to act on, and ssh cannot ask behind our back."""
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        raise Trouble(
            Kind.NO_SSH, "There is no ssh on this machine. Install OpenSSH's client (apt-get install openssh-client)."
        ) from missing


async def _output(command: list[str]) -> str:
    """What a short command prints; it is ended if it takes long."""
    process = await _start(command)
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 2 * CONNECT_SECONDS)
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode(errors="replace")
