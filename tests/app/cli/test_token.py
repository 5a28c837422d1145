"""`launch.py token`, as an administrator types it and as callers feel it."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from openai import OpenAI, PermissionDeniedError

from app.accounts import Accounts
from app.cli import token as command
from app.scopes import ALL, Scope
from app.settings.fields import DataSettings, load
from app.settings.report import SettingsRefused
from app.tokens import FILE, PREFIX, Tokens
from tests.app.conftest import Served, serve
from tests.app.ui.caller import Caller
from tests.conftest import ROOT
from tests.serving import settings_in, until

COMMAND = "import sys; from app.cli import parse; sys.exit(parse.run(parse.parse(sys.argv[1:])))"
"""launch.py without what it sets up."""
FIXED = "a-token-of-enough-characters"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def typed(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Type a command: its exit code, what a script reads, what a person reads besides."""

    def run(*words: str, fixed: str = "") -> tuple[int, str, str]:
        code = command.main(words, DataSettings.model_validate({"data_dir": folder, "api_tokens": fixed}))
        said = capsys.readouterr()
        return code, said.out.strip(), said.err.strip()

    return run


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    yield from serve(folder)


def status(served: Served, token: str, path: str = "/health") -> int:
    return Caller(served, token).get(path).status_code


def test_a_token_is_shown_once_and_only_its_digest_is_kept(typed: Typed, folder: Path) -> None:
    code, text, words = typed("create", "web")
    assert code == 0
    assert re.fullmatch(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", text)
    assert text not in words
    assert "shown this once" in words
    code, listed, _ = typed("list")
    assert "web" in listed
    assert "images,speech" in listed
    assert text not in listed
    kept = (folder / FILE).read_bytes()
    assert text.encode() not in kept
    assert text.removeprefix(PREFIX).encode() not in kept
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600


def test_the_command_runs_from_the_shell_where_the_studio_would_not_start(folder: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "STUDIO_DATA_DIR": str(folder), "STUDIO_HOST": "0.0.0.0"}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "token", "create", "web"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(PREFIX)


def test_a_running_studio_takes_and_drops_tokens_without_a_restart(typed: Typed, served: Served) -> None:
    assert served.http.get("/health").status_code == 200
    _, first, _ = typed("create", "web")
    # From the first token on, one has to be shown.
    until(lambda: served.http.get("/health").status_code == 401, 5)
    assert status(served, first) == 200
    _, second, _ = typed("create", "web")
    until(lambda: status(served, second) == 200, 5)
    made = Caller(served, first).post_json("/jobs", {"kind": "avatar", "request": {"prompt": "x"}}).json()
    assert status(served, second, f"/jobs/{made['job_id']}") == 200

    first_id = typed("list")[1].splitlines()[1].split()[0]
    assert typed("revoke", first_id)[0] == 0
    until(lambda: status(served, first) == 401, 5)
    assert status(served, second) == 200

    code, _, words = typed("revoke", "web")
    assert code == 0
    assert "nobody may call" in words
    until(lambda: status(served, second) == 401, 5)
    # Who takes the last token away does not open the door to everybody.
    assert served.http.get("/health").status_code == 401
    assert served.http.get("/health/live").status_code == 200


def test_losing_the_file_opens_no_door(typed: Typed, served: Served, folder: Path) -> None:
    _, token, _ = typed("create", "web")
    until(lambda: served.http.get("/health").status_code == 401, 5)
    (folder / FILE).unlink()
    until(lambda: status(served, token) == 401, 5)
    assert served.http.get("/health").status_code == 401


def test_a_file_that_cannot_be_read_changes_nothing_while_it_runs_and_stops_a_start(folder: Path) -> None:
    now = [1_000_000.0]
    tokens = Tokens(folder)
    _, text = tokens.create("web", ALL)
    known = Accounts(tokens=tokens, now=lambda: now[0])
    (folder / FILE).write_bytes(b"no database at all" * 100)
    known.refresh()
    assert known.find(text.encode()) is not None
    assert known.find(None) is None
    with pytest.raises(SettingsRefused, match=r"tokens\.db, which holds the tokens, cannot be used"):
        load({"data_dir": str(folder)})


def test_it_counts_as_a_token_where_other_machines_get_in(typed: Typed, folder: Path) -> None:
    with pytest.raises(SettingsRefused, match="token create NAME"):
        load({"host": "0.0.0.0", "data_dir": str(folder)})
    typed("create", "web")
    assert load({"host": "0.0.0.0", "data_dir": str(folder)}).host == "0.0.0.0"


def test_names_are_shared_with_those_of_the_variable(typed: Typed, folder: Path) -> None:
    _, token, _ = typed("create", "web")
    for served in serve(folder, api_tokens=[f"web={FIXED}"]):
        job_id = Caller(served, FIXED).post_json("/generate", {"prompt": "x"}).json()["job_id"]
        assert status(served, token, f"/jobs/{job_id}") == 200
    code, listed, _ = typed("list", fixed=f"web={FIXED}")
    assert listed.splitlines()[-1].split()[:3] == ["-", "web", "images,speech,admin"]
    assert FIXED not in listed
    code, out, words = typed("revoke", "web", fixed=f"web={FIXED}")
    assert code == 1
    assert "Revoked" in out
    assert "STUDIO_API_TOKENS" in words


def test_an_expired_token_is_refused(folder: Path) -> None:
    now = [1_000_000.0]
    tokens = Tokens(folder, lambda: now[0])
    _, text = tokens.create("web", ALL, now[0] + 60)
    known = Accounts(tokens=tokens, now=lambda: now[0])
    found = known.find(text.encode())
    assert found is not None
    assert found.account == "web"
    now[0] += 60
    assert known.find(text.encode()) is None
    assert known.by_id(found.token_id) is None


def test_expiry_is_told_in_the_list(typed: Typed) -> None:
    typed("create", "web", "--expires", "90d")
    until_ = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 90 * 86400))
    assert until_ in typed("list")[1]


def test_last_used_is_written_at_most_once_a_minute_and_never_where_callers_wait(folder: Path) -> None:
    now = [1_000_000.0]
    tokens = Tokens(folder, lambda: now[0])
    _, text = tokens.create("web", ALL)
    known = Accounts(tokens=tokens, now=lambda: now[0])

    def kept() -> float | None:
        return tokens.all()[0].last_used_at

    known.refresh()
    assert kept() is None
    known.find(text.encode())
    assert kept() is None
    known.refresh()
    assert kept() == now[0]
    now[0] += 59
    known.find(text.encode())
    known.refresh()
    assert kept() == now[0] - 59
    now[0] += 1
    known.find(text.encode())
    known.refresh()
    assert kept() == now[0]
    # Not used since: nothing to write.
    now[0] += 600
    known.refresh()
    assert kept() == now[0] - 600


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("create", "Web"), "is no name"),
        (("create", "web", "--scopes", "images,root"), "images, speech, admin"),
        (("create", "web", "--scopes", ""), "images, speech, admin"),
        (("create", "web", "--expires", "90"), "90d"),
        (("create", "web", "--expires", "0d"), "90d"),
        (("create", "web", "--expires", "999999999w"), "90d"),
        (("create",), "name"),
        (("creat", "web"), "create"),
    ],
)
def test_what_cannot_be_used_is_said_and_makes_no_token(typed: Typed, words: tuple[str, ...], why: str) -> None:
    code, out, said = typed(*words)
    assert (code, out) == (2, "")
    assert why in said
    assert "There are no tokens" in typed()[2]


def test_revoking_what_is_not_there_is_said(typed: Typed) -> None:
    assert typed("revoke", "nobody")[0] == 1
    typed("create", "web")
    assert typed("revoke", "nobody")[0] == 1
    assert typed("revoke", "web")[0] == 0
    assert typed("revoke", "web")[0] == 1


def test_a_file_of_a_later_version_is_left_alone(typed: Typed, folder: Path) -> None:
    typed("create", "web")
    with closing(sqlite3.connect(folder / FILE)) as db:
        db.execute("PRAGMA user_version=99")
    code, _, words = typed("create", "web")
    assert code == 1
    assert "later version" in words


# Scopes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scoped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """A studio, and a token of one account for each scope."""
    folder = tmp_path_factory.mktemp("data")
    tokens = Tokens(settings_in(folder).data_dir)
    texts = {scope.value: tokens.create("web", frozenset({scope}))[1] for scope in Scope}
    for served in serve(folder):
        yield served, texts


PICTURE = {"prompt": "x", "width": 256, "height": 256}


@pytest.mark.parametrize(
    ("path", "body", "needed"),
    [
        ("/generate", PICTURE, "images"),
        ("/txt2img", PICTURE, "images"),
        ("/v1/images/generations", {"prompt": "x", "size": "256x256"}, "images"),
        ("/jobs", {"kind": "avatar", "request": {"prompt": "x"}}, "images"),
        ("/jobs", {"kind": "hero", "request": {"prompt": "x"}}, "images"),
        ("/jobs", {"kind": "image", "request": PICTURE}, "images"),
        ("/jobs", {"kind": "transcription", "request": {}}, "speech"),
        ("/v1/audio/transcriptions", {}, "speech"),
        ("/transcribe", {}, "speech"),
        ("/metrics", {}, "admin"),
        ("/deliveries/x", {}, "admin"),
    ],
)
def test_a_missing_scope_is_403_and_named(
    scoped: tuple[Served, dict[str, str]], path: str, body: dict[str, object], needed: str
) -> None:
    served, texts = scoped
    for scope, text in texts.items():
        answer = Caller(served, text).post(path, json=body)
        if scope in (needed, "admin"):
            assert answer.status_code != 403, scope
            continue
        assert answer.status_code == 403, scope
        error = answer.json()["error"]
        assert error["type"] == "forbidden"
        assert f"the scope {needed}" in error["message"]


@pytest.mark.parametrize(("endpoint", "needed"), [("avatar", "images"), ("hero", "images"), ("transcribe", "speech")])
def test_gradios_endpoints_want_the_scope_too(
    scoped: tuple[Served, dict[str, str]], endpoint: str, needed: str
) -> None:
    served, texts = scoped
    before = len(served.recent("avatar", "web")) + len(served.recent("hero", "web"))
    for scope in set(texts) - {needed, "admin"}:
        caller = Caller(served, texts[scope])
        path = caller.upload("a.wav", b"RIFF")
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        name, message = caller.call(endpoint, *([file] if endpoint == "transcribe" else ["a red knight"]))
        assert name == "error"
        assert f"the scope {needed}" in json.dumps(message)
    assert len(served.recent("avatar", "web")) + len(served.recent("hero", "web")) == before
    if needed == "images":
        assert Caller(served, texts["images"]).call(endpoint, "a red knight")[0] == "complete"


def test_the_pages_own_buttons_want_the_scope_too(scoped: tuple[Served, dict[str, str]]) -> None:
    """Every event of the page by its number, the buttons that nobody presses by hand included."""
    served, texts = scoped
    caller = Caller(served, texts["speech"])
    before = len(served.recent("avatar", "web")) + len(served.recent("hero", "web"))
    events = caller.get("/config").json()
    defaults = {part["id"]: part["props"].get("value") for part in events["components"]}
    refused = 0
    for event in events["dependencies"]:
        if event["api_visibility"] == "public" or not any(kind in ("click", "submit") for _, kind in event["targets"]):
            continue
        values = [defaults.get(part) for part in event["inputs"]]
        done = caller.join(event["id"], values, f"s{event['id']}")
        refused += "the scope images" in json.dumps(done)
    assert refused >= 2
    assert len(served.recent("avatar", "web")) + len(served.recent("hero", "web")) == before


def test_any_token_reads_what_its_account_has(scoped: tuple[Served, dict[str, str]]) -> None:
    served, texts = scoped
    made = Caller(served, texts["images"]).post("/generate", json=PICTURE).json()
    reader = Caller(served, texts["speech"])
    job = reader.get(f"/jobs/{made['job_id']}")
    assert job.status_code == 200
    assert reader.get(f"/files/{job.json()['files'][0]['id']}").status_code == 200
    assert reader.get("/health").status_code == 200


def test_openais_client_is_told(scoped: tuple[Served, dict[str, str]]) -> None:
    served, texts = scoped
    client = OpenAI(base_url=f"{served.url}/v1", api_key=texts["speech"], max_retries=0)
    with client, pytest.raises(PermissionDeniedError, match="the scope images"):
        client.images.generate(prompt="x")
    assert httpx.get(f"{served.url}/metrics").status_code == 401
