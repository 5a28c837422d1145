"""Sends what is in the outbox: tries again with growing pauses, in order, until it arrived or is given up."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.delivery.errors import DeliveryFailed, DeliveryRefused
from app.jobs.errors import StorageFailed
from app.jobs.store.outbox import Deliverer, Entry, Outbox

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Deliveries of one deliverer at the same time: a receiver that hangs must not hold up all others."""

LOOK_SECONDS = 5.0
"""How long nothing may be looked for: `launch.py deliveries resend` writes from another process."""

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When an entry is tried again. Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff
    And Jitter"), so that what failed together does not come back together."""

    first: float = 5.0
    longest: float = 6 * HOUR
    give_up_after: float = 72 * HOUR
    least_tries: int = 12
    """Before an entry is given up, however old: a studio that was off for days has tried nothing."""
    longest_wish: float = 24 * HOUR
    """Of a receiver that says when to come back."""

    def next_pause(self, tries: int, waited: float, wish: float | None, chance: float) -> float | None:
        """Seconds until the next try after `tries` of them and `waited` seconds; None to give up.

        `wish`: the receiver's own. `chance`: from 0 to 1.
        """
        if tries >= self.least_tries and waited >= self.give_up_after:
            return None
        # 2**13 pauses of five seconds are longer than the longest: no need for numbers without end.
        pause = chance * min(self.longest, self.first * 2.0 ** min(tries - 1, 30))
        return max(pause, min(wish or 0.0, self.longest_wish))


FOR_DAYS = Schedule()


class Sender:
    """The threads of one deliverer. An entry leaves the outbox only after the deliverer took it without an error."""

    def __init__(
        self,
        deliverer: Deliverer,
        outbox: Outbox,
        *,
        schedule: Schedule = FOR_DAYS,
        chance: Callable[[], float] = random.random,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._deliverer = deliverer
        self._outbox = outbox
        self._schedule = schedule
        self._chance = chance
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._sending: set[str] = set()
        """The keys of what is on its way."""
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(AT_ONCE):
            # Daemons: what is on its way at a stop may be left behind, because it is still in the outbox.
            name = f"{self._deliverer.name}-sender-{number}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()

    def close(self, seconds: float) -> None:
        """Begin nothing more, and wait up to `seconds` for what is on its way."""
        self._stopping.set()
        self._outbox.wake()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while not self._stopping.is_set():
            seen = self._outbox.changes
            try:
                entry = self._take()
                if entry is None:
                    self._outbox.wait(seen, self._pause())
                    continue
                try:
                    self._send(entry)
                finally:
                    with self._lock:
                        self._sending.discard(entry.ordered_by)
                    # The next entry of its key may be due.
                    self._outbox.wake()
            except StorageFailed as problem:
                if not self._stopping.is_set():
                    log.error("the outbox of %s could not be used: %s", self._deliverer.name, problem)
                self._stopping.wait(1.0)

    def _take(self) -> Entry | None:
        """An entry that is due and whose key no other thread is at."""
        with self._lock:
            for entry in self._outbox.due(self._deliverer.name, AT_ONCE):
                if entry.ordered_by not in self._sending:
                    self._sending.add(entry.ordered_by)
                    return entry
        return None

    def _pause(self) -> float:
        due_at = self._outbox.next_due(self._deliverer.name)
        return self._look_seconds if due_at is None else min(self._look_seconds, max(0.0, due_at - self._outbox.now()))

    def _send(self, entry: Entry) -> None:
        try:
            job = self._outbox.job(entry)
            if not entry.unsure or self._deliverer.wants(job):
                self._deliverer.deliver(job, entry.message_id)
        except StorageFailed:
            raise
        except DeliveryRefused as refusal:
            self._bury(entry, str(refusal))
        except DeliveryFailed as failure:
            self._later(entry, str(failure), failure.wait_seconds)
        except Exception as error:
            # A deliverer's bug, perhaps with this one job: the others are to go on.
            log.exception("%s could not deliver job %s", self._deliverer.name, entry.job_id)
            self._later(entry, f"an error of the studio itself ({type(error).__name__}); its log tells more", None)
        else:
            self._noted(lambda: self._outbox.delivered(entry))

    def _later(self, entry: Entry, problem: str, wish: float | None) -> None:
        now = self._outbox.now()
        tries = entry.tries + 1
        pause = self._schedule.next_pause(tries, now - entry.waiting_since, wish, self._chance())
        if pause is None:
            self._bury(entry, f"given up after {tries} tries: {problem}")
        else:
            self._noted(lambda: self._outbox.failed(entry, problem, now + pause))

    def _bury(self, entry: Entry, problem: str) -> None:
        log.error("delivery %d (%s, job %s) is given up: %s", entry.id, self._deliverer.name, entry.job_id, problem)
        self._noted(lambda: self._outbox.bury(entry, problem))

    def _noted(self, note: Callable[[], None]) -> None:
        """Store what became of a try. As long as the disk does not take it, the entry is not tried again here."""
        while True:
            try:
                return note()
            except StorageFailed:
                if self._stopping.wait(1.0):
                    raise
