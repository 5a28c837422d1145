"""What the page shows of a model: the shipped pictures are whole, bad files are refused, others are made in turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from app.presets import KINDS, PresetError, Presets, load_presets
from app.work.showcase import Showcase, load_showcase
from app.work.showcase_pictures import PRESET_SIZES, ShowcasePictures
from engines.errors import Cancelled, OutOfMemory
from engines.sdxl.engine import SdxlEngine
from tests.small_engines import BlobEngine

ROOT = Path(__file__).parents[3]
PRESETS = ROOT / "presets"
MODELS = sorted(path.stem for path in (PRESETS / "models").glob("*.toml"))


@pytest.fixture(scope="module")
def presets() -> Presets:
    return load_presets(PRESETS)


@pytest.fixture
def showcase(presets: Presets) -> Showcase:
    return load_showcase([PRESETS], "blob", presets)


def pictures_in(folder: Path, engine: BlobEngine, presets: Presets, showcase: Showcase) -> ShowcasePictures:
    return ShowcasePictures(engine, presets, showcase, shipped=None, own=folder)


def test_the_built_in_model_has_all_its_pictures(presets: Presets) -> None:
    """Else: python -m training.sketch.showcase."""
    engine = SdxlEngine(ROOT / "models" / "sketch", "cpu", offline=True)
    folder = PRESETS / "pictures" / "sketch"
    showcase = load_showcase([PRESETS], engine.info.name, presets)
    pictures = ShowcasePictures(engine, presets, showcase, shipped=folder, own=folder)
    assert [picture.file for picture in pictures.missing()] == []
    files = list(folder.iterdir())
    assert {file.name for file in files} == pictures.files
    assert sum(file.stat().st_size for file in files) < 200_000
    for kind in KINDS:
        name = pictures.of_preset(presets.of(kind)[0])
        assert name is not None
        with Image.open(folder / name) as image:
            assert (image.format, image.size) == ("WEBP", PRESET_SIZES[kind])


@pytest.mark.parametrize("model", MODELS)
def test_each_shipped_file_can_be_used(model: str, presets: Presets) -> None:
    showcase = load_showcase([PRESETS], model, presets)
    for kind in KINDS:
        shown = [preset.id for preset in showcase.in_order(kind, presets)]
        assert shown[0] == showcase.first(kind, presets).id
        assert sorted(shown) == sorted(preset.id for preset in presets.of(kind))


def test_the_demo_model_begins_with_what_it_draws_and_says_what_it_makes_of_the_rest(presets: Presets) -> None:
    showcase = load_showcase([PRESETS], "sketch", presets)
    first, portrait = showcase.first("avatar", presets), presets.get("avatar", "studio-portrait")
    assert first.name == "Flat illustration"
    assert showcase.note(first) == first.description
    assert showcase.note(portrait).startswith(portrait.description)
    assert "flat" in showcase.note(portrait)


def test_a_model_without_a_file_begins_with_the_first_preset_and_is_good_at_all(
    presets: Presets, showcase: Showcase
) -> None:
    assert showcase.in_order("avatar", presets) == presets.avatar
    assert all(showcase.suits(preset) for preset in (*presets.avatar, *presets.hero))


def test_a_persons_own_file_comes_first(presets: Presets, tmp_path: Path) -> None:
    text = (PRESETS / "models" / "default.toml").read_text().replace("a quiet moment", "my own moment")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "me--my-model.toml").write_text(text)
    assert load_showcase([tmp_path, PRESETS], "me/my-model", presets).hero.subject == "my own moment"
    # And is no preset that nobody reads.
    assert load_presets(PRESETS, tmp_path) == presets


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"oil-painting", seed', '"oil-panting", seed', "there is no avatar preset 'oil-panting'"),
        ("seed = 11", "seed = -1", "avatar.seed: input should be greater than or equal to 0"),
        ("[hero]", "[hreo]", "hero: field required"),
        ("[hero]", "[hero", "TOML: "),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_field(
    presets: Presets, tmp_path: Path, old: str, new: str, told: str
) -> None:
    text = (PRESETS / "models" / "default.toml").read_text()
    assert old in text
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "blob.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(PresetError) as caught:
        load_showcase([tmp_path, PRESETS], "blob", presets)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_pictures_are_made_one_at_a_time_examples_first(presets: Presets, showcase: Showcase, tmp_path: Path) -> None:
    pictures = pictures_in(tmp_path / "made", BlobEngine(), presets, showcase)
    assert pictures.of_example("avatar", 0) is None
    assert pictures.make_one(Event()) is True
    name = pictures.of_example("avatar", 0)
    assert name is not None
    path = pictures.path(name)
    assert path is not None
    with Image.open(path) as image:
        assert image.format == "WEBP"
    while pictures.make_one(Event()):
        pass
    assert pictures.missing() == []
    assert {path.name for path in (tmp_path / "made").iterdir()} == pictures.files
    assert pictures.make_one(Event()) is False
    # They are found again after a restart.
    assert pictures_in(tmp_path / "made", BlobEngine(), presets, showcase).missing() == []


def test_a_picture_that_is_not_one_of_them_is_not_given_out(
    presets: Presets, showcase: Showcase, tmp_path: Path
) -> None:
    (tmp_path / "secret.webp").write_bytes(b"x")
    pictures = pictures_in(tmp_path, BlobEngine(), presets, showcase)
    assert pictures.path("secret.webp") is None
    assert pictures.path("../secret.webp") is None


def test_a_changed_preset_and_another_model_have_other_pictures(
    presets: Presets, showcase: Showcase, tmp_path: Path
) -> None:
    before = pictures_in(tmp_path, BlobEngine(), presets, showcase).files
    text = (PRESETS / "avatar" / "anime.toml").read_text().replace("{subject}", "{subject}, in the rain")
    (tmp_path / "avatar").mkdir()
    (tmp_path / "avatar" / "anime.toml").write_text(text)
    changed = load_presets(PRESETS, tmp_path)
    assert len(before - pictures_in(tmp_path, BlobEngine(), changed, showcase).files) == 1
    assert not before & pictures_in(tmp_path, BlobEngine(steps=9), presets, showcase).files


@dataclass(slots=True)
class Failing(BlobEngine):
    """Runs out of memory, or is stopped."""

    error: Exception = field(default_factory=Cancelled)

    def generate(self, *_: object) -> None:  # type: ignore[override]
        raise self.error


def test_a_stopped_picture_is_made_later_and_one_that_fails_is_given_up(
    presets: Presets, showcase: Showcase, tmp_path: Path
) -> None:
    assert pictures_in(tmp_path, Failing(), presets, showcase).make_one(Event()) is True
    assert pictures_in(tmp_path, Failing(error=OutOfMemory("No room.")), presets, showcase).make_one(Event()) is False
    assert list(tmp_path.iterdir()) == []
