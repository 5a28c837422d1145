"""A real sshd on loopback with keys of its own, as a rented box has one; it can be killed and started again."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.serving import free_port, until

SSHD = "/usr/sbin/sshd"


@dataclass
class Sshd:
    """`options` are lines of sshd_config. `config` is an ssh_config that knows the user's key and the host's."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    said: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("host", "user"):
            make_key(self.folder / name)
        (self.folder / "authorized_keys").write_text((self.folder / "user.pub").read_text())
        self.known_hosts.write_text(self._known(self.folder / "host.pub"))
        self.config.write_text(
            f"UserKnownHostsFile {self.known_hosts}\nGlobalKnownHostsFile /dev/null\nHashKnownHosts no\n"
            f"IdentityFile {self.folder / 'user'}\nIdentitiesOnly yes\nIdentityAgent none\n"
        )

    @property
    def address(self) -> str:
        return f"{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def config(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def fingerprint(self) -> str:
        told = subprocess.run(
            ["ssh-keygen", "-lf", self.folder / "host.pub"], capture_output=True, text=True, check=True
        )
        return told.stdout.split()[1]

    def change_host_key(self) -> None:
        """As if another machine had got the address; for the next start."""
        for file in (self.folder / "host", self.folder / "host.pub"):
            file.unlink()
        make_key(self.folder / "host")

    def start(self) -> None:
        if os.geteuid() == 0:
            # Where its unprivileged half lives; systemd makes it where sshd is a service.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings = (
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder / 'host'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            f"PidFile {self.folder / 'pid'}",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "StrictModes no",
            "UsePAM no",
            *self.options,
        )
        (self.folder / "sshd_config").write_text("\n".join(settings) + "\n")
        self._process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", self.folder / "sshd_config"], stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        until(self._answers)

    def kill(self) -> None:
        """At once, with every connection that it holds."""
        if self._process is None:
            return
        for pid in (self._process.pid, *_descendants(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "".join(self.said)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            self.said += process.stderr

    def _known(self, key: Path) -> str:
        kind, value = key.read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {value}\n"


def make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def _descendants(parent: int) -> list[int]:
    children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return [*children, *(pid for child in children for pid in _descendants(child))]
