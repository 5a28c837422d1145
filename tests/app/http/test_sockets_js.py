"""Live speech from JavaScript, with the studio and with the speech service: npm's ws as vosk-server's clients use it,
and openai's realtime client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.app.conftest import serve
from tests.app.http.test_transcriber import transcriber
from tests.serving import create_api
from tests.small_engines import EchoSpeech

TOKEN = "a-token-of-the-app-00"
SOUND = b"\x10\x10" * 40_000
"""Two and a half seconds, in which the small engine hears five words."""


@pytest.fixture(scope="module")
def program(npm: Path) -> Path:
    """sockets.mjs, with sound to send and a certificate to do it behind."""
    (npm / "sound.pcm").write_bytes(SOUND)
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(npm / "ca.pem")
    certificate.private_key_pem.write_to_path(npm / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(npm / "cert.pem")
    return npm / "sockets.mjs"


@pytest.fixture(scope="module", params=["studio", "speech service"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "studio":
        for served in serve(tmp_path_factory.mktemp("data"), create_api, api_tokens=f"web={TOKEN}"):
            yield served.url
        return
    with transcriber(EchoSpeech(), api_tokens=TOKEN) as (address, _):
        yield address


def call(program: Path, who: str, url: str) -> Any:
    command = ["node", program.name, who, url, "sound.pcm", TOKEN]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_client_that_waits_for_each_answer(program: Path, url: str) -> None:
    told = call(program, "waiting", url)
    *answers, last = told["answers"]
    assert told["code"] == 1000
    # One for each fifth of a second, and no other before the end.
    assert len(answers) == 13
    assert [answer["text"] for answer in answers if "text" in answer] == ["word1 word2", "word3 word4"]
    assert answers[2] == {"partial": "word1"}
    assert last["text"] == "word5"
    assert [word["word"] for word in last["result"]] == ["word5"]


def test_a_page_that_sends_whatever_comes(program: Path, url: str) -> None:
    told = call(program, "streaming", url)
    assert (told["code"], told["protocol"]) == (1000, "vosk")
    texts = [answer["text"] for answer in told["answers"] if answer.get("text")]
    assert " ".join(texts) == "word1 word2 word3 word4 word5"


def test_openais_realtime_client(program: Path, url: str) -> None:
    told = call(program, "realtime", url)
    assert told["code"] in (1000, 1005)
    assert told["events"][:2] == ["session.created", "session.updated"]
    assert list(told["completed"].values()) == ["word1 word2 word3 word4 word5"]
    assert told["deltas"] == told["completed"]
