"""Agents, through the official client, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, ImageContent, TextContent

from app.jobs.model import JobState
from engines.requests import MAX_SEED
from tests.app.conftest import Served, serve
from tests.app.http.test_addresses import Storage, storage
from tests.serving import until

__all__ = ["storage"]

TOKEN = "a-token-of-web-000001"
OTHER = "a-token-of-other-0001"
T = TypeVar("T")


@pytest.fixture(scope="module")
def served(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    values: dict[str, Any] = {
        "mcp": True,
        "api_tokens": (f"web={TOKEN}", f"other={OTHER}"),
        "fetch_hosts": (storage.url,),
    }
    yield from serve(tmp_path_factory.mktemp("data"), **values)


@asynccontextmanager
async def agent(served: Served, token: str = TOKEN) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{served.url}/mcp", http_client=http)) as client,
    ):
        yield client


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


async def call(served: Served, tool: str, token: str = TOKEN, **arguments: Any) -> CallToolResult:
    async with agent(served, token) as client:
        return await client.call_tool(tool, arguments)


def told(result: CallToolResult) -> dict[str, Any]:
    assert result.structured_content is not None
    content: dict[str, Any] = result.structured_content
    return content


def text(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


def test_the_tools_take_what_the_requests_take(served: Served) -> None:
    async def look() -> dict[str, dict[str, Any]]:
        async with agent(served) as client:
            return {tool.name: dict(tool.input_schema) for tool in (await client.list_tools()).tools}

    tools = run(look())
    assert set(tools) == {"avatar", "hero", "transcribe", "job", "cancel"}
    assert tools["avatar"]["properties"]["seed"]["maximum"] == MAX_SEED
    assert "prompt" in tools["avatar"]["required"]
    assert "photo_sha256" not in tools["avatar"]["properties"]


def test_an_avatar_is_made_with_progress_and_shown(served: Served) -> None:
    seen: list[str] = []

    async def make() -> CallToolResult:
        async with agent(served) as client:

            async def note(progress: float, total: float | None, message: str | None) -> None:
                assert 0 <= progress <= (total or 0)
                seen.append(message or "")

            return await client.call_tool("avatar", {"prompt": "anna", "seed": 4, "hat": 1}, progress_callback=note)

    result = run(make())
    job = told(result)
    assert not result.is_error
    assert (job["state"], job["result"]["images"][0]["seed"]) == ("succeeded", 4)
    assert job["files"][0]["url"] in text(result)
    assert isinstance(result.content[1], ImageContent)
    assert [warning["field"] for warning in job["warnings"]] == ["hat"]
    assert any(job["job_id"] in message for message in seen)


def test_a_recording_is_transcribed(served: Served, storage: Storage) -> None:
    result = run(call(served, "transcribe", audio=f"{storage.url}/anna.wav"))
    assert text(result) == "word1 word2"


WRONG = [
    ("avatar", {}, "prompt"),
    ("avatar", {"prompt": "x", "seed": "seven"}, "seed"),
    ("avatar", {"prompt": "x", "idempotency_key": 7}, "idempotency_key"),
    ("transcribe", {"audio": "file:///etc/passwd"}, "audio"),
    ("job", {"job_id": "nobody"}, "nobody"),
    ("avatars", {"prompt": "x"}, "Did you mean 'avatar'"),
]


@pytest.mark.parametrize(("tool", "arguments", "said"), WRONG)
def test_an_error_is_a_sentence_for_the_agent(served: Served, tool: str, arguments: dict[str, Any], said: str) -> None:
    result = run(call(served, tool, **arguments))
    assert result.is_error
    assert said in text(result)
    assert told(result)["error"]["message"] == text(result)


def test_others_jobs_are_unknown(served: Served) -> None:
    job_id = told(run(call(served, "avatar", prompt="anna")))["job_id"]
    assert not run(call(served, "job", job_id=job_id)).is_error
    assert told(run(call(served, "job", OTHER, job_id=job_id)))["error"]["type"] == "job_not_found"
    assert told(run(call(served, "cancel", OTHER, job_id=job_id)))["error"]["type"] == "job_not_found"


def test_without_a_token_nothing_is_told(served: Served) -> None:
    answer = httpx.post(f"{served.url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert answer.status_code == 401
    assert "avatar" not in answer.text


@pytest.mark.parametrize("key", [None, "a-key"])
def test_who_goes_away_cancels_the_job_unless_it_has_a_key(served: Served, key: str | None) -> None:
    served.image.gate.clear()
    arguments = {"prompt": "anna"} | ({"idempotency_key": key} if key else {})

    async def go_away() -> None:
        async with agent(served) as client:
            call = asyncio.ensure_future(client.call_tool("avatar", arguments))
            while not served.running():
                await asyncio.sleep(0.01)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    try:
        run(go_away())
        if key is None:
            until(lambda: not served.running())
            assert served.studio.queue.idle
            return
        assert len(served.running()) == 1
    finally:
        served.image.gate.set()
    # The same call finds the same job.
    again = told(run(call(served, "avatar", **arguments)))
    assert (again["state"], again["attempt"]) == ("succeeded", 1)


def test_an_agent_cancels_a_job_by_its_id(served: Served) -> None:
    served.image.gate.clear()
    try:
        answer = served.http.post(
            "/jobs",
            json={"kind": "avatar", "request": {"prompt": "anna"}},
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        job_id = answer.json()["job_id"]
        until(served.running)
        assert not run(call(served, "cancel", job_id=job_id)).is_error
        until(lambda: served.job(job_id, "web").final)
    finally:
        served.image.gate.set()
    assert served.job(job_id, "web").state is JobState.CANCELLED
    assert "cancelled" in text(run(call(served, "job", job_id=job_id)))


def test_it_is_off_unless_it_is_asked_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    for served in serve(tmp_path_factory.mktemp("data")):
        answer = served.http.post("/mcp", content=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
        assert answer.status_code in (404, 405)
