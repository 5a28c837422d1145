"""How a person logs in with a browser, what the cookie is good for, and what ends it."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright
from starlette.datastructures import Headers
from starlette.responses import Response

from app.accounts import Accounts
from app.http.middleware.throttle import BURST
from app.http.sessions import COOKIE, LASTS_SECONDS, Sessions
from app.scopes import ALL
from app.signing import FILE, Signer, read_key
from app.tokens import Tokens
from tests.app.conftest import Served, serve
from tests.browser import chromium, new_profile
from tests.serving import until

FIXED = "a-token-of-enough-characters"
PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), api_tokens=[f"web={FIXED}"])


def log_in(served: Served, token: str = FIXED, **headers: str) -> httpx.Response:
    form = {"token": token, "next": "/docs?x=1"}
    return httpx.post(f"{served.url}/login", data=form, headers={"Origin": served.url, **headers})


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """The one cookie of an answer, as the header to send it back with."""
    morsel = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    return {"Cookie": f"{COOKIE}={morsel.value}"}


@pytest.mark.parametrize("path", ["/", "/docs", "/?view=api", "/jobs/x"])
def test_a_person_is_shown_a_page_to_log_in(locked: Served, path: str) -> None:
    answer = httpx.get(f"{locked.url}{path}", headers=PERSON)
    assert answer.status_code == 401
    assert f'name="next" value="{path}"' in answer.text
    # With Basic a browser would put its own question in front of the page.
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert re.findall(r"(?:src|href)=\"(?!data:)", answer.text) == []


def test_a_program_is_told_in_json(locked: Served) -> None:
    for headers in ({}, {"Accept": "application/json"}):
        answer = httpx.get(f"{locked.url}/docs", headers=headers)
        assert answer.json()["error"]["type"] == "unauthorized"
    # A page whose log-in has ended fetches: the browser must not ask in its midst.
    script = httpx.get(f"{locked.url}/config", headers={"Sec-Fetch-Mode": "cors"})
    assert script.headers["www-authenticate"] == "Bearer"
    assert httpx.post(f"{locked.url}/docs", headers=PERSON).json()["error"]["type"] == "unauthorized"


def test_what_the_page_writes_into_itself_is_escaped(locked: Served) -> None:
    answer = httpx.get(f'{locked.url}/docs?"><script>alert(1)</script>', headers=PERSON)
    assert "<script" not in answer.text


def test_the_cookie_is_closed_to_scripts_other_sites_and_plain_http(locked: Served) -> None:
    answer = log_in(locked)
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs?x=1")
    written = answer.headers["set-cookie"]
    assert FIXED not in written
    for part in ("HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={LASTS_SECONDS}"):
        assert part in written
    assert "Secure" not in written
    # Before a proxy that speaks TLS.
    host = locked.url.removeprefix("http://")
    assert "Secure" in log_in(locked, Origin=f"https://{host}").headers["set-cookie"]
    assert httpx.get(f"{locked.url}/docs", headers=cookie_of(answer)).status_code == 200


@pytest.mark.parametrize("after", ["//evil.example", "https://evil.example", "/\\evil.example", "", "x", "/a\r\nX: y"])
def test_log_in_leads_nowhere_else(locked: Served, after: str) -> None:
    answer = httpx.post(f"{locked.url}/login", data={"token": FIXED, "next": after})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_json_logs_in_too_and_what_cannot_be_read_is_said(locked: Served) -> None:
    assert httpx.post(f"{locked.url}/login", json={"token": FIXED}).status_code == 303
    half = {"content": b'{"token": "\\ud800"}', "headers": {"Content-Type": "application/json"}}
    assert httpx.post(f"{locked.url}/login", **half).status_code == 401  # type: ignore[arg-type]
    assert httpx.post(f"{locked.url}/login", json=[FIXED]).status_code == 422
    assert httpx.post(f"{locked.url}/login", content=b"x" * 100_000).status_code == 413
    assert httpx.put(f"{locked.url}/login").status_code == 405


def test_a_wrong_token_is_told_on_the_page_and_throttled(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=[FIXED]):
        with httpx.Client() as http:
            answers = [http.post(f"{served.url}/login", data={"token": "wrong"}) for _ in range(BURST + 20)]
            assert answers[0].status_code == 401
            assert "not known here" in answers[0].text
            assert "set-cookie" not in answers[0].headers
            refused = next(answer for answer in answers if answer.status_code == 429)
            assert int(refused.headers["retry-after"]) >= 1
            assert "Too many wrong tokens" in refused.text
            # The same count as that of the header; the right one is let in all the same.
            bearer = [http.get(f"{served.url}/health", headers={"Authorization": "Bearer wrong"}) for _ in range(20)]
            assert 429 in {answer.status_code for answer in bearer}
        assert log_in(served).status_code == 303


def test_a_cookie_works_from_the_studios_own_page_only(locked: Served) -> None:
    cookie = cookie_of(log_in(locked))
    host = locked.url.removeprefix("http://")

    def post(**headers: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"prompt": "x", "width": 256, "height": 256}
        return httpx.post(f"{locked.url}/generate", json=body, headers={**cookie, **sent}).status_code

    assert post(Origin=locked.url) == 200
    assert post(Origin=f"https://{host}") == 200
    assert post(Sec_Fetch_Site="same-origin") == 200
    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "none"},
    ):
        assert post(**headers) == 403, headers
    # A header that a page cannot make a browser send needs no word of the browser.
    assert post(Authorization=f"Bearer {FIXED}") == 200


def test_a_page_that_may_call_with_a_token_may_not_use_the_cookie(tmp_path: Path) -> None:
    other = "https://app.example.com"
    for served in serve(tmp_path, api_tokens=[FIXED], allowed_origins=[other]):
        cookie = cookie_of(log_in(served))
        sent = {"Origin": other, **cookie}
        assert httpx.post(f"{served.url}/generate", json={"prompt": "x"}, headers=sent).status_code == 403


@pytest.mark.parametrize("change", ["token", "expires", "signature", "cut", "empty"])
def test_a_forged_cookie_is_none(locked: Served, change: str) -> None:
    name, value = cookie_of(log_in(locked))["Cookie"].split("=", 1)
    token_id, expires, signature = value.split(".")
    forged = {
        "token": f"{token_id[:-1]}{'0' if token_id[-1] != '0' else '1'}.{expires}.{signature}",
        "expires": f"{token_id}.{int(expires) + 1}.{signature}",
        "signature": f"{token_id}.{expires}.{'A' * 43}",
        "cut": f"{token_id}.{expires}",
        "empty": "",
    }[change]
    answer = httpx.get(f"{locked.url}/health", headers={"Cookie": f"{name}={forged}"})
    assert answer.status_code == 401


def test_a_cookie_ends_with_its_time_its_token_and_the_key(tmp_path: Path) -> None:
    now = [1_000_000.0]
    tokens = Tokens(tmp_path, lambda: now[0])
    tokens.create("web", ALL)
    accounts = Accounts(tokens=tokens, now=lambda: now[0])
    sessions = Sessions(accounts, Signer(b"k" * 32), now=lambda: now[0])
    [token] = tokens.all()
    answer = Response()
    caller = accounts.by_id(token.id)
    assert caller is not None
    sessions.begin(answer, caller, secure=False)
    sent = Headers({"cookie": answer.headers["set-cookie"].split(";")[0]})
    now[0] += LASTS_SECONDS - 1
    assert sessions.find(sent) == caller
    assert Sessions(accounts, Signer(b"x" * 32), now=lambda: now[0]).find(sent) is None
    now[0] += 1
    assert sessions.find(sent) is None
    now[0] -= 10
    tokens.revoke("web")
    accounts.refresh()
    assert sessions.find(sent) is None


def test_the_key_is_kept_over_a_restart_and_for_its_owner_only(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=[FIXED]):
        cookie = cookie_of(log_in(served))
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    for served in serve(tmp_path, api_tokens=[FIXED]):
        assert httpx.get(f"{served.url}/health", headers=cookie).status_code == 200
    key = read_key(tmp_path)
    (tmp_path / FILE).write_bytes(key[:5])
    assert len(read_key(tmp_path)) == len(key)
    assert read_key(tmp_path) != key


def test_without_tokens_there_is_nothing_to_log_in_to(served: Served) -> None:
    assert httpx.get(f"{served.url}/login").headers["location"] == "/"
    answer = httpx.post(f"{served.url}/login", data={"token": "x"})
    assert answer.status_code == 303
    assert "set-cookie" not in answer.headers


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Served, Tokens, str]]:
    """A studio with a token of the account web."""
    tokens = Tokens(tmp_path)
    _, text = tokens.create("web", ALL)
    for served in serve(tmp_path):
        yield served, tokens, text


def test_a_person_logs_in_works_and_logs_out(made: tuple[Served, Tokens, str]) -> None:
    served, tokens, text = made
    with sync_playwright() as playwright, chromium(playwright) as browser:
        page = new_profile(browser).new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{served.url}/?view=api")
        page.get_by_label("Token").fill("not the token")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("not known here")
        page.get_by_label("Token").fill(text)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{served.url}/?view=api")
        page.goto(served.url)
        page.get_by_label("Prompt").first.fill("a red knight")
        page.locator("#avatar-go").click()
        until(lambda: served.recent("avatar", "web"))
        expect(page.locator("#account")).to_contain_text("web")
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{served.url}/login")
        page.goto(served.url)
        expect(page.get_by_label("Token")).to_be_visible()
        page.get_by_label("Token").fill(text)
        page.get_by_role("button", name="Log in").click()
        page.locator("#avatar-go").wait_for()
        # Whoever revokes the token ends the log-in.
        tokens.revoke("web")
        until(lambda: served.http.get("/health", headers={"Authorization": f"Bearer {text}"}).status_code == 401)
        page.goto(served.url)
        expect(page.get_by_label("Token")).to_be_visible()
        assert errors == []
