"""The event loop goes on while the disk is slow: nothing on it waits for a lock that is held over a write."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.concurrency import run_blocking
from app.jobs.files import Files
from app.jobs.model import Job, Received
from app.jobs.store.database import Database
from app.jobs.store.folder import held
from tests.app.jobs.small_work import Desk, wait_for

SLOW_SECONDS = 0.3
LONGEST_STALL = 0.05
"""Seconds. On an idle loop a tick is late by less than a millisecond; a wait for the disk would be SLOW_SECONDS."""

TRIES = 5


class SlowDatabase(Database):
    """Takes its time with every write, with the lock held."""

    slow = False

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with super().write(durable=durable) as db:
            yield db
            if self.slow:
                time.sleep(SLOW_SECONDS)


class SlowFiles(Files):
    """Takes its time with every file."""

    slow = False

    def write(self, data: bytes) -> Received:
        if self.slow:
            time.sleep(SLOW_SECONDS)
        return super().write(data)


class SlowDesk(Desk):
    """Over a disk that can be made slow."""

    def open(self, folder: Path) -> tuple[Database, Files]:
        self.opened.enter_context(held(folder))
        self.slow_files, self.slow_database = SlowFiles(folder), SlowDatabase(folder, may_begin=True)
        self.opened.callback(self.slow_database.close)
        return self.slow_database, self.slow_files


async def longest_stall(during: asyncio.Task[None]) -> float:
    """Seconds by which a tick of this loop was late at most."""
    worst = 0.0
    while not during.done():
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        worst = max(worst, time.perf_counter() - began - 0.005)
    await during
    return worst


async def traffic(desk: Desk) -> None:
    """Callers of all sorts at once."""

    async def follow(job: Job) -> None:
        async for _ in desk.queue.events(job.id, job.account):
            pass

    async def come_and_go() -> None:
        job = await run_blocking(desk.submit)
        following = asyncio.ensure_future(follow(job))
        await desk.queue.get(job.id, "ann")
        await desk.queue.recent("ann", "held", 5)
        another = await run_blocking(desk.submit)
        await desk.queue.cancel(another.id, "ann")
        await following

    await asyncio.gather(*(come_and_go() for _ in range(4)))


def test_the_loop_never_waits_for_the_disk(tmp_path: Path) -> None:
    desk = SlowDesk(tmp_path)
    desk.kind.release.set()
    desk.slow_database.slow = desk.slow_files.slow = True

    async def measure() -> float:
        # A loop that waited for the disk would do so every time; other work on this machine makes it late now and then.
        stalls: list[float] = []
        while len(stalls) < TRIES and min(stalls, default=SLOW_SECONDS) >= LONGEST_STALL:
            stalls.append(await longest_stall(asyncio.ensure_future(traffic(desk))))
        return min(stalls)

    stall = wait_for(measure(), 120)
    desk.slow_database.slow = desk.slow_files.slow = False
    desk.stop()
    assert stall < LONGEST_STALL
