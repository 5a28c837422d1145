"""deploy/cloudrun/Dockerfile: its own steps in an empty root, and what comes out, run as Cloud Run runs it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import pytest

from engines.requests import TranscribeRequest
from engines.speech.cloud_run import CallOptions, CloudRunEngine
from tests.conftest import ROOT
from tests.deploy.balancer import balancer
from tests.deploy.container import Stage, build, context_files, step
from tests.deploy.instances import Instance, instances
from tests.engines.speech.media import DATA, MODEL, repeated
from tests.engines.speech.processes import hold_work, worker_pids
from tests.engines.weights.model_server import serving
from tests.serving import until

CLOUD_RUN = ROOT / "deploy" / "cloudrun"
SENTENCE: str = json.loads((DATA / "sentences.json").read_text())["sentence.wav"]
MEMORY_KB = 2 * 2**20
"""Of an instance, as service.yaml has it."""


def zipped() -> bytes:
    """The built-in model as its publisher would give it away."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for file in MODEL.rglob("*"):
            if file.is_file() and file.name != "studio.json":
                archive.write(file, Path("vosk-model-small-en-us-0.15") / file.relative_to(MODEL))
    return data.getvalue()


def announced(registry: Path, url: str, content: bytes, sha256: str) -> None:
    """Let the registry's small-en be this file."""
    text = registry.read_text()
    text = re.sub(r"https://alphacephei\.com/\S*small-en-us\S*(?=\")", url, text)
    at = text.index(url)
    rest = re.sub(r'sha256 = "\w+"', f'sha256 = "{sha256}"', text[at:], count=1)
    rest = re.sub(r"\nbytes = \d+", f"\nbytes = {len(content)}", rest, count=1)
    registry.write_text(text[:at] + rest)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    folder = tmp_path_factory.mktemp("image")
    context = folder / "context"
    for name in context_files(ROOT, CLOUD_RUN / "Dockerfile.dockerignore"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, context / name)
    content = zipped()
    with serving(content) as publisher:
        announced(context / "models/registry.toml", publisher.url, content, hashlib.sha256(content).hexdigest())
        yield build(CLOUD_RUN / "Dockerfile", context, folder, {})
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image(stages: dict[str, Stage]) -> Stage:
    return stages[""]


@contextlib.contextmanager
def running(image: Stage, count: int) -> Iterator[list[Instance]]:
    """Instances of the image, started by its own command, with Cloud Run's variables and no more memory than there."""
    env = {"K_SERVICE": "carrot-transcriber", "PORT": "{PORT}"}
    command = image.argv(image.command, env, limits=f"ulimit -v {MEMORY_KB}")
    with instances(count, command, ROOT, {"PATH": os.environ["PATH"]}) as them:
        yield them


@pytest.fixture(scope="module")
def instance(image: Stage) -> Iterator[Instance]:
    with running(image, 1) as [one]:
        yield one


def test_it_holds_the_service_one_model_and_little_else(image: Stage) -> None:
    [packages] = image.inside("/opt/venv/lib").glob("python3*/site-packages")
    there = {path.name.lower() for path in packages.iterdir()}
    assert {"vosk", "av", "fastapi"} <= there
    assert not there & {"torch", "gradio", "diffusers", "transformers", "google", "pip", "pytest"}
    own = {path.name for path in image.inside("/srv").iterdir()} - {"__pycache__"}
    assert own == {"app", "engines", "launch.py", "requirements.txt", "pyproject.toml"}
    models = image.inside("/opt/models")
    assert {path.name for path in models.iterdir() if path.name[0] != "."} == {"small-en", "current"}
    added = sum(path.lstat().st_size for path in image.root.rglob("*") if path.is_file() and not _is_seen(image, path))
    assert added < 300_000_000


def _is_seen(image: Stage, path: Path) -> bool:
    return path.relative_to(image.root).parts[0] in ("usr", "etc", "dev", "proc", "bin", "lib", "lib64", "sbin")


def test_a_model_that_is_not_the_one_announced_ends_the_build(stages: dict[str, Stage]) -> None:
    stage = stages["build"]
    content = zipped()
    with serving(content[:-1] + b"x") as publisher:
        registry = stage.inside("/srv/models/registry.toml")
        before = registry.read_text()
        registry.write_text(re.sub(r"http://127\.0\.0\.1:\d+/model\.zip", publisher.url, before))
        command = ["/opt/venv/bin/python", "-m", "deploy.cloudrun.bake"]
        with pytest.raises(AssertionError, match=r"(?i)sha-?256|checksum"):
            step(stage, [*command, "small-en", "/tmp/models"])
        registry.write_text(before)
    assert not stage.inside("/tmp/models/current").exists()
    with pytest.raises(AssertionError, match="sketch is no speech model"):
        step(stage, [*command, "sketch", "/tmp/models"])


def test_an_instance_is_nobody_and_can_change_nothing(image: Stage, instance: Instance) -> None:
    for pid in instance.pids:
        told = Path(f"/proc/{pid}/status").read_text()
        if os.geteuid() == 0:
            assert re.search(r"^Uid:\t65532\t65532\t65532\t65532$", told, re.MULTILINE)
    own = [path for path in image.root.rglob("*") if path.is_file() and not _is_seen(image, path)]
    assert [path for path in own if path.stat().st_mode & 0o002] == []


def test_an_instance_transcribes_and_needs_little_memory(instance: Instance) -> None:
    answer = httpx.get(f"{instance.url}/health").json()
    assert (answer["status"], answer["model"]["name"]) == ("healthy", "small-en")
    assert len(worker_pids(instance.process.pid)) == 1  # the model was loaded once
    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(lambda name: heard(instance.url, DATA / name), ["sentence.wav", "sentence.mp4"]))
    assert texts == [SENTENCE, SENTENCE]
    assert instance.memory_mb < 250


def heard(url: str, file: Path) -> str:
    answer = httpx.post(f"{url}/v1/audio/transcriptions", files={"file": (file.name, file.read_bytes())}, timeout=100)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["text"])


def test_nothing_is_loaded_at_the_start_that_only_the_studio_needs(image: Stage) -> None:
    program = "import sys, app.cli.transcriber, app.http.apps; print(*sys.modules)"
    loaded = set(step(image, ["python", "-c", program]).split())
    assert "app.http.routes.speech" in loaded
    assert not loaded & {"app.http.routes.images", "app.http.routes.jobs", "app.http.views", "vosk"}


def test_a_stop_leaves_ten_seconds_and_is_over_in_them(image: Stage, tmp_path: Path) -> None:
    """What is in work is finished if it can be; else its caller hears in time that it has to ask again."""
    recording = repeated(tmp_path / "long.wav", DATA / "longer.wav", 20)
    with running(image, 1) as [one], ThreadPoolExecutor(1) as pool:
        working = pool.submit(
            httpx.post, f"{one.url}/v1/audio/transcriptions",
            files={"file": ("long.wav", recording.read_bytes())}, timeout=100,
        )  # fmt: skip
        until(lambda: httpx.get(f"{one.url}/health").json()["active"] == 1)
        hold_work(one.process.pid)
        began = time.monotonic()
        one.process.send_signal(signal.SIGTERM)
        answer = working.result(60)
        one.process.wait(60)
        assert time.monotonic() - began < 10
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_instances_that_are_killed_in_the_middle_lose_nothing(image: Stage, tmp_path: Path) -> None:
    """No local engine to fall back on: every one of 30 recordings is transcribed by an instance that lives."""
    with running(image, 3) as three, balancer(tmp_path, [each.port for each in three]) as address:
        engine = CloudRunEngine(address, options=CallOptions(backoff=0.2))
        done: list[str] = []

        def transcribe(number: int) -> None:
            name = ["sentence.wav", "sentence.ogg", "sentence.mp3"][number % 3]
            got = engine.transcribe(TranscribeRequest(filename=name), DATA / name, lambda _: None, Event())
            done.append(got.text)

        with ThreadPoolExecutor(8) as pool:
            work = [pool.submit(transcribe, number) for number in range(30)]
            for doomed, after in ((three[0], 3), (three[1], 12)):
                until(lambda after=after: len(done) >= after, 100)  # type: ignore[misc]
                until(lambda doomed=doomed: _is_working(doomed), 60)  # type: ignore[misc]
                doomed.kill()
            for one in work:
                one.result(120)
    assert done == [SENTENCE] * 30


def _is_working(instance: Instance) -> bool:
    return int(httpx.get(f"{instance.url}/health", timeout=10).json()["active"]) > 0
