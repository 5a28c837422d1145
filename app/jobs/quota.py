"""How many jobs an account may send, and each of its end users: a rate, and a number a day.

The day's numbers are those of the jobs in the database, so a restart changes nothing; rates begin anew. A day is one of
UTC. A rate is a token bucket: a minute's jobs may come at once, then each has to wait for its share of the minute.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engines.errors import StudioError

MINUTE = 60
DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Limits:
    """Jobs in a minute and in a day, of an account and of one end user; 0: no limit."""

    per_minute: int = 0
    per_day: int = 0
    user_per_minute: int = 0
    user_per_day: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit, and what is left of it. `window` and `reset` in seconds; after `reset` there is more."""

    name: str
    limit: int
    window: int
    left: int
    reset: int


class RateLimited(StudioError):
    """An account or one of its users has sent too many jobs in a minute."""

    code = "rate_limited"
    status = 429

    def __init__(self, standing: Standing, whose: str, field: str | None) -> None:
        span = "minute" if standing.window == MINUTE else "day (UTC)"
        super().__init__(f"{whose} may send {standing.limit} jobs a {span}. Try again in {standing.reset} s.")
        self.standing = standing
        self.retry_after = standing.reset
        self.field = field


class DailyQuotaExceeded(RateLimited):
    """An account or one of its users has sent the day's jobs."""

    code = "daily_quota_exceeded"


Key = tuple[str, str | None]
"""An account, and one of its users or None for all of them together."""


class Quota:
    """Thread-safe; never waits for more than another's few steps. `now` in seconds since the epoch."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._lock = threading.Lock()
        self._recent: OrderedDict[Key, tuple[float, float]] = OrderedDict()
        """Jobs that still count for the rate, and when that was so; who sent last is last."""
        self._day = 0
        self._today: dict[Key, int] = {}

    @property
    def day_began(self) -> float:
        return self._now() // DAY * DAY

    def count(self, made: Iterable[tuple[str, str, int]]) -> None:
        """Take up the jobs of today that were sent before this process began: account, user, how many."""
        with self._lock:
            self._forget(self._now())
            for account, user, jobs in made:
                for key, _, _ in self._rules(account, user):
                    self._today[key] = self._today.get(key, 0) + jobs

    def take(self, account: str, user: str) -> None:
        """Count one more job. Raises RateLimited, DailyQuotaExceeded; then it does not count."""
        with self._lock:
            now = self._now()
            self._forget(now)
            rules = self._rules(account, user)
            for key, per_minute, per_day in rules:
                whose, field = ("This account", None) if key[1] is None else ("This user", "user")
                for standing in self._standings(key, per_minute, per_day, now):
                    if standing.left < 1:
                        error = RateLimited if standing.window == MINUTE else DailyQuotaExceeded
                        raise error(standing, whose, field)
            for key, per_minute, _ in rules:
                self._today[key] = self._today.get(key, 0) + 1
                self._recent[key] = (self._used(key, per_minute, now) + 1, now)
                self._recent.move_to_end(key)

    def standings(self, account: str) -> list[Standing]:
        """What is left to an account."""
        with self._lock:
            now = self._now()
            self._forget(now)
            return self._standings((account, None), self._limits.per_minute, self._limits.per_day, now)

    def _rules(self, account: str, user: str) -> list[tuple[Key, int, int]]:
        """Who is counted for a job, with the limits of a minute and of a day."""
        limits = self._limits
        own: list[tuple[Key, int, int]] = [((account, None), limits.per_minute, limits.per_day)]
        if user and (limits.user_per_minute or limits.user_per_day):
            own.append(((account, user), limits.user_per_minute, limits.user_per_day))
        return own

    def _standings(self, key: Key, per_minute: int, per_day: int, now: float) -> list[Standing]:
        who = "account" if key[1] is None else "user"
        found = []
        if per_minute:
            used = self._used(key, per_minute, now)
            left = max(0, math.floor(per_minute - used + 1e-9))
            # Until one more is let in; of a full bucket, at once.
            wait = max(0.0, used - (per_minute - left - 1)) * MINUTE / per_minute
            found.append(Standing(f"{who}-minute", per_minute, MINUTE, left, max(1, math.ceil(wait - 1e-9))))
        if per_day:
            left = max(0, per_day - self._today.get(key, 0))
            found.append(Standing(f"{who}-day", per_day, DAY, left, max(1, math.ceil(DAY - now % DAY))))
        return found

    def _used(self, key: Key, per_minute: int, now: float) -> float:
        used, then = self._recent.get(key, (0.0, now))
        return max(0.0, used - (now - then) * per_minute / MINUTE)

    def _forget(self, now: float) -> None:
        """Yesterday's numbers, and whoever has sent nothing for a minute: all of the bucket is there again."""
        if self._day != int(now // DAY):
            self._day = int(now // DAY)
            self._today.clear()
        while self._recent and next(iter(self._recent.values()))[1] <= now - MINUTE:
            self._recent.popitem(last=False)
