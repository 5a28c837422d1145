"""Accounts behind tokens, as the settings read them and as callers meet them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Request

from app.accounts import Accounts
from app.http.middleware.auth import BearerAuth
from app.settings.fields import load
from app.settings.report import SettingsRefused
from tests.serving import serving

OLD = "old-token-of-the-web-app"
NEW = "new-token-of-the-web-app"
BARE = "token-without-any-name"
PADDED = "c29tZSBiYXNlNjQgdG9rZW4="


@pytest.fixture(autouse=True)
def _no_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STUDIO_API_TOKENS", raising=False)


def accounts(written: str) -> Accounts:
    """What the settings make of STUDIO_API_TOKENS=`written`."""
    return Accounts(load({"api_tokens": written}).tokens)


def bare_name(token: str) -> str:
    return f"token-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


def account_of(known: Accounts, token: str) -> str | None:
    caller = known.find(token.encode())
    return None if caller is None else caller.account


def who(url: str, token: str | None) -> httpx.Response:
    return httpx.get(f"{url}/who", headers={} if token is None else {"Authorization": f"Bearer {token}"})


def door(known: Accounts) -> Iterator[str]:
    app = FastAPI()

    @app.get("/who")
    @app.get("/health/live")
    async def tell(request: Request) -> list[str | None]:
        return [request.state.account]

    app.add_middleware(BearerAuth, accounts=known, exempt=frozenset({"/health/live"}))
    with serving(app) as url:
        yield url


def test_a_rotated_token_is_the_same_account_as_the_one_before() -> None:
    for url in door(accounts(f"web={OLD},web={NEW}, {BARE}")):
        assert who(url, OLD).json() == who(url, NEW).json() == ["web"]
        assert who(url, BARE).json() == [bare_name(BARE)]
        assert httpx.get(f"{url}/health/live").json() == [None]


def test_a_removed_token_is_refused_and_never_the_local_account() -> None:
    for url in door(accounts(f"web={NEW}")):
        for token in (OLD, f"web={NEW}", "web", "local", None):
            assert who(url, token).status_code == 401, token


def test_without_tokens_all_work_is_local() -> None:
    known = accounts("")
    assert known.open
    assert known.entry_names == set()
    assert known.renamed == {}
    for url in door(known):
        for token in (None, OLD):
            assert who(url, token).json() == ["local"]


def test_jobs_of_a_token_that_got_a_name_can_be_found_again() -> None:
    known = accounts(f"web={OLD},web={NEW},{BARE},studio-2={PADDED}")
    assert known.entry_names == {"web", bare_name(BARE), "studio-2"}
    assert known.renamed == {bare_name(OLD): "web", bare_name(NEW): "web", bare_name(PADDED): "studio-2"}


@pytest.mark.parametrize("token", [PADDED, "abcdefghijklmnopqr==", "a=================", BARE, "x" * 400])
def test_padding_of_a_bare_token_is_no_name(token: str) -> None:
    known = accounts(token)
    assert account_of(known, token) == bare_name(token)
    assert known.renamed == {}


@pytest.mark.parametrize("name", ["a", "web", "web-app_2", "a" * 32, "local"])
@pytest.mark.parametrize("token", [NEW, PADDED, "with=an=equals=sign", "=starts-with-equals"])
def test_the_first_equals_sign_ends_a_name(name: str, token: str) -> None:
    known = accounts(f"{name}={token}")
    assert account_of(known, token) == name
    assert account_of(known, f"{name}={token}") is None


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (f"Web={OLD}", "no name of an account"),
        (f"2web={OLD}", "no name of an account"),
        (f"web app={OLD}", "no name of an account"),
        (f"{'a' * 33}={OLD}", "no name of an account"),
        (f"={OLD}", "no name of an account"),
        ("web=too-short-to-be", "too short"),
        (f"web = {OLD}", "no name of an account"),
        (f"web= {OLD}", "a space"),
        ("web==", "too short"),
        (f"web={OLD}\u20ac", "printable ASCII"),
        (f"web={OLD},app={OLD}", "cannot belong to two accounts"),
        (f"web={OLD},{OLD}", "cannot belong to two accounts"),
    ],
)
def test_an_unusable_entry_stops_the_start_and_is_not_shown(written: str, why: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        load({"api_tokens": written})
    (line,) = refused.value.problems
    assert "must be tokens of at least 16 characters" in line
    assert "name=TOKEN" in line
    assert why in line
