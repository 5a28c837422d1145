"""How much an account and an end user may send, and how callers are told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.jobs.quota import DAY, DailyQuotaExceeded, Limits, Quota, RateLimited
from app.scopes import ALL
from app.tokens import Tokens
from tests.app.conftest import Served, serve
from tests.app.ui.caller import Caller

TOKEN = "a-token-of-enough-characters"
OTHER = "another-token-long-enough-too"
TOKENS = [f"web={TOKEN}", f"app={OTHER}"]


def send(served: Served, token: str = TOKEN, user: str = "", **headers: str) -> httpx.Response:
    body = {"kind": "image", "request": {"prompt": "x", "width": 256, "height": 256}, "user": user}
    return served.http.post("/jobs", json=body, headers={"Authorization": f"Bearer {token}", **headers})


def test_an_account_has_its_rate_and_is_told_what_is_left(tmp_path: Path) -> None:
    # One more is let in after half a minute.
    for served in serve(tmp_path, api_tokens=TOKENS, rate_per_minute=2, daily_jobs=50):
        first, second, third = send(served), send(served), send(served)
        assert (first.status_code, second.status_code, third.status_code) == (202, 202, 429)
        assert first.headers["ratelimit-policy"] == '"account-minute";q=2;w=60, "account-day";q=50;w=86400'
        left = [re.findall(r";r=(\d+)", answer.headers["ratelimit"]) for answer in (first, second)]
        assert left == [["1", "49"], ["0", "48"]]
        assert 1 <= int(third.headers["retry-after"]) <= 30
        assert third.headers["ratelimit-policy"] == '"account-minute";q=2;w=60'
        assert third.headers["ratelimit"] == f'"account-minute";r=0;t={third.headers["retry-after"]}'
        error = third.json()["error"]
        assert error["type"] == "rate_limited"
        assert "2 jobs a minute" in error["message"]


def test_a_limit_holds_at_every_door_for_this_account_and_for_work_alone(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=TOKENS, daily_jobs=1):
        made = send(served).json()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        legacy = served.http.post("/generate", json={"prompt": "x"}, headers=headers)
        assert (legacy.status_code, legacy.json()["success"]) == (429, False)
        assert "1 jobs a day" in str(Caller(served, TOKEN).call("avatar", "a red knight"))
        assert served.http.get(f"/jobs/{made['job_id']}", headers=headers).status_code == 200
        assert send(served, OTHER).status_code == 202


def test_a_repeated_key_costs_nothing_and_is_never_refused(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=TOKENS, daily_jobs=1):
        answers = [send(served, **{"Idempotency-Key": "k"}) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["job_id"] for answer in answers}) == 1
        assert send(served).status_code == 429


def test_what_is_refused_for_another_reason_does_not_count(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=TOKENS, daily_jobs=1):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert served.http.post("/generate", json={"prompt": ""}, headers=headers).status_code == 422
        assert send(served).status_code == 202


def test_a_user_has_a_share_of_the_account(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=TOKENS, user_rate_per_minute=1, user_daily_jobs=9):
        assert send(served, user="ann").status_code == 202
        refused = send(served, user="ann")
        assert refused.status_code == 429
        assert refused.json()["error"]["field"] == "user"
        assert refused.headers["ratelimit-policy"] == '"user-minute";q=1;w=60'
        assert send(served, user="bob").status_code == 202
        # Another account's user of that name is another one; who names none has the account's limits alone.
        assert send(served, OTHER, user="ann").status_code == 202
        assert [send(served).status_code for _ in range(3)] == [202] * 3


def test_the_days_number_is_kept_over_a_restart(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"daily_jobs": 3, "user_daily_jobs": 1}
    for served in serve(tmp_path, api_tokens=TOKENS, **limits):
        assert [send(served).status_code, send(served, user="ann").status_code] == [202, 202]
    # Another token of the same account, and no rate: the numbers are the account's.
    _, text = Tokens(tmp_path).create("web", ALL)
    for served in serve(tmp_path, api_tokens=TOKENS, **limits):
        assert send(served, text, user="ann").json()["error"]["field"] == "user"
        assert send(served, text).status_code == 202
        refused = send(served)
        assert refused.json()["error"]["type"] == "daily_quota_exceeded"
        assert 1 <= int(refused.headers["retry-after"]) <= DAY


def test_without_limits_nothing_is_said(served: Served) -> None:
    answer = served.http.post("/generate", json={"prompt": "x"})
    assert "ratelimit" not in answer.headers
    assert "ratelimit-policy" not in answer.headers


@pytest.fixture
def clock() -> list[float]:
    return [20_000.0 * DAY]


def taken(quota: Quota, user: str = "") -> Callable[[], bool]:
    def take() -> bool:
        try:
            quota.take("web", user)
        except RateLimited:
            return False
        return True

    return take


def test_a_minutes_jobs_may_come_at_once_and_then_one_by_one(clock: list[float]) -> None:
    quota = Quota(Limits(per_minute=6), lambda: clock[0])
    take = taken(quota)
    assert [take() for _ in range(7)] == [True] * 6 + [False]
    [standing] = quota.standings("web")
    assert (standing.left, standing.reset) == (0, 10)
    clock[0] += 9
    assert not take()
    clock[0] += 1
    assert take()
    assert not take()
    clock[0] += 60
    assert [take() for _ in range(7)] == [True] * 6 + [False]


def test_the_day_ends_at_midnight_utc(clock: list[float]) -> None:
    quota = Quota(Limits(per_day=1), lambda: clock[0])
    clock[0] += DAY - 90
    quota.take("web", "")
    with pytest.raises(DailyQuotaExceeded) as refused:
        quota.take("web", "")
    assert refused.value.retry_after == 90
    clock[0] += 90
    quota.take("web", "")


def test_who_is_quiet_is_forgotten(clock: list[float]) -> None:
    quota = Quota(Limits(user_per_minute=5), lambda: clock[0])
    for number in range(1000):
        quota.take("web", f"user {number}")
    clock[0] += 60
    quota.take("web", "one")
    assert len(quota._recent) == 2
