"""`launch.py doctor`: what works here and what does not, a line each, with what to do.

It runs before anything is installed as well, and then says so: the standard library only at the top. Every look has a
time limit, and all run side by side. Nothing that it prints holds a token or a key.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes.util
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.cli.health import Health, Silent, ask, is_local
from app.cli.ssh import Ssh, Trouble
from app.disk import free_bytes, size_words
from app.settings.boxes import parse_box, read_variables

if TYPE_CHECKING:
    from app.settings.fields import Settings

ROOT = Path(__file__).resolve().parents[2]
FINE, PROBLEMS, MISUSED = 0, 1, 2
"""Exit statuses."""

LIMIT_SECONDS = 25.0
ANSWER_SECONDS = 5.0
LITTLE_BYTES, ENOUGH_BYTES = 1_000_000_000, 5_000_000_000
SDXL_DOWNLOAD_BYTES = 7_500_000_000

READ = frozenset(
    {"VAST_AI_URL", "VAST_AI_URLS", "TRANSCRIPTION_SERVICE_URL", "FIREBASE_PROJECT_ID", "FIRESTORE_EMULATOR_HOST",
     "GOOGLE_APPLICATION_CREDENTIALS", "STUDIO_BOXES", "STUDIO_SSH_KEY", "STUDIO_TRANSCRIPTION_AUTH",
     "STUDIO_TRANSCRIPTION_TOKEN", "RENDER"}
)  # fmt: skip


class Level(StrEnum):
    """How bad it is. A warning takes something away that one may do without."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `remedy` is empty where nothing is to be done."""

    name: str
    level: Level
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.level:<8} {self.name:<14} {self.found}" + (f" -> {self.remedy}" if self.remedy else "")


Check = Callable[[], Finding]


def main(argv: Sequence[str], env_file: Path, environment: Mapping[str, str] | None = None) -> int:
    """Look at everything and tell it; PROBLEMS if anything is one."""
    parser = argparse.ArgumentParser(prog="launch.py doctor", description="What works here, and what does not.")
    parser.add_argument("--json", action="store_true", help='{"ok", "checks": [{"name", "level", "found", "remedy"}]}')
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or has shown the help
        return MISUSED if stop.code else FINE
    variables = read_variables(READ, os.environ if environment is None else environment, env_file)
    findings = look(_checks(variables, env_file))
    bad = any(finding.level is Level.PROBLEM for finding in findings)
    if options.json:
        print(json.dumps({"ok": not bad, "checks": [asdict(finding) for finding in findings]}, indent=2))
    else:
        print("\n".join(map(str, findings)))
    return PROBLEMS if bad else FINE


def look(checks: dict[str, Check], seconds: float = LIMIT_SECONDS) -> list[Finding]:
    """All checks side by side, in their order; what does not come back in time is a problem of its own."""
    found: queue.Queue[Finding] = queue.Queue()

    def one(name: str, check: Check) -> None:
        try:
            found.put(check())
        except Exception as error:  # noqa: BLE001 - one look that fails must not take the others along
            found.put(Finding(name, Level.PROBLEM, f"could not be looked at ({type(error).__name__})"))

    for name, check in checks.items():
        threading.Thread(target=one, args=(name, check), daemon=True).start()
    answers: dict[str, Finding] = {}
    deadline = time.monotonic() + seconds
    while len(answers) < len(checks):
        try:
            finding = found.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        answers[finding.name] = finding
    late = f"no answer within {seconds:g} s"
    return [answers.get(name) or Finding(name, Level.PROBLEM, late, "start again") for name in checks]


def _checks(variables: Mapping[str, str], env_file: Path) -> dict[str, Check]:
    checks: dict[str, Check] = {
        "python": _python,
        "requirements": _requirements,
        "gpu": _gpu,
        "microphone": _microphone,
    }
    for number, url in enumerate(_urls(variables)):
        name = "studio url" if number == 0 else f"studio url {number + 1}"
        checks[name] = partial(_studio_url, name, url, on_render="RENDER" in variables)
    if service := variables.get("TRANSCRIPTION_SERVICE_URL"):
        checks["cloud run"] = partial(_speech_service, service.rstrip("/"), variables)
    checks["firestore"] = partial(_firestore, variables)
    boxes = [part.strip() for part in variables.get("STUDIO_BOXES", "").split(",") if part.strip()]
    for number, box in enumerate(boxes):
        name = f"tunnel {number + 1}"
        checks[name] = partial(_tunnel, name, box, 7860 + number, variables)
    return {**checks, **_checks_of_settings(env_file)}


def _checks_of_settings(env_file: Path) -> dict[str, Check]:
    """Those that need the settings; one finding in their place where these cannot be read."""
    try:
        from app.settings.fields import load
        from app.settings.report import SettingsRefused
    except ImportError:
        return {}
    try:
        settings = load({}, env_file=env_file)
    except SettingsRefused as refused:
        told = "; ".join(refused.problems)
        return {"settings": lambda: Finding("settings", Level.PROBLEM, told, "change them, then look again")}
    checks: dict[str, Check] = {
        "settings": lambda: Finding("settings", Level.OK, "all can be used"),
        "port": partial(_port, settings),
        "tokens": partial(_tokens, settings),
        "models": partial(_models, settings),
        "onnx": partial(_onnx, settings),
        "disk": partial(_disk, settings),
    }
    names = [host for host in settings.allowed_hosts if "*" not in host]
    for number, host in enumerate(names):
        name = "public address" if number == 0 else f"public address {number + 1}"
        checks[name] = partial(_public, name, f"https://{host}")
    return checks


def _python() -> Finding:
    return Finding("python", Level.OK, f"{sys.version.split()[0]} at {sys.executable}")


def _requirements() -> Finding:
    pins = [line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line[1:]]
    missing = [name for name, pin in (pair for pair in pins if len(pair) == 2) if _version(name) != pin.strip()]
    if missing:
        return Finding(
            "requirements", Level.WARNING, f"not installed: {', '.join(missing)}", "python3 launch.py installs them"
        )
    return Finding("requirements", Level.OK, "all installed")


def _version(name: str) -> str:
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def _gpu() -> Finding:
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return Finding(
            "gpu", Level.WARNING, "no NVIDIA driver here: pictures come from the small sketch model",
            "for SDXL rent a box with 10 GB of GPU memory or more",
        )  # fmt: skip
    asked = [smi, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=LIMIT_SECONDS - 5, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        return Finding(
            "gpu", Level.PROBLEM, "nvidia-smi fails: the driver does not work", "restart the box, or rent another"
        )
    name, memory, driver = (part.strip() for part in done.stdout.splitlines()[0].split(","))
    found = f"{name}, {int(memory) / 1024:.0f} GiB, driver {driver}"
    if int(memory) * 2**20 < 10**10:
        return Finding("gpu", Level.WARNING, f"{found}: too little memory for SDXL", "10 GB or more are needed")
    try:
        built_for = metadata.version("torch").partition("+")[2]
    except metadata.PackageNotFoundError:
        built_for = ""
    if built_for == "cpu":
        return Finding("gpu", Level.PROBLEM, f"{found}, but torch was built without CUDA", "install PyPI's torch")
    return Finding("gpu", Level.OK, found)


def _microphone() -> Finding:
    # Elsewhere the sounddevice package brings PortAudio along.
    if sys.platform != "linux" or ctypes.util.find_library("portaudio"):
        return Finding("microphone", Level.OK, "PortAudio is here")
    return Finding(
        "microphone", Level.WARNING, "PortAudio is missing", "for live speech: apt-get install libportaudio2"
    )


def _urls(variables: Mapping[str, str]) -> Iterator[str]:
    written = f"{variables.get('VAST_AI_URL', '')},{variables.get('VAST_AI_URLS', '')}"
    yield from dict.fromkeys(url.strip().rstrip("/") for url in written.split(",") if url.strip())


def _studio_url(name: str, url: str, *, on_render: bool) -> Finding:
    if is_local(url) and on_render:
        return Finding(
            name, Level.PROBLEM, f"{url} is Render's own machine: a laptop's tunnel does not lead from there",
            "see docs/connect.md",
        )  # fmt: skip
    if not is_local(url):
        return _public(name, url)
    return _answers(name, url, "python3 launch.py starts it here, python3 launch.py tunnel brings it from a box")


def _public(name: str, url: str) -> Finding:
    finding = _answers(name, url, "see docs/connect.md")
    if finding.level is Level.PROBLEM:
        return finding
    if not url.startswith("https://"):
        return Finding(name, Level.PROBLEM, "tokens cross the network unencrypted", "put TLS in front: docs/connect.md")
    if not _guarded(url):
        return Finding(name, Level.PROBLEM, "anybody may use it: no token is asked", "set STUDIO_API_TOKENS on the box")
    return finding


def _guarded(url: str) -> bool:
    try:
        return ask(url, ANSWER_SECONDS).guarded
    except Silent:
        return True


def _answers(name: str, url: str, remedy: str) -> Finding:
    try:
        health = ask(url, ANSWER_SECONDS)
    except Silent as silent:
        return Finding(name, Level.PROBLEM, str(silent), remedy)
    return _of(name, health)


def _of(name: str, health: Health) -> Finding:
    level: Literal[Level.OK, Level.WARNING] = Level.OK if health.state in ("healthy", "alive") else Level.WARNING
    return Finding(name, level, f"answers: {health}")


def _speech_service(url: str, variables: Mapping[str, str]) -> Finding:
    """Asked as the studio asks it."""
    name, own = "cloud run", variables.get("STUDIO_TRANSCRIPTION_TOKEN", "")
    let_in = "see docs/cloudrun.md: who may invoke it, and with what; Vosk here takes over meanwhile"
    token = own
    try:
        from engines.speech.cloud_client import CallFailed
        from engines.speech.service_auth import service_auth
    except ImportError:
        pass  # before the set-up: then without an ID token
    else:
        try:
            auth = service_auth(url, variables.get("STUDIO_TRANSCRIPTION_AUTH", "auto"), own)
            token = (auth.token() if auth else None) or ""
        except CallFailed as failed:
            return Finding(name, Level.PROBLEM, failed.reason, let_in)
    try:
        health = ask(url, ANSWER_SECONDS, token)
    except Silent as silent:
        remedy = let_in if silent.refused else "see the service's log; Vosk here takes over meanwhile"
        return Finding(name, Level.PROBLEM, str(silent), remedy)
    if health.state == "alive":
        # It told its state only, as to everybody.
        wrong = (
            "refuses STUDIO_TRANSCRIPTION_TOKEN" if own else "wants a token, which STUDIO_TRANSCRIPTION_TOKEN is for"
        )
        return Finding(name, Level.PROBLEM, wrong, let_in)
    return _of(name, health)


def _firestore(variables: Mapping[str, str]) -> Finding:
    name = "firestore"
    if "FIREBASE_PROJECT_ID" not in variables:
        return Finding(name, Level.OK, "off (FIREBASE_PROJECT_ID is not set)")
    emulator = variables.get("FIRESTORE_EMULATOR_HOST", "")
    host, _, port = (emulator or "firestore.googleapis.com:443").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError):
        remedy = "start the emulator, or unset FIRESTORE_EMULATOR_HOST" if emulator else "check this machine's network"
        return Finding(name, Level.PROBLEM, f"{host}:{port} cannot be reached", remedy)
    if emulator:
        return Finding(name, Level.OK, f"the emulator at {emulator} can be reached")
    credentials = variables.get("GOOGLE_APPLICATION_CREDENTIALS")
    if credentials and not Path(credentials).is_file():
        return Finding(
            name, Level.PROBLEM, "GOOGLE_APPLICATION_CREDENTIALS names no file", "set it to the service account's key"
        )
    return Finding(name, Level.OK, f"{host} can be reached")


def _tunnel(name: str, box: str, port: int, variables: Mapping[str, str]) -> Finding:
    try:
        where = parse_box(box)
    except ValueError as wrong:
        return Finding(name, Level.PROBLEM, str(wrong), "correct STUDIO_BOXES")
    try:
        return Finding(name, Level.OK, f"{where} on http://localhost:{port}: {ask(f'http://127.0.0.1:{port}', 2.0)}")
    except Silent:
        pass
    key = variables.get("STUDIO_SSH_KEY")
    try:
        asyncio.run(_connect(Ssh(Path(key).expanduser() if key else None), box))
    except Trouble as trouble:
        return Finding(name, Level.PROBLEM, str(trouble))
    return Finding(name, Level.WARNING, f"{where} lets you in, but no tunnel is open", "python3 launch.py tunnel")


async def _connect(ssh: Ssh, box: str) -> None:
    async with ssh.connect(parse_box(box)):
        pass


def _port(settings: Settings) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError:
            pass
        else:
            return Finding("port", Level.OK, f"{settings.port} is free: no studio runs here")
    other = f"stop that one, or set STUDIO_PORT={settings.port - 1 if settings.port == 65535 else settings.port + 1}"
    return _answers("port", f"http://127.0.0.1:{settings.port}", other)


def _tokens(settings: Settings) -> Finding:
    if settings.api_tokens:
        return Finding("tokens", Level.OK, f"{len(settings.api_tokens)} set")
    if settings.allowed_hosts:
        return Finding(
            "tokens", Level.PROBLEM, "none, though STUDIO_ALLOWED_HOSTS opens the studio to others",
            "set STUDIO_API_TOKENS",
        )  # fmt: skip
    return Finding("tokens", Level.OK, "none needed: only this machine is listened to")


def _models(settings: Settings) -> Finding:
    from engines.weights.registry import read_registry
    from engines.weights.store import ModelStore, State

    models = ModelStore(settings.models_dir, read_registry(ROOT / "models" / "registry.toml")).list()
    damaged = [model.name for model in models if model.state is State.DAMAGED]
    if damaged:
        return Finding("models", Level.PROBLEM, f"damaged: {', '.join(damaged)}", f"launch.py models pull {damaged[0]}")
    here = [f"{model.name} ({model.state})" for model in models if model.state is not State.MISSING]
    return Finding("models", Level.OK, ", ".join(here))


def _onnx(settings: Settings) -> Finding:
    """Whether what runs Vosk models in ONNX is here, if any of those is."""
    from engines.errors import StudioError
    from engines.speech.model import GET_ONNX, Layout, check_model_folder

    wanted = []
    places = dict.fromkeys(filter(None, (settings.models_dir, settings.vosk_models_dir)))
    folders = [folder for place in places for folder in sorted(place.glob("[!.]*/"))]
    for folder in filter(None, (settings.vosk_model, *folders)):
        with contextlib.suppress(StudioError, OSError):
            if check_model_folder(folder) is Layout.ONNX:
                wanted.append(folder.name)
    missing = [name for name in ("onnx-asr", "onnxruntime") if not _version(name)]
    if not missing:
        return Finding("onnx", Level.OK, f"onnx-asr {_version('onnx-asr')} is here, for Vosk models in ONNX")
    if not wanted:
        return Finding("onnx", Level.OK, "onnx-asr is not installed, and no model here needs it")
    models = ", ".join(dict.fromkeys(wanted))
    return Finding("onnx", Level.PROBLEM, f"{models}: cannot be used without {' and '.join(missing)}", GET_ONNX)


def _disk(settings: Settings) -> Finding:
    free = min(free_bytes(folder) for folder in (settings.data_dir, settings.models_dir))
    found = f"{size_words(free)} free for data and models"
    if free < LITTLE_BYTES:
        return Finding("disk", Level.PROBLEM, found, "free some: launch.py models prune, STUDIO_JOB_RETENTION_DAYS")
    if free < (SDXL_DOWNLOAD_BYTES if shutil.which("nvidia-smi") else ENOUGH_BYTES):
        return Finding("disk", Level.WARNING, found, "SDXL's weights alone take 7 GB")
    return Finding("disk", Level.OK, found)
