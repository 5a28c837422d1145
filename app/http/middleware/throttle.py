"""How many wrong tokens an address may try."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

BURST = 100
"""Wrong tokens in a row that are answered as such, e.g. of a service that was started with an old one."""

SECONDS_EACH = 1.0
"""After the burst, one more in this time. 1,000 a second would try 86 million a day; this leaves 86,400."""

MAX_ADDRESSES = 10_000
"""Remembered at once, about 2 MB; the one that failed longest ago is forgotten first."""


class Throttle:
    """A token bucket (RFC 2697's committed burst) of failures for each address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Address -> failures that still count, and when that was so; the one that failed last is last."""

    def failed(self, address: str) -> float:
        """Note one more failure. Returns 0, or the seconds to wait if it was one too many."""
        now = self._clock()
        key = _network(address)
        count, then = self._failures.pop(key, (0.0, now))
        count = max(0.0, count - (now - then) / SECONDS_EACH)
        allowed = count + 1 <= BURST
        # One that is refused does not count, or who goes on trying would never be told again.
        self._failures[key] = (count + 1 if allowed else count, now)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
        return 0.0 if allowed else (count + 1 - BURST) * SECONDS_EACH


def _network(address: str) -> str:
    """What one subscriber has: an IPv4 address, or the 64 bits before the interface's part of an IPv6 one."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else str(known)
