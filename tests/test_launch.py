"""launch.py on a bare machine: real processes, real environments, with a tiny package in torch's place."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import launch

ROOT = Path(__file__).resolve().parent.parent
COPIED = (
    "launch.py",
    "pyproject.toml",
    "app/__init__.py",
    "app/about.py",
    "app/cli/parse.py",
    "engines/words.py",
    "engines/errors.py",
)

# What stands in the copy for the app: it tells where it runs and what it was given.
START = """
def start(): return None
"""
SETTINGS = """
def load(flags, env_file): return flags
load_transcriber = load_data = load
"""
REPORT = """
class SettingsRefused(Exception): pass
"""
SERVE = """
import json, sys, tiny
def main(settings, pictures):
    print(json.dumps({"prefix": sys.prefix, "flags": settings, "tiny": tiny.VERSION}))
    return 7
"""


@dataclass
class Copy:
    """launch.py in a folder of its own, with requirements that install in a second."""

    folder: Path
    wheels: Path

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def start(self, *arguments: str, python: str | Path = sys.executable, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [python, self.folder / "launch.py", *arguments],
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, python: str | Path = sys.executable, **variables: str) -> tuple[int, str]:
        process = self.start(*arguments, python=python, **variables)
        output, _ = process.communicate(timeout=200)
        assert "Traceback" not in output
        return process.returncode, output

    def pretending(self, what: str, **variables: str) -> tuple[int, str]:
        """Start on a machine that differs as `what` says, a line of Python."""
        code = f"import sys, runpy; {what}; runpy.run_path({str(self.folder / 'launch.py')!r}, run_name='__main__')"
        script = self.folder / "pretend.py"
        script.write_text(f"import sys; sys.path.insert(0, {str(self.folder)!r}); sys.argv = ['launch.py']; {code}")
        done = subprocess.run(
            [sys.executable, script], env=self.environment(**variables), capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    def environment(self, **variables: str) -> dict[str, str]:
        """Nothing of pip's configuration here, so that what a test finds is what it put there."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "STUDIO_"))}
        offline = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return {**clean, **offline, **variables}

    def require(self, *pins: str) -> None:
        (self.folder / "requirements.txt").write_text("# a comment\n" + "".join(f"{pin}\n" for pin in pins))

    def another(self, folder: Path, *, with_venv: bool = True) -> Copy:
        shutil.copytree(self.folder, folder, symlinks=True)
        if not with_venv:
            shutil.rmtree(folder / ".venv")
        return Copy(folder, self.wheels)


def make_wheel(folder: Path, version: str, *, filler: int = 0) -> None:
    """The package `tiny`, as one file that pip installs."""
    files = {
        "tiny/__init__.py": f"VERSION = {version!r}\n",
        "tiny/filler": "x" * filler,
        f"tiny-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"tiny-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"tiny-{version}.dist-info/RECORD"
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        lines = [f"{name},sha256={_digest(text)},{len(text)}" for name, text in files.items()]
        wheel.writestr(record, "\n".join([*lines, f"{record},,"]))


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Copy, int, str]:
    """A copy after its first start, with what that said."""
    wheels = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "1.1"):
        make_wheel(wheels, version)
    copy = Copy(tmp_path_factory.mktemp("studio"), wheels)
    for folder in ("app/cli", "app/settings", "engines/sdxl"):
        (copy.folder / folder).mkdir(parents=True)
    for name in COPIED:
        shutil.copy(ROOT / name, copy.folder / name)
    (copy.folder / "app" / "settings" / "fields.py").write_text(SETTINGS)
    (copy.folder / "app" / "settings" / "report.py").write_text(REPORT)
    (copy.folder / "app" / "cli" / "serve.py").write_text(SERVE)
    (copy.folder / "engines" / "sdxl" / "start.py").write_text(START)
    copy.require("tiny==1.0")
    return (copy, *copy.run("--port", "1234"))


@pytest.fixture
def studio(first_start: tuple[Copy, int, str], tmp_path: Path) -> Copy:
    """A copy that is set up, for a test to break."""
    return first_start[0].another(tmp_path / "studio")


def last_line(output: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(output.splitlines()[-1])
    return told


def test_the_first_start_sets_itself_up_and_goes_on_inside(first_start: tuple[Copy, int, str]) -> None:
    copy, status, output = first_start
    assert status == 7
    assert last_line(output) == {"prefix": str(copy.venv), "flags": {"port": "1234"}, "tiny": "1.0"}
    assert output.startswith(f"Setting up {copy.venv}")
    assert "\n  tiny" in output
    assert "\n  installing 1 packages\n" in output
    assert "Set up in" in output


def test_a_later_start_installs_nothing(studio: Copy) -> None:
    studio.run()  # the copied .venv is another one
    for python in (sys.executable, studio.venv / "bin" / "python"):
        status, output = studio.run(python=python, PIP_FIND_LINKS="/nowhere")
        assert (status, len(output.splitlines())) == (7, 1)


def test_changed_requirements_are_installed(studio: Copy) -> None:
    studio.require("tiny==1.1")
    _, output = studio.run()
    assert output.startswith(f"Completing {studio.venv}")
    assert last_line(output)["tiny"] == "1.1"


def test_another_environment_that_meets_the_pins_is_used_as_it_is(studio: Copy, tmp_path: Path) -> None:
    other = studio.another(tmp_path / "other", with_venv=False)
    status, output = other.run(python=studio.venv / "bin" / "python")
    assert (status, last_line(output)["prefix"]) == (7, str(studio.venv))
    assert not other.venv.exists()


def test_a_package_removed_by_hand_comes_back(studio: Copy) -> None:
    subprocess.run([studio.venv / "bin" / "python", "-m", "pip", "uninstall", "-qy", "tiny"], check=True)
    _, output = studio.run()
    assert last_line(output)["tiny"] == "1.0"


def test_a_package_that_pip_was_killed_in_the_middle_of_is_installed_again(studio: Copy) -> None:
    (info,) = studio.venv.glob("lib/*/site-packages/tiny-1.0.dist-info")
    (info / "INSTALLER").unlink()
    (info.parent / "tiny" / "__init__.py").unlink()
    (studio.venv / "carrot-studio.stamp").unlink()
    _, output = studio.run()
    assert last_line(output)["tiny"] == "1.0"


@pytest.mark.parametrize("inside", [False, True])
def test_a_broken_environment_is_made_anew(studio: Copy, inside: bool) -> None:
    for pip in studio.venv.glob("lib/*/site-packages/pip"):
        shutil.rmtree(pip)
    (studio.venv / "carrot-studio.stamp").unlink()
    if not inside:
        (studio.venv / "bin" / "python").unlink()
        (studio.venv / "bin" / "python").symlink_to("/nowhere/python3")
    _, output = studio.run(python=studio.venv / "bin" / "python" if inside else sys.executable)
    assert last_line(output) == {"prefix": str(studio.venv), "flags": {}, "tiny": "1.0"}


class Index(http.server.ThreadingHTTPServer):
    """A package index that lists `tiny` and keeps whoever fetches it waiting until `release` is set."""

    def __init__(self, wheels: Path) -> None:
        super().__init__(("127.0.0.1", 0), _IndexHandler)
        self.wheels = wheels
        self.asked = threading.Event()
        self.release = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class _IndexHandler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        if self.path.endswith(".whl"):
            self.server.asked.set()
            self.server.release.wait(100)
            self._send((self.server.wheels / self.path.rpartition("/")[2]).read_bytes())
        else:
            names = [wheel.name for wheel in self.server.wheels.glob("*.whl")]
            self._send("".join(f'<a href="/{name}">{name}</a>' for name in names).encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def index(first_start: tuple[Copy, int, str]) -> Iterator[Index]:
    with Index(first_start[0].wheels) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


def from_index(index: Index) -> dict[str, str]:
    return {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": index.url, "PIP_NO_CACHE_DIR": "1"}


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_set_up_is_completed_by_the_next_start(
    studio: Copy, index: Index, number: signal.Signals, expected: int
) -> None:
    studio.require("tiny==1.1")
    process = studio.start(**from_index(index))
    assert index.asked.wait(60)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == expected
    assert "Traceback" not in output
    _, output = studio.run()
    assert last_line(output)["tiny"] == "1.1"


def test_a_start_waits_for_what_a_killed_one_left_behind(studio: Copy, index: Index) -> None:
    """kill -9 leaves pip running: two of them in one environment would damage it."""
    studio.require("tiny==1.1")
    killed = studio.start(**from_index(index))
    assert index.asked.wait(60)
    killed.kill()
    killed.wait()
    assert killed.stdout is not None
    killed.stdout.close()
    waiting = studio.start()
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "Another start is setting up .venv; waiting for it.\n"
    index.release.set()
    output, _ = waiting.communicate(timeout=60)
    assert last_line(output)["tiny"] == "1.1"


def test_of_two_starts_at_once_one_installs(studio: Copy, index: Index) -> None:
    studio.require("tiny==1.1")
    both = [studio.start(**from_index(index)) for _ in range(2)]
    assert index.asked.wait(60)
    index.release.set()
    outputs = [process.communicate(timeout=100)[0] for process in both]
    assert [last_line(output)["tiny"] for output in outputs] == ["1.1", "1.1"]
    assert sum("Set up in" in output for output in outputs) == 1


def test_silence_is_broken(studio: Copy, index: Index) -> None:
    studio.require("tiny==1.1")
    process = studio.start(**from_index(index))
    assert process.stdout is not None
    assert any("GB written" in line for line in process.stdout)
    process.kill()
    index.release.set()
    process.communicate()


def test_no_network_is_a_sentence(studio: Copy) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        studio.require("tiny==1.1")
        status, output = studio.run(PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL=url, PIP_RETRIES="1")
    assert status == 1
    assert "the package index cannot be reached. Check the network" in output
    assert "  pip: " in output
    assert "the package index does not answer; trying again" in output


def test_a_version_that_does_not_exist_is_told_in_pips_words(studio: Copy) -> None:
    studio.require("tiny==9.9")
    status, output = studio.run()
    assert status == 1
    assert output.splitlines()[-1] == "  pip: ERROR: No matching distribution found for tiny==9.9"


def test_a_full_disk_is_told() -> None:
    said = [
        "Collecting torch",
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    ]
    assert launch.explain(said).startswith("The disk is full: setting up needs about 3 GB")


def test_too_little_disk_is_told_before_anything_is_downloaded(studio: Copy) -> None:
    bare = studio.another(studio.folder.parent / "bare", with_venv=False)
    status, output = bare.pretending("import shutil as s; s.disk_usage = lambda _: s._ntuple_diskusage(9, 8, 10**9)")
    assert status == 1
    assert "Too little disk space: setting up needs about 3 GB" in output
    assert "1.0 GB is free" in output
    assert not bare.venv.exists()


def test_an_old_python_is_told_which_one_is_wanted(studio: Copy) -> None:
    status, output = studio.pretending("sys.version_info = (3, 9, 2, 'final', 0)")
    assert status == 1
    assert output.startswith("Carrot Studio needs Python 3.11 or newer; ")
    assert "is 3.9. Install a newer one" in output
    assert len(output.splitlines()) == 1


def test_a_python_without_venv_is_told_the_package(studio: Copy) -> None:
    bare = studio.another(studio.folder.parent / "bare", with_venv=False)
    status, output = bare.pretending("sys.modules['ensurepip'] = None")
    assert status == 1
    assert output.endswith("Type: apt-get install -y python3-venv; then start again.\n")


def test_a_folder_that_cannot_be_written_is_told(studio: Copy) -> None:
    bare = studio.another(studio.folder.parent / "bare", with_venv=False)
    (bare.folder / ".venv.lock").unlink()
    (bare.folder / ".venv.lock").mkdir()
    status, output = bare.run()
    assert status == 1
    assert output.startswith(f"Cannot write to {bare.folder} (Is a directory)")


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["--help"], 0, "usage: python3 launch.py"),
        (["transcriber", "--help"], 0, "usage: python3 launch.py transcriber"),
        (["--version"], 0, "Carrot Studio 0."),
        (["tset"], 2, "There is no command 'tset'. Did you mean 'test'? Type python3 launch.py --help"),
        (["--prot", "1"], 2, "There is no flag --prot. Did you mean '--port'? Type"),
        (["--port"], 2, "Argument --port: expected one argument. Type"),
    ],
)
def test_the_command_line_is_judged_before_anything_is_installed(
    studio: Copy, arguments: list[str], status: int, expected: str
) -> None:
    bare = studio.another(studio.folder.parent / "bare", with_venv=False)
    assert bare.run(*arguments)[0] == status
    assert bare.run(*arguments)[1].startswith(expected)
    assert not bare.venv.exists()


# -- the real app


def serve_here(*flags: str, **variables: str) -> tuple[int, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    done = subprocess.run(
        [sys.executable, ROOT / "launch.py", *flags],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", [[], ["transcriber"]])
def test_a_taken_port_is_a_sentence(command: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, output = serve_here(*command, "--port", str(port))
    assert status == 1
    assert output.startswith(f"Port {port} is taken by another program. Stop that one, or choose another port: --port ")
    assert len(output.splitlines()) == 1


def test_an_address_of_another_machine_is_a_sentence() -> None:
    status, output = serve_here("--host", "192.0.2.1", STUDIO_API_TOKENS="a-token-that-is-long-enough")
    assert (status, output.splitlines()) == (
        1,
        ["Cannot listen on 192.0.2.1 (Cannot assign requested address). "
         "Choose an address of this machine, e.g. --host 127.0.0.1"],
    )  # fmt: skip


def test_all_unusable_settings_are_told_at_once() -> None:
    status, output = serve_here("--port", "abc", STUDIO_MAX_QUEUE="0")
    assert (status, sorted(output.splitlines())) == (
        2,
        [
            "--port abc: must be a whole number from 1 to 65535; e.g. --port 7860",
            "STUDIO_MAX_QUEUE=0: must be a whole number from 1 to 10000; e.g. STUDIO_MAX_QUEUE=32",
        ],
    )


def test_an_open_door_without_a_token_is_refused() -> None:
    status, output = serve_here("--host", "0.0.0.0")
    assert status == 2
    assert output.startswith("STUDIO_HOST=0.0.0.0 (or --host) can be reached by other machines")
    assert len(output.splitlines()) == 1
