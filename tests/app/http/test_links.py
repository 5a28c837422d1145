"""Links to files: what opens without a token, for how long, and at which address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import httpx
import pytest
from openai import OpenAI
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from app.http.links import LASTS_SECONDS, FileLinks, LinkRefused
from app.http.middleware.throttle import BURST
from app.signing import Signer
from tests.app.conftest import Served, serve
from tests.app.ui.caller import Caller
from tests.browser import chromium, new_profile
from tests.serving import serving

TOKEN = "a-token-of-enough-characters"
OTHER = "another-token-long-enough-too"
PUBLIC = "https://studio.example.com"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), api_tokens=[f"web={TOKEN}", f"app={OTHER}"])


def picture_url(served: Served, picture_format: str = "png", **headers: str) -> str:
    body = {"prompt": "x", "size": "256x256", "response_format": "url", "output_format": picture_format}
    sent = {"Authorization": f"Bearer {TOKEN}", **headers}
    answer = served.http.post("/v1/images/generations", json=body, headers=sent)
    return str(answer.json()["data"][0]["url"])


def test_the_link_that_openais_client_gets_opens_without_a_token(locked: Served) -> None:
    with OpenAI(base_url=f"{locked.url}/v1", api_key=TOKEN) as client:
        [made] = client.images.generate(prompt="x", size="256x256", response_format="url").data or []
    assert made.url is not None
    assert made.url.startswith(f"{locked.url}/files/")
    answer = httpx.get(made.url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert httpx.head(made.url).status_code == 200
    # A picture's size is whoever shows it to choose.
    assert httpx.get(f"{made.url}&w=64").status_code == 200
    # Logged in as somebody else, it opens as well.
    assert httpx.get(made.url, headers={"Authorization": f"Bearer {OTHER}"}).status_code == 200


def test_the_link_opens_one_file_and_only_to_read(locked: Served) -> None:
    url, another = picture_url(locked), picture_url(locked)
    parts = urlsplit(url)
    swapped = urlunsplit(parts._replace(path=urlsplit(another).path))
    assert httpx.get(swapped).status_code == 403
    assert httpx.get(urlunsplit(parts._replace(query=""))).status_code == 401
    job = parts.path.removeprefix("/files/").rpartition("-")[0]
    for path in (f"/jobs/{job}", "/health", "/files/", f"{parts.path}/x", "/"):
        assert httpx.get(f"{locked.url}{path}?{parts.query}").status_code == 401, path
    assert httpx.delete(url).status_code == 401
    # Without its signature the file stays its account's.
    plain = f"{locked.url}{parts.path}"
    assert httpx.get(plain, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert httpx.get(plain, headers={"Authorization": f"Bearer {OTHER}"}).status_code == 404


@pytest.mark.parametrize("change", ["expires", "signature", "cut", "no expires"])
def test_a_changed_link_is_refused(locked: Served, change: str) -> None:
    url = picture_url(locked)
    told = parse_qs(urlsplit(url).query)
    expires, signature = told["expires"][0], told["signature"][0]
    changed = {
        "expires": url.replace(expires, str(int(expires) + 1)),
        "signature": url.replace(signature, "é" + signature[1:]),
        "cut": url[:-1],
        "no expires": url.replace(f"expires={expires}&", ""),
    }[change]
    answer = httpx.get(changed)
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "link_refused"
    assert "changed or cut off" in answer.json()["error"]["message"]


def test_a_link_is_good_for_an_hour() -> None:
    now = [1_000_000.0]
    links = FileLinks(Signer(b"k" * 32), lambda: now[0])
    url = urlsplit(links.link("http://x/", "abc-0", "webp"))
    now[0] += LASTS_SECONDS - 1
    assert links.opens(url.path, url.query.encode())
    now[0] += 1
    with pytest.raises(LinkRefused, match="has expired"):
        links.opens(url.path, url.query.encode())
    with pytest.raises(LinkRefused, match="changed"):
        FileLinks(Signer(b"x" * 32), lambda: now[0]).opens(url.path, url.query.encode())


def test_an_img_of_another_site_can_load_it(locked: Served) -> None:
    url = picture_url(locked, "webp")
    pages = {"/health/live": "", "/": f'<img src="{url}">'}
    other = Starlette(routes=[Route(path, HTMLResponse(text)) for path, text in pages.items()])
    with serving(other) as site, sync_playwright() as playwright, chromium(playwright) as browser:
        page = new_profile(browser).new_page()
        # Another site than 127.0.0.1 to the browser.
        page.goto(site.replace("127.0.0.1", "localhost"))
        page.wait_for_function("document.images[0].complete")
        assert page.evaluate("document.images[0].naturalWidth") > 0


# The address ----------------------------------------------------------------------------------------------------------


def addresses(served: Served, **headers: str) -> set[str]:
    """What the links in answers of the studio start with, Gradio's endpoints included."""
    sent = {"Authorization": f"Bearer {TOKEN}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = {"kind": "image", "request": {"prompt": "x", "width": 256, "height": 256}}
    answer = served.http.post("/jobs", json=body, headers=sent)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    read = served.http.get(f"/jobs/{job['job_id']}", headers=sent).json()
    found = [answer.headers["location"], job["events_url"], read["status_url"], picture_url(served, **sent)]
    return {"{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in found}


def test_nobody_but_a_listed_proxy_says_what_the_address_is(locked: Served) -> None:
    told = {
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Proto": "https",
        "X_Forwarded_For": "9.9.9.9",
        "Forwarded": "host=evil.example;proto=https",
    }
    assert addresses(locked, **told) == {locked.url}
    config = Caller(locked, TOKEN)
    headers = {**config.headers, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert "evil.example" not in locked.http.get("/config", headers=headers).text
    assert "evil.example" not in locked.http.get("/", headers=headers).text


@pytest.mark.parametrize("proxies", ["127.0.0.1", "10.0.0.0/8,127.0.0.0/8"])
def test_a_listed_proxy_is_believed(tmp_path: Path, proxies: str) -> None:
    hosts = ["studio.example.com"]
    values: dict[str, Any] = {"api_tokens": [f"web={TOKEN}"], "trusted_proxies": proxies, "allowed_hosts": hosts}
    for served in serve(tmp_path, **values):
        told = {"X_Forwarded_Host": "studio.example.com", "X_Forwarded_Proto": "https"}
        assert addresses(served, **told) == {PUBLIC}
        # What the client wrote itself stands before what the proxy has added.
        first = {"X_Forwarded_Host": "evil.example, studio.example.com", "X_Forwarded_Proto": "http, https"}
        assert addresses(served, **first) == {PUBLIC}
        assert addresses(served) == {served.url}
        sent = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-Host": "evil.example"}
        assert served.http.get("/health", headers=sent).status_code == 400
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-Host": "studio.example.com"}
        page = served.http.get("/config", headers={**headers, "X-Forwarded-Proto": "https"}).json()
        assert page["root"] == PUBLIC


def test_behind_a_listed_proxy_each_caller_is_throttled_alone(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=[TOKEN], trusted_proxies="127.0.0.1"):

        def wrong(forwarded: str, http: httpx.Client = served.http) -> int:
            headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": forwarded}
            return http.get("/health", headers=headers).status_code

        assert 429 in {wrong("203.0.113.7") for _ in range(BURST + 20)}
        # Whatever it writes in front of what the proxy has added.
        assert 429 in {wrong("198.51.100.1, 203.0.113.7") for _ in range(5)}
        assert wrong("198.51.100.1") == 401


def test_the_public_address_is_that_of_every_link(tmp_path: Path) -> None:
    for served in serve(tmp_path, api_tokens=[f"web={TOKEN}"], public_url=PUBLIC):
        assert addresses(served) == {PUBLIC}
        assert addresses(served, Host="studio.example.com", Origin=PUBLIC) == {PUBLIC}
        # The proxy asks under a name of its own, and the browser's Origin is the public one.
        assert addresses(served, Origin=PUBLIC) == {PUBLIC}
        details = Caller(served, TOKEN).call("avatar", "a red knight")[1][1]
        assert details["status_url"].startswith(f"{PUBLIC}/jobs/")
        headers = {"Authorization": f"Bearer {TOKEN}", "Host": "studio.example.com"}
        assert served.http.get("/config", headers=headers).json()["root"] == PUBLIC
        form = {"token": TOKEN}
        answer = served.http.post("/login", data=form, headers={"Host": "studio.example.com", "Origin": PUBLIC})
        assert "Secure" in answer.headers["set-cookie"]
        cookie = {"Cookie": answer.headers["set-cookie"].split(";")[0], "Origin": PUBLIC}
        assert served.http.post("/jobs/x", headers=cookie).status_code != 403
