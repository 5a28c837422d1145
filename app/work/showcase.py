"""What the page shows of a model before anything was made: the look to begin with, those that it draws well, examples
to start from, and ideas. Reads and checks `presets/models`; its pictures are `app.work.showcase_pictures`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.presets import KINDS, Kind, Preset, PresetError, Presets
from engines.requests import MAX_SEED

FOLDER = "models"
"""In a presets folder."""

DEFAULT = "default"
"""For every model that has no file of its own."""

EXAMPLES = 3

Words = Annotated[str, Field(min_length=1, max_length=300)]
SeedInFile = Annotated[int, Field(ge=0, le=MAX_SEED)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, str_strip_whitespace=True)


class Idea(_Part):
    """A prompt that gives a good picture, and the look that suits it."""

    prompt: Words
    preset: str


class Example(Idea):
    """An idea with its picture: the seed decides it."""

    seed: SeedInFile


class KindShowcase(_Part):
    """What is shown of one kind of picture."""

    first: str | None = None
    """The preset to begin with; None: the first of all."""
    well: list[str] = Field(default=[])
    """Presets that the model draws as they say; empty: all."""
    otherwise: str = Field(default="", max_length=160)
    """What is said of every other one."""
    subject: Words
    """What the pictures of the presets show, with `seed`."""
    seed: SeedInFile
    examples: list[Example] = Field(min_length=EXAMPLES, max_length=EXAMPLES)
    ideas: list[Idea] = Field(min_length=1)

    def named(self) -> Iterator[str]:
        """Ids of all presets that it speaks of."""
        yield from (self.first,) if self.first else ()
        yield from self.well
        yield from (idea.preset for idea in (*self.examples, *self.ideas))


class Showcase(_Part):
    """What is shown of one model."""

    avatar: KindShowcase
    hero: KindShowcase

    def of(self, kind: Kind) -> KindShowcase:
        return self.avatar if kind == "avatar" else self.hero

    def first(self, kind: Kind, presets: Presets) -> Preset:
        """The preset that the page begins with."""
        chosen = self.of(kind).first
        return presets.get(kind, chosen) if chosen else presets.of(kind)[0]

    def in_order(self, kind: Kind, presets: Presets) -> tuple[Preset, ...]:
        """All presets: the first one, then those that the model draws well, then the others."""
        first = self.first(kind, presets)
        return tuple(
            sorted(presets.of(kind), key=lambda preset: (preset is not first, not self.suits(preset), preset.order))
        )

    def suits(self, preset: Preset) -> bool:
        """Whether the model draws this preset as it says. A person's own are not judged."""
        known = self.of(preset.kind).well
        return not known or preset.id in known

    def note(self, preset: Preset) -> str:
        """What the preset does, and what this model makes of it where that is something else."""
        return " ".join(self.notes(preset))

    def notes(self, preset: Preset) -> tuple[str, ...]:
        """The same, sentence by sentence."""
        limits = "" if self.suits(preset) else self.of(preset.kind).otherwise
        return tuple(filter(None, (preset.description, limits)))


def load_showcase(folders: Sequence[Path], model: str, presets: Presets) -> Showcase:
    """The first file that there is: the model's own in any of the presets folders, else the default one.

    Raises PresetError naming file, field and remedy.
    """
    names = (f"{model.replace('/', '--')}.toml", f"{DEFAULT}.toml")
    paths = [folder / FOLDER / name for name in names for folder in folders]
    path = next((path for path in paths if path.is_file()), paths[-1])
    try:
        found = Showcase.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PresetError([f"{path}: file: cannot be read ({error.strerror}); restore it"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PresetError([f"{path}: TOML: {error}; correct the syntax there"]) from error
    except ValidationError as error:
        raise PresetError(
            f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg'].lower()}; see presets/README.md"
            for one in error.errors()
        ) from error
    unknown = [
        f"{path}: {kind}: there is no {kind} preset {name!r}; name one of {', '.join(p.id for p in presets.of(kind))}"
        for kind in KINDS
        for name in dict.fromkeys(found.of(kind).named())
        if name not in {preset.id for preset in presets.of(kind)}
    ]
    if unknown:
        raise PresetError(unknown)
    return found
