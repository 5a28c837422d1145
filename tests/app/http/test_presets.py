"""The presets with their pictures over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from tests.app.conftest import Served, serve
from tests.serving import create_api


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("data"), create_api)


def test_presets_have_pictures_once_they_are_made(served: Served) -> None:
    before = served.http.get("/presets").json()
    assert before["avatar"]["first"] == before["avatar"]["presets"][0]["id"] == "studio-portrait"
    assert [example["picture"] for example in before["hero"]["examples"]] == [None] * 3
    # They are switched off in tests, so nobody need ask again.
    assert before["more_pictures"] is False
    pictures = served.studio.showcase_pictures
    while pictures.make_one(Event()):
        pass
    now = served.http.get("/presets").json()
    shown = [
        one["picture"] for kind in ("avatar", "hero") for what in ("presets", "examples") for one in now[kind][what]
    ]
    assert len(set(shown)) == len(pictures.files)
    answer = served.http.get(shown[0])
    with Image.open(BytesIO(answer.content)) as image:
        assert image.format == "WEBP"
    assert "immutable" in answer.headers["cache-control"]
    again = served.http.get(shown[0], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.webp", "..%2f..%2fstudio.db", "avatar-anime.webp"])
def test_there_is_nothing_else(served: Served, name: str) -> None:
    answer = served.http.get(f"/presets/pictures/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found"


def test_own_presets_and_what_the_model_is_good_at_are_told(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "presets" / "models" / "default.toml").read_text()
    for name, content in (
        (
            "models/blob.toml",
            text.replace("[hero]", '[hero]\nfirst = "aurora"\nwell = ["aurora"]\notherwise = "A disc."'),
        ),
    ):
        (tmp_path / "presets" / name).parent.mkdir(parents=True)
        (tmp_path / "presets" / name).write_text(content)
    for served in serve(tmp_path, create_api):
        hero = served.http.get("/presets").json()["hero"]
        assert hero["first"] == "aurora"
        assert [preset["id"] for preset in hero["presets"] if preset["suits"]] == ["aurora"]
        assert hero["presets"][1]["description"].endswith(" A disc.")
