"""deploy/cloudrun/deploy.sh, with a gcloud that knows the real one's flags and keeps what it is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

CLOUD_RUN = ROOT / "deploy" / "cloudrun"
PROJECT = ("--project", "my-social-app")
STUDIO = "studio@my-social-app.iam.gserviceaccount.com"
ACCOUNT = "carrot-transcriber@my-social-app.iam.gserviceaccount.com"

GCLOUD = '''#!{python}
"""Takes what gcloud 528 takes (its own parser was asked), refuses the rest as that does, and keeps what it was told."""
import json, os, pathlib, sys

FLAGS = {{
    "services enable": {{"--project"}},
    "artifacts repositories describe": {{"--location", "--project"}},
    "artifacts repositories create": {{"--repository-format", "--location", "--project"}},
    "builds submit": {{"--config", "--ignore-file", "--substitutions", "--project"}},
    "iam service-accounts describe": {{"--project"}},
    "iam service-accounts create": {{"--display-name", "--project"}},
    "secrets add-iam-policy-binding": {{"--member", "--role", "--project"}},
    "run services describe": {{"--region", "--project", "--format"}},
    "run services get-iam-policy": {{"--region", "--project", "--flatten", "--format"}},
    "run services add-iam-policy-binding": {{"--member", "--role", "--region", "--project"}},
    "run services remove-iam-policy-binding": {{"--member", "--role", "--region", "--project"}},
    "run services replace": {{"--region", "--project"}},
}}
words = sys.argv[1:]
command = next((known for known in FLAGS if words[: len(known.split())] == known.split()), None)
if command is None:
    sys.exit("ERROR: (gcloud) Invalid choice")
rest = words[len(command.split()):]
unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in FLAGS[command]]
if unknown:
    sys.exit("ERROR: (gcloud) unrecognized arguments: " + " ".join(unknown))
folder = pathlib.Path({folder!r})
state = json.loads((folder / "state.json").read_text())
heard = {{"command": command, "rest": rest}}
if command == "run services replace":
    heard["yaml"] = pathlib.Path(rest[0]).read_text()
    (folder / "replaced").touch()
with (folder / "heard.jsonl").open("a") as kept:
    kept.write(json.dumps(heard) + "\\n")
if command in state["failing"]:
    sys.exit("ERROR: (gcloud) PERMISSION_DENIED")
replaced = command.startswith("run") and (folder / "replaced").exists()
if command.endswith("describe") and not state["deployed"] and not replaced:
    sys.exit("ERROR: (gcloud) NOT_FOUND")
if command == "run services get-iam-policy":
    print("\\n".join(state["members"]))
if command == "run services describe":
    print("https://carrot-transcriber-abc123-ew.a.run.app")
'''


@dataclass
class Deployed:
    """What came of one run."""

    status: int
    output: str
    commands: list[tuple[str, list[str]]] = field(default_factory=list)
    yaml: str = ""

    def rest(self, command: str) -> list[str]:
        [rest] = [rest for name, rest in self.commands if name == command]
        return rest

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.commands]

    @property
    def service(self) -> dict[str, Any]:
        described: dict[str, Any] = yaml.safe_load(self.yaml)
        return described


def deploy(
    folder: Path, *flags: str, deployed: bool = False, members: tuple[str, ...] = (), failing: tuple[str, ...] = ()
) -> Deployed:
    """`deploy.sh` with these flags. `deployed`: it was before, and `members` may call it; `failing`: commands."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    gcloud = bin_folder / "gcloud"
    gcloud.write_text(GCLOUD.format(python=sys.executable, folder=str(folder)))
    gcloud.chmod(0o755)
    heard = folder / "heard.jsonl"
    heard.unlink(missing_ok=True)
    state = {"deployed": deployed, "members": members, "failing": failing}
    (folder / "state.json").write_text(json.dumps(state))
    done = subprocess.run(
        [CLOUD_RUN / "deploy.sh", *flags],
        cwd=folder,
        env={"PATH": f"{bin_folder}:{os.environ['PATH']}", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not list(folder.glob("tmp.*"))
    told = [json.loads(line) for line in heard.read_text().splitlines()] if heard.exists() else []
    yaml_text = next((each["yaml"] for each in told if "yaml" in each), "")
    return Deployed(done.returncode, done.stdout, [(each["command"], each["rest"]) for each in told], yaml_text)


def container(service: dict[str, Any]) -> dict[str, Any]:
    [only] = service["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_a_private_service(tmp_path: Path) -> None:
    run = deploy(tmp_path, *PROJECT, "--invoker", STUDIO)
    assert run.status == 0, run.output
    assert run.names == [
        "services enable",
        "artifacts repositories describe",
        "artifacts repositories create",
        "builds submit",
        "iam service-accounts describe",
        "iam service-accounts create",
        "run services describe",
        "run services replace",
        "run services add-iam-policy-binding",
        "run services describe",
    ]
    assert f"--member=serviceAccount:{STUDIO}" in run.rest("run services add-iam-policy-binding")
    assert "--role=roles/run.invoker" in run.rest("run services add-iam-policy-binding")
    assert "allUsers" not in str(run.commands)
    assert run.output.endswith("TRANSCRIPTION_SERVICE_URL=https://carrot-transcriber-abc123-ew.a.run.app\n")
    # Each command that changes something was shown as it can be typed.
    for name, rest in run.commands:
        if not name.endswith("describe"):
            assert f"+ gcloud {name} " in run.output, rest


def test_the_service_is_as_the_contract_has_it(tmp_path: Path) -> None:
    run = deploy(tmp_path, *PROJECT)
    service = run.service
    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    assert service["metadata"]["name"] == "carrot-transcriber"
    template = service["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    assert all(isinstance(value, str) for value in annotations.values())  # Kubernetes refuses numbers there
    assert annotations["autoscaling.knative.dev/minScale"] == "1"
    assert annotations["autoscaling.knative.dev/maxScale"] == "10"
    assert annotations["run.googleapis.com/startup-cpu-boost"] == "true"
    spec = template["spec"]
    assert spec["serviceAccountName"] == ACCOUNT
    assert spec["timeoutSeconds"] == 3600
    only = container(service)
    assert only["resources"] == {"limits": {"cpu": "2", "memory": "2Gi"}}
    [image] = re.findall(r"_IMAGE=([^,]+),_MODEL=small-en", " ".join(run.rest("builds submit")))
    assert only["image"] == image
    assert image.startswith("europe-west1-docker.pkg.dev/my-social-app/carrot-studio/carrot-transcriber:")
    assert only["env"] == [{"name": "STUDIO_SPEECH_WORKERS", "value": "2"}]
    assert {only[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")} == {
        "/health/ready", "/health/live"
    }  # fmt: skip
    assert "${" not in run.yaml.replace("# The service as Cloud Run knows it. deploy.sh fills in what stands in ${", "")


def test_the_service_takes_as_many_at_once_as_an_instance_does(tmp_path: Path) -> None:
    """More would be answered 503 by it, while Cloud Run could start another instance."""
    service = deploy(tmp_path, *PROJECT).service
    [workers] = [int(each["value"]) for each in container(service)["env"] if each["name"] == "STUDIO_SPEECH_WORKERS"]
    assert service["spec"]["template"]["spec"]["containerConcurrency"] == 2 * workers


def test_flags_change_it(tmp_path: Path) -> None:
    flags = ["--region", "us-central1", "--service", "speech-two", "--model", "small-de", "--min", "0", "--max", "3"]
    run = deploy(tmp_path, *PROJECT, *flags)
    annotations = run.service["spec"]["template"]["metadata"]["annotations"]
    assert (annotations["autoscaling.knative.dev/minScale"], annotations["autoscaling.knative.dev/maxScale"]) == (
        "0",
        "3",
    )
    assert run.service["metadata"]["name"] == "speech-two"
    assert "_MODEL=small-de" in " ".join(run.rest("builds submit"))
    assert "--region=us-central1" in run.rest("run services replace")


def test_a_second_time_nothing_is_made_again(tmp_path: Path) -> None:
    run = deploy(tmp_path, *PROJECT, deployed=True)
    assert run.status == 0
    assert not {"artifacts repositories create", "iam service-accounts create"} & set(run.names)
    assert "run services replace" in run.names


def test_open_to_everybody_only_with_tokens(tmp_path: Path) -> None:
    refused = deploy(tmp_path, *PROJECT, "--allow-unauthenticated")
    assert (refused.status, refused.commands) == (2, [])
    assert "needs --token-secret NAME" in refused.output
    run = deploy(tmp_path, *PROJECT, "--allow-unauthenticated", "--token-secret", "speech-tokens")
    assert run.status == 0, run.output
    assert container(run.service)["env"][1] == {
        "name": "STUDIO_API_TOKENS", "valueFrom": {"secretKeyRef": {"name": "speech-tokens", "key": "latest"}}
    }  # fmt: skip
    assert f"--member=serviceAccount:{ACCOUNT}" in run.rest("secrets add-iam-policy-binding")
    assert "--member=allUsers" in run.rest("run services add-iam-policy-binding")
    # It asks for tokens before anybody can reach it.
    assert run.names.index("run services replace") < run.names.index("run services add-iam-policy-binding")


def test_an_open_service_is_closed_before_its_tokens_go(tmp_path: Path) -> None:
    run = deploy(tmp_path, *PROJECT, deployed=True, members=("serviceAccount:a@b.iam.gserviceaccount.com", "allUsers"))
    assert "--member=allUsers" in run.rest("run services remove-iam-policy-binding")
    assert run.names.index("run services remove-iam-policy-binding") < run.names.index("run services replace")


@pytest.mark.parametrize(
    "failing",
    ["services enable", "builds submit", "run services get-iam-policy", "run services remove-iam-policy-binding"],
)
def test_what_fails_stops_it_before_the_service_is_changed(tmp_path: Path, failing: str) -> None:
    run = deploy(tmp_path, *PROJECT, deployed=True, members=("allUsers",), failing=(failing,))
    assert run.status != 0
    assert "PERMISSION_DENIED" in run.output
    assert "run services replace" not in run.names


def test_a_dry_run_shows_everything_and_runs_nothing(tmp_path: Path) -> None:
    run = deploy(tmp_path, *PROJECT, "--invoker", STUDIO, "--dry-run")
    assert (run.status, run.commands) == (0, [])
    shown = run.output.splitlines()
    assert [line.split()[2:4] for line in shown if line.startswith("+ gcloud")][-1] == ["run", "services"]
    assert any(line.startswith("+ gcloud builds submit ") for line in shown)
    assert "kind: Service" in shown


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), "--project is missing"),
        (("--project", "My App"), "--project My App cannot be used: it must be a project's id"),
        (("--project",), "--project needs a value"),
        (("--project", "--dry-run"), "--project needs a value"),
        ((*PROJECT, "--rigion", "x"), "There is no flag --rigion"),
        ((*PROJECT, "--min", "5", "--max", "2"), "--min 5 is more than --max 2"),
        ((*PROJECT, "--max", "many"), "--max many cannot be used"),
        ((*PROJECT, "--model", "a,_IMAGE=b"), "--model a,_IMAGE=b cannot be used"),
        ((*PROJECT, "--service", "x|y"), "--service x|y cannot be used"),
        ((*PROJECT, "--invoker", "allUsers"), "--invoker allUsers cannot be used: it must be a service account"),
        ((*PROJECT, "--token-secret", "tokens"), "--token-secret is for --allow-unauthenticated"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_run(
    tmp_path: Path, flags: tuple[str, ...], expected: str
) -> None:
    run = deploy(tmp_path, *flags)
    assert (run.status, run.commands) == (2, [])
    assert expected in run.output
    assert "--help" in run.output


def test_the_build_is_of_this_dockerfile_and_leaves_secrets_out(tmp_path: Path) -> None:
    build = yaml.safe_load((CLOUD_RUN / "cloudbuild.yaml").read_text())
    [made] = build["steps"]
    assert made["args"][:3] == ["build", "-f", "deploy/cloudrun/Dockerfile"]
    assert "DOCKER_BUILDKIT=1" in made["env"]  # for the Dockerfile's own ignore file, and its cache
    run = deploy(tmp_path, *PROJECT)
    given = run.rest("builds submit")
    assert given[0] == str(ROOT)
    assert "--ignore-file=deploy/cloudrun/Dockerfile.dockerignore" in given
    rules = (CLOUD_RUN / "Dockerfile.dockerignore").read_text().splitlines()
    assert next(rule for rule in rules if rule[0] != "#") == "/*"
