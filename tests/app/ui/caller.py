"""One caller of Gradio's routes in plain HTTP: what an attacker writes by hand, and what curl users write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.app.conftest import Served

Event = tuple[str, Any]
"""Name and data of one server-sent event."""


@dataclass(frozen=True)
class Caller:
    """Somebody with a token."""

    served: Served
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str, **values: Any) -> httpx.Response:
        return self.served.http.get(path, headers=self.headers, **values)

    def post(self, path: str, **values: Any) -> httpx.Response:
        return self.served.http.post(path, headers=self.headers, **values)

    def post_json(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """As Python's json writes it, halves of characters included; httpx refuses these."""
        headers = {**self.headers, "Content-Type": "application/json"}
        return self.served.http.post(path, headers=headers, content=json.dumps(body))

    def upload(self, name: str, data: bytes) -> str:
        """The path that the answer names."""
        answer = self.post("/gradio_api/upload", files={"files": (name, data)})
        assert answer.status_code == 200, answer.text
        [path] = answer.json()
        return str(path)

    def start(self, endpoint: str, values: list[Any], session: str | None = None) -> str:
        """POST /call: the event's id."""
        body = {"data": values} | ({"session_hash": session} if session else {})
        answer = self.post_json(f"/gradio_api/call/{endpoint}", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["event_id"])

    def call(self, endpoint: str, *values: Any) -> Event:
        """POST /call and GET its last event."""
        return list(events(self.get(f"/gradio_api/call/{endpoint}/{self.start(endpoint, list(values))}")))[-1]

    def join(self, fn_index: int, values: list[Any], session: str) -> dict[str, Any]:
        """POST /queue/join and the last message that /queue/data has for it."""
        body = {"data": values, "fn_index": fn_index, "session_hash": session}
        answer = self.post_json("/gradio_api/queue/join", body)
        assert answer.status_code == 200, answer.text
        messages = self.messages(session)
        return next(message for message in messages if message["msg"] == "process_completed")

    def messages(self, session: str) -> list[dict[str, Any]]:
        answer = self.get("/gradio_api/queue/data", params={"session_hash": session})
        return [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]


def events(answer: httpx.Response) -> Iterator[Event]:
    assert answer.status_code == 200, answer.text
    for block in answer.text.strip().split("\n\n"):
        name, _, data = block.partition("\n")
        yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def file_data(path: Any, **more: Any) -> dict[str, Any]:
    """A file as Gradio's clients write it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}
