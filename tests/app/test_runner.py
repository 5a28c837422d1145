"""How the server starts and stops: real processes, real signals, a small app behind them."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import AbstractContextManager

import httpx
import pytest

from tests.serving import process_of

# /work starts a job of some seconds; /stream never ends, like the page's heartbeat.
SERVER = """
import asyncio, sys, threading, time
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from app.listening import listen
from app.cli.serve import serve

port, limit = int(sys.argv[1]), float(sys.argv[2])
ends, draining = [0.0], threading.Event()

async def work(request):
    if draining.is_set():
        return PlainTextResponse("draining", 503)
    ends[0] = time.monotonic() + float(request.query_params["seconds"])
    return PlainTextResponse("accepted")

async def stream(request):
    async def beats():
        while True:
            yield "beat"
            await asyncio.sleep(0.1)
    return StreamingResponse(beats())

app = Starlette(routes=[Route("/work", work), Route("/stream", stream)])
sys.exit(serve(app, listen("127.0.0.1", port), start_drain=draining.set, busy=lambda: time.monotonic() < ends[0],
               give_up=lambda: None, drain_seconds=limit, on_started=lambda: print("started", flush=True)))
"""


def server(limit: float) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    return process_of(SERVER, str(limit))


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


def test_a_stream_that_never_ends_does_not_hold_the_exit() -> None:
    with server(limit=20) as (process, url), httpx.stream("GET", f"{url}/stream") as stream:
        next(stream.iter_bytes())
        asked = time.monotonic()
        process.terminate()
        status, _ = rest(process)
        assert status == 0
        assert time.monotonic() - asked < 15
