"""`launch.py tunnel` on a machine where nothing is installed, to a real sshd with a real studio behind it."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import httpx
import pytest

from app.cli.ssh import Kind, explain
from app.settings.boxes import Box, parse_box, read_variables
from tests.app.conftest import Served, serve
from tests.conftest import ROOT
from tests.serving import create_api, free_port, make_studio, serving, settings_in, until
from tests.small_engines import BlobEngine, EchoSpeech
from tests.sshd import Sshd, make_key

# -S: without any installed package.
LAUNCH = [sys.executable, "-S", str(ROOT / "launch.py"), "tunnel"]


@dataclass
class Tunnel:
    """The running command, and what it has said so far."""

    process: subprocess.Popen[str]
    port: int
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self, part: str) -> bool:
        return any(part in line for line in self.lines)

    def wait_for(self, part: str) -> None:
        def there() -> bool:
            assert self.process.poll() is None or self.said(part), "".join(self.lines)
            return self.said(part)

        until(there, 30)

    def end(self) -> int:
        status = self.process.wait(30)
        self._reader.join()
        return status

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.end()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line)


@contextlib.contextmanager
def tunnel(box: Sshd, studio_url: str, *arguments: str, **variables: str) -> Iterator[Tunnel]:
    port = free_port()
    flags = [f"--port={port}", f"--studio-port={httpx.URL(studio_url).port}", f"--ssh-config={box.config}"]
    process = subprocess.Popen(
        [*LAUNCH, *flags, *([] if variables else [box.address]), *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    opened = Tunnel(process, port)
    try:
        yield opened
    finally:
        process.terminate()
        opened.end()


def once(box: Sshd, studio_url: str, *arguments: str) -> tuple[int, str]:
    """Status and output of a run that ends by itself."""
    with tunnel(box, studio_url, "--once", *arguments) as opened:
        status = opened.end()
        return status, "".join(opened.lines)


def nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_studio_comes_to_this_machine_until_ctrl_c(box: Sshd, served: Served, number: int) -> None:
    with tunnel(box, served.url) as opened:
        opened.wait_for(f"ready: http://localhost:{opened.port}\n")
        assert httpx.get(f"{opened.url}/health").json()["status"] == "healthy"
        assert opened.stop(number) == 0
        assert [line.split("  ", 2)[2] for line in opened.lines] == [
            "connecting\n",
            f"ready: http://localhost:{opened.port}\n",
        ]
        assert nobody_listens(opened.port)


def test_a_killed_connection_comes_back(box: Sshd, served: Served) -> None:
    with tunnel(box, served.url) as opened:
        opened.wait_for("ready")
        box.kill()
        opened.wait_for("Trying again in 1 s.")
        opened.wait_for("refuses the connection: the box is off or still starting")
        opened.lines.clear()
        box.start()
        opened.wait_for("ready")
        assert httpx.get(f"{opened.url}/health").status_code == 200


def test_a_box_that_starts_again_may_refuse_the_key_for_a_while(box: Sshd, served: Served) -> None:
    with tunnel(box, served.url) as opened:
        opened.wait_for("ready")
        keys = box.folder / "authorized_keys"
        keys.rename(box.folder / "kept")
        box.kill()
        box.start()
        opened.wait_for("takes none of your keys")
        opened.lines.clear()
        (box.folder / "kept").rename(keys)
        opened.wait_for("ready")


def test_it_tells_how_the_studio_behind_it_is(box: Sshd, tmp_path: Path) -> None:
    engine = BlobEngine(load_gate=Event())
    port = free_port()
    with tunnel(box, f"http://127.0.0.1:{port}") as opened:
        opened.wait_for("start it on the box, python3 launch.py")
        with serving(create_api(make_studio(settings_in(tmp_path / "data"), engine, EchoSpeech())), port):
            opened.wait_for("The studio is loading its models, 20 %")
            engine.load_gate.set()
            opened.wait_for("ready")
            opened.lines.clear()
        opened.wait_for("The studio is not up")
        assert opened.process.poll() is None


def test_several_boxes_come_to_ports_in_a_row(box: Sshd, served: Served) -> None:
    with tunnel(box, served.url, STUDIO_BOXES=f"{box.address}, ssh://{box.address}") as opened:
        for port in (opened.port, opened.port + 1):
            opened.wait_for(f"ready: http://localhost:{port}\n")
            assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_a_studio_that_wants_a_token_is_asked_with_it(box: Sshd, tmp_path: Path) -> None:
    for guarded in serve(tmp_path / "data", create_api, api_tokens="web=a-token-that-is-long-enough"):
        status, said = once(box, guarded.url, "--wait=3")
        assert status == 1
        assert "Set STUDIO_API_TOKENS to one" in said
        variables = {"STUDIO_API_TOKENS": "web=a-token-that-is-long-enough", "STUDIO_BOXES": box.address}
        with tunnel(box, guarded.url, "--once", **variables) as opened:
            assert opened.end() == 0


def test_once_gives_up_on_a_box_that_is_off(box: Sshd) -> None:
    box.kill()
    # Long enough for one try, which ssh takes a second for on a busy machine.
    status, said = once(box, "http://127.0.0.1:1", "--wait", "4.5")
    assert status == 1
    assert "refuses the connection: the box is off" in said
    assert "Trying again in 1 s." in said
    assert "Not ready after 4.5 s." in said


def test_an_unknown_host_key_is_refused_where_nobody_can_be_asked(box: Sshd, served: Served) -> None:
    box.known_hosts.unlink()
    status, said = once(box, served.url)
    assert status == 3
    assert "is not known here. Start this command on a terminal once" in said
    assert not box.known_hosts.exists()


def on_a_terminal(box: Sshd, studio_url: str, answer: str) -> tuple[int, str]:
    leader, follower = pty.openpty()
    flags = [f"--port={free_port()}", f"--studio-port={httpx.URL(studio_url).port}", f"--ssh-config={box.config}"]
    process = subprocess.Popen(
        [*LAUNCH, *flags, "--once", box.address], stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    said = ""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while part := os.read(leader, 10_000).decode():
            said += part
            if part.endswith("Type yes: "):
                os.write(leader, f"{answer}\n".encode())
    os.close(leader)
    return process.wait(30), said


def test_on_a_terminal_an_unknown_host_key_is_shown_and_kept(box: Sshd, served: Served) -> None:
    known = box.known_hosts.read_text()
    box.known_hosts.write_text("[127.0.0.1]:1 ssh-ed25519 AAAA")
    status, said = on_a_terminal(box, served.url, "yes")
    assert status == 0
    assert f"ED25519 {box.fingerprint}" in said
    assert known.strip() in box.known_hosts.read_text().splitlines()
    assert once(box, served.url)[0] == 0


def test_on_a_terminal_anything_but_yes_is_a_no(box: Sshd, served: Served) -> None:
    box.known_hosts.unlink()
    assert on_a_terminal(box, served.url, "y")[0] == 3
    assert not box.known_hosts.exists()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_changed_host_key_is_refused_loudly(box: Sshd, served: Served, terminal: bool) -> None:
    box.kill()
    box.change_host_key()
    box.start()
    status, said = on_a_terminal(box, served.url, "yes") if terminal else once(box, served.url)
    assert status == 3
    assert "HAS CHANGED" in said
    assert f"ssh-keygen -R '[127.0.0.1]:{box.port}'" in said
    assert "Type yes" not in said


def test_a_refused_key(box: Sshd, served: Served, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    (box.folder / "authorized_keys").write_text((tmp_path / "other.pub").read_text())
    status, said = once(box, served.url)
    assert status == 3
    assert "takes none of your keys. Put your public key into its ~/.ssh/authorized_keys" in said
    assert once(box, served.url, f"--key={tmp_path / 'other'}")[0] == 0


def test_a_key_that_is_not_there_or_that_others_can_read(box: Sshd, served: Served, tmp_path: Path) -> None:
    status, said = once(box, served.url, f"--key={tmp_path / 'none'}")
    assert (status, "There is no key file" in said) == (3, True)
    shutil.copy(box.folder / "user", tmp_path / "open")
    box.config.write_text(box.config.read_text().replace(f"IdentityFile {box.folder / 'user'}\n", ""))
    (tmp_path / "open").chmod(0o644)
    status, said = once(box, served.url, f"--key={tmp_path / 'open'}")
    assert (status, "chmod 600" in said) == (3, True)


def test_a_taken_port(box: Sshd, served: Served) -> None:
    port = httpx.URL(served.url).port
    status, said = once(box, served.url, f"--port={port}")
    assert status == 3
    assert f"Port {port} of this machine is taken, and a studio answers there" in said
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, said = once(box, served.url, f"--port={port}")
    assert status == 3
    assert f"taken by another program: stop that one, or choose another, --port {port + 100}" in said


def test_a_box_that_forbids_tunnels(tmp_path: Path, served: Served) -> None:
    box = Sshd(tmp_path / "strict", ("AllowTcpForwarding no",))
    box.start()
    try:
        status, said = once(box, served.url)
    finally:
        box.kill()
    assert status == 3
    assert "forbids tunnels" in said


def test_a_name_that_nobody_knows_is_tried_again(box: Sshd) -> None:
    # .invalid is never a name (RFC 2606).
    with tunnel(box, "http://127.0.0.1:1", STUDIO_BOXES="root@box.invalid") as opened:
        opened.wait_for("cannot be looked up: check it, and whether this machine is online. Trying again")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "No box is named"),
        (("root@host:99999",), "'root@host:99999' is no box: write root@HOST:PORT"),
        (("root@-oProxyCommand=x",), "is no box"),
        (("--port", "65535", "root@a", "root@b"), "choose a number from 1 to 65534"),
        (("--prot", "1", "root@a"), "unrecognized arguments"),
    ],
)
def test_what_cannot_be_meant(arguments: tuple[str, ...], told: str) -> None:
    done = subprocess.run([*LAUNCH, *arguments], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    ("written", "box"),
    [
        ("root@203.0.113.7:40022", Box("203.0.113.7", "root", 40022)),
        ("ssh://root@gpu.example.com", Box("gpu.example.com", "root")),
        ("mybox", Box("mybox")),
        ("root@[fd00::1]:22", Box("fd00::1", "root", 22)),
    ],
)
def test_how_a_box_may_be_written(written: str, box: Box) -> None:
    assert parse_box(written) == box
    assert parse_box(str(box)) == box


@pytest.mark.parametrize("line", ["A=x", 'A="x"', "export A='x' # why", "A = x  # why", "B=1\nA=y\nA=x", "A=\nA=x"])
def test_the_env_file_is_read_without_any_package(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# A=c\n{line}\n")
    assert read_variables(frozenset({"A"}), {}, tmp_path / ".env") == {"A": "x"}
    assert read_variables(frozenset({"A"}), {"A": "z"}, tmp_path / ".env") == {"A": "z"}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ssh: connect to host 203.0.113.7 port 22: Connection timed out", Kind.BOX_OFF),
        ("ssh: connect to host 203.0.113.7 port 22: No route to host", Kind.BOX_OFF),
        ("ssh: connect to host 203.0.113.7 port 22: Network is unreachable", Kind.BOX_OFF),
        ("Timeout, server 203.0.113.7 not responding.", Kind.LOST),
        ("kex_exchange_identification: read: Connection reset by peer", Kind.LOST),
        ("Received disconnect from 203.0.113.7: Too many authentication failures", Kind.KEY_REFUSED),
    ],
)
def test_what_no_loopback_can_show(said: str, kind: Kind) -> None:
    assert explain(Box("203.0.113.7", "root"), ["Warning: something else", said]).kind is kind
