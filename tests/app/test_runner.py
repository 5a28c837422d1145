"""How the server starts and stops: real processes, real signals, a small app behind them."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from app.runner import PortRefused, WebSockets, listen
from tests.conftest import ROOT
from tests.serving import process_of

# /work starts a job of some seconds; /stream never ends, like the page's heartbeat; /big is more than fits on the way
# to a client that reads nothing; /slow is never answered.
SERVER = """
import asyncio, sys, threading, time
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from app.logs import set_up_logging
from app.runner import listen, run

port, limit, starts = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "True"

class Work:
    draining, ends = False, 0.0

    def drain(self):
        self.draining = True

    @property
    def idle(self):
        return time.monotonic() >= self.ends

    def give_up(self):
        pass

async def start(request):
    if work.draining:
        return PlainTextResponse("draining", 503)
    work.ends = time.monotonic() + float(request.query_params["seconds"])
    return PlainTextResponse("accepted")

async def stream(request):
    async def beats():
        while True:
            yield "beat"
            await asyncio.sleep(0.1)
    return StreamingResponse(beats())

async def big(request):
    async def parts():
        for _ in range(1000):
            yield bytes(1_000_000)
    return StreamingResponse(parts())

async def slow(request):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        return PlainTextResponse("stopped", 503)

@asynccontextmanager
async def lifespan(app):
    if not starts:
        raise OSError("no")
    yield

set_up_logging()
work = Work()
routes = [Route("/work", start), Route("/stream", stream), Route("/big", big), Route("/slow", slow)]
sys.exit(run(Starlette(routes=routes, lifespan=lifespan), listen("127.0.0.1", port), work, drain_seconds=limit,
             on_started=lambda: print("started", flush=True)))
"""


def server(limit: float) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    return process_of(SERVER, str(limit), "True")


def rest(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=30)
    assert "Traceback" not in output
    return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_work_finishes_and_new_work_is_refused(number: signal.Signals) -> None:
    with server(limit=20) as (process, url):
        httpx.get(f"{url}/work?seconds=2")
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Stopping: running work has up to 20 s to finish")
        assert httpx.get(f"{url}/work?seconds=2").status_code == 503
        assert process.poll() is None
        assert rest(process) == (0, "")


def test_without_work_it_stops_at_once_and_says_nothing() -> None:
    with server(limit=20) as (process, _):
        asked = time.monotonic()
        process.terminate()
        assert rest(process) == (0, "")
        assert time.monotonic() - asked < 10


def test_work_that_takes_too_long_is_cut_and_the_status_says_so() -> None:
    with server(limit=1) as (process, url):
        httpx.get(f"{url}/work?seconds=60")
        process.terminate()
        status, output = rest(process)
        assert status == 1
        assert output.endswith("Stopped after 1 s with work still running.\n")


def test_a_second_ctrl_c_ends_it_at_once_and_a_second_sigterm_does_not() -> None:
    with server(limit=60) as (process, url):
        httpx.get(f"{url}/work?seconds=60")
        process.terminate()
        process.terminate()
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        status, output = rest(process)
        assert status == 130
        assert output.endswith("Stopped at once.\n")


def test_open_streams_hold_the_exit_for_moments_and_are_no_error() -> None:
    with (
        server(limit=20) as (process, url),
        httpx.stream("GET", f"{url}/stream") as stream,
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as deaf,
    ):
        next(stream.iter_bytes())
        deaf.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert deaf.recv(1)
        asked = time.monotonic()
        process.terminate()
        assert rest(process) == (0, "")
        assert time.monotonic() - asked < 15


def test_a_request_without_an_answer_at_the_end_can_say_so() -> None:
    with server(limit=20) as (process, url):
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(httpx.get, f"{url}/slow", timeout=60)
            time.sleep(0.5)
            process.terminate()
        assert (answer.result().status_code, answer.result().text) == (503, "stopped")
        assert rest(process) == (0, "")


def test_an_app_that_cannot_start_is_a_status_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVER, "0", "1", "False"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "OSError" in done.stderr


def test_who_connects_before_the_server_runs_waits() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with listen("localhost", port), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("192.0.2.1", 7860, r"^Cannot listen on 192\.0\.2\.1 \(Cannot assign requested address\)"),
        ("no.such.host.invalid", 7860, r"^Cannot listen on no\.such\.host\.invalid \(.*--host 127\.0\.0\.1$"),
    ],
)
def test_an_address_that_is_not_ours_is_refused(host: str, port: int, expected: str) -> None:
    with pytest.raises(PortRefused, match=expected):
        listen(host, port)


def test_a_taken_port_is_refused_with_another_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortRefused, match=rf"^Port {port} is taken .*--port \d+$"):
            listen("127.0.0.1", port)


async def _takes_its_time(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells how many bytes came, after a pause in which it takes none of them."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    await asyncio.sleep(1.5)
    taken = 0
    while (message := await receive())["type"] != "websocket.disconnect" and message.get("text") != "end":
        taken += len(message["bytes"])
    await send({"type": "websocket.send", "text": str(taken)})


def test_a_speaker_that_is_ahead_of_its_recogniser_is_not_taken_for_gone() -> None:
    """The answer to a ping stands behind the sound; pings are much more frequent here than a server's."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        _takes_its_time, ws=WebSockets, ws_ping_interval=0.2, ws_ping_timeout=0.2, lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with connect(f"ws://127.0.0.1:{listener.getsockname()[1]}", ping_interval=None) as speaker:
            for _ in range(200):
                speaker.send(bytes(3200))
            speaker.send("end")
            assert speaker.recv(timeout=20) == str(200 * 3200)
    finally:
        server.should_exit = True
        thread.join(20)
