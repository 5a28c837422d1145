"""Wrong tokens are throttled by address, and nobody else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.http.middleware.throttle import BURST, MAX_ADDRESSES, SECONDS_EACH, Throttle
from tests.app.conftest import Served, serve

TOKEN = "a-token-of-enough-characters"


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Served]:
    yield from serve(tmp_path, api_tokens=[TOKEN])


def ask(served: Served, token: str, **headers: str) -> httpx.Response:
    return served.http.get("/health", headers={"Authorization": f"Bearer {token}", **headers})


def test_after_a_burst_of_wrong_tokens_an_address_has_to_wait(locked: Served) -> None:
    answers = [ask(locked, f"wrong-token-number-{number}") for number in range(BURST)]
    assert {answer.status_code for answer in answers} == {401}
    refused = soon(lambda: ask(locked, "wrong"))
    assert 1 <= int(refused.headers["retry-after"]) <= SECONDS_EACH
    error = refused.json()["error"]
    assert (error["type"], error["field"]) == ("too_many_wrong_tokens", "Authorization")
    # As the password of a browser, on another path, under a forged address.
    soon(lambda: locked.http.get("/docs", auth=("x", "wrong-too")))
    soon(lambda: ask(locked, "wrong", **{"X-Forwarded-For": "9.9.9.9"}))


def soon(request: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer that is 429: meanwhile the address may have got one more try, or a few on a slow machine."""
    answers = (request() for _ in range(BURST))
    return next(answer for answer in answers if answer.status_code == 429)


def test_others_are_not_locked_out(locked: Served) -> None:
    for _ in range(BURST):
        ask(locked, "wrong")
    soon(lambda: ask(locked, "wrong"))
    # The owner of a token behind the same proxy or tunnel, a browser that has not asked its user, another address.
    assert ask(locked, TOKEN).status_code == 200
    assert locked.http.get("/health").status_code == 401
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=locked.url, transport=elsewhere) as other:
        assert other.get("/health", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert other.get("/health", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_who_waits_may_try_again() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    waits = [throttle.failed("192.0.2.1") for _ in range(BURST + 1)]
    assert waits[:BURST] == [0.0] * BURST
    assert waits[-1] == pytest.approx(SECONDS_EACH)
    now[0] += waits[-1]
    assert throttle.failed("192.0.2.1") == 0.0
    assert throttle.failed("192.0.2.1") > 0
    now[0] += BURST * SECONDS_EACH
    assert [throttle.failed("192.0.2.1") for _ in range(BURST)] == [0.0] * BURST


def test_going_on_does_not_make_the_wait_longer() -> None:
    throttle = Throttle(lambda: 0.0)
    assert max(throttle.failed("192.0.2.1") for _ in range(1000)) <= SECONDS_EACH


def test_one_subscribers_ipv6_addresses_are_one() -> None:
    throttle = Throttle(lambda: 0.0)
    waits = [throttle.failed(f"2001:db8:1:2::{number:x}") for number in range(BURST + 1)]
    assert waits[-1] > 0
    assert throttle.failed("2001:db8:1:3::1") == 0.0


def test_what_is_remembered_is_bounded_and_whoever_failed_last_stays() -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(2 * MAX_ADDRESSES):
        throttle.failed(f"{number >> 24 & 255}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        if number % 100 == 0:
            last = throttle.failed("192.0.2.1")
    assert last > 0
    assert len(throttle._failures) == MAX_ADDRESSES
