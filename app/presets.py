"""Presets: reads and validates the TOML files of `presets/avatar` and `presets/hero`, a user's own merged over.

What a preset and a sender's choices come to is `app.work.presets`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from engines.errors import InvalidRequest, StudioError
from engines.requests import Guidance, Height, SamplerName, Steps, Width, remedy
from engines.words import did_you_mean, shown

Kind = Literal["avatar", "hero"]
KINDS: tuple[Kind, ...] = ("avatar", "hero")

NO_PRESET = "none"
"""In the place of a preset's id: the words as they are, and the model's own settings."""

SUBJECT = "{subject}"
"""What a template holds where the subject goes."""

ASPECTS: dict[str, tuple[int, int]] = {
    "21:9": (1536, 640),
    "16:9": (1344, 768),
    "3:2": (1216, 832),
    "4:3": (1152, 896),
    "1:1": (1024, 1024),
    "4:5": (896, 1152),
    "3:4": (896, 1152),
    "2:3": (832, 1216),
    "9:16": (768, 1344),
}
"""Width and height of each aspect by name: the nearest of the sizes that SDXL was trained on, all about 1024 x 1024
pixels in area and multiples of 64 (Podell et al., arXiv 2307.01952, appendix I). 4:5 and 3:4 share their nearest."""


class PresetError(StudioError):
    """Presets on disk cannot be used; the text has one `file: field: what is wrong; remedy` a line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Preset:
    """One look: the words around a subject, and the settings that suit them."""

    id: str
    kind: Kind
    name: str
    description: str
    prompt: str
    """A template with `{subject}` once."""
    negative_prompt: str
    width: int
    height: int
    aspect: str | None
    """A name of ASPECTS; None for avatars, which give their size in pixels."""
    num_inference_steps: int
    guidance_scale: float
    sampler: str
    order: int

    def fill(self, subject: str) -> str:
        """The template with `subject` in its place, whatever characters that holds."""
        return self.prompt.replace(SUBJECT, subject.strip())

    def subject_of(self, prompt: str) -> str | None:
        """What `fill` was given to make this prompt; None where the words around it are not the template's."""
        before, _, after = self.prompt.partition(SUBJECT)
        inside = len(prompt) >= len(before) + len(after) and prompt.startswith(before) and prompt.endswith(after)
        return prompt[len(before) : len(prompt) - len(after)] if inside else None


@dataclass(frozen=True, slots=True)
class Presets:
    """All presets in display order; the first of a kind is its default."""

    avatar: tuple[Preset, ...]
    hero: tuple[Preset, ...]

    def of(self, kind: Kind) -> tuple[Preset, ...]:
        return self.avatar if kind == "avatar" else self.hero

    def get(self, kind: Kind, preset_id: str) -> Preset:
        """Raises InvalidRequest that names what there is."""
        by_id = {preset.id: preset for preset in self.of(kind)}
        if preset_id in by_id:
            return by_id[preset_id]
        guess = did_you_mean(preset_id.strip().lower().replace(" ", "-"), by_id)
        raise InvalidRequest("preset", f"No {kind} preset {shown(preset_id)}.{guess} Available: {', '.join(by_id)}.")


def _template(text: str) -> str:
    others = sorted(set(re.findall(r"\{[^{}]*\}|[{}]", text)) - {SUBJECT})
    if others:
        raise ValueError(f"has {' and '.join(others)}; the only placeholder is {SUBJECT}")
    if (count := text.count(SUBJECT)) != 1:
        raise ValueError(f"has {SUBJECT} {count} times; put it exactly once, where the user's words go")
    return " ".join(text.split())


def _one_of(names: Iterable[str]) -> AfterValidator:
    known = tuple(names)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"{name!r} is unknown.{did_you_mean(name, known)} Use one of: {', '.join(known)}")
        return name

    return AfterValidator(check)


PromptTemplate = Annotated[str, Field(max_length=1000), AfterValidator(_template)]
NegativePrompt = Annotated[str, Field(max_length=1000), AfterValidator(lambda text: " ".join(text.split()))]


class _PresetFile(BaseModel):
    """What every preset's file holds. Descriptions finish the sentence `give ...` in an error, where the engines' own
    fields have no range that does."""

    model_config = ConfigDict(strict=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)

    name: Annotated[str, Field(min_length=1, max_length=40, description="a display name of 1 to 40 characters")]
    description: Annotated[str, Field(min_length=1, max_length=160, description="one line of 1 to 160 characters")]
    prompt: PromptTemplate = Field(description=f"up to 1000 characters with {SUBJECT} where the user's words go")
    negative_prompt: NegativePrompt = Field(description='up to 1000 characters of what to avoid ("" for nothing)')
    num_inference_steps: Steps
    guidance_scale: Guidance
    sampler: Annotated[str, _one_of(get_args(SamplerName))] = Field(
        description=f"one of {', '.join(get_args(SamplerName))}"
    )
    # A user's own preset that says nothing comes after the built-in ones.
    order: Annotated[int, Field(ge=0, le=1_000_000, description="a whole number from 0; small comes first")] = 1000


class _AvatarFile(_PresetFile):
    width: Width
    height: Height

    def size(self) -> dict[str, Any]:
        return {"width": self.width, "height": self.height, "aspect": None}


class _HeroFile(_PresetFile):
    aspect: Annotated[str, _one_of(ASPECTS)] = Field(description=f"one of {', '.join(ASPECTS)}, in quotes")

    def size(self) -> dict[str, Any]:
        width, height = ASPECTS[self.aspect]
        return {"width": width, "height": height, "aspect": self.aspect}


FILES: dict[Kind, type[_AvatarFile | _HeroFile]] = {"avatar": _AvatarFile, "hero": _HeroFile}


def load_presets(builtin_dir: Path, user_dir: Path | None = None) -> Presets:
    """Read `avatar/*.toml` and `hero/*.toml` of both folders; in the user's, an id replaces the built-in one.

    A user's folder need not exist. Raises PresetError with all problems of all files.
    """
    folders = [builtin_dir] if user_dir is None else [builtin_dir, user_dir]
    problems = [problem for folder in folders for problem in _strays(folder)]
    found = {kind: _load_kind(kind, folders, problems) for kind in KINDS}
    if problems:
        raise PresetError(problems)
    return Presets(avatar=found["avatar"], hero=found["hero"])


def _strays(folder: Path) -> Iterator[str]:
    """Files that nobody would read: their author should know."""
    for path in sorted([*folder.glob("*.toml"), *folder.glob("*/*.toml")]):
        # What is in models/ is read by app.work.showcase.
        if path.parent == folder or path.parent.name not in (*KINDS, "models"):
            yield f"{path}: folder: presets are read from avatar/ and hero/ only; move the file into one of them"


def _load_kind(kind: Kind, folders: list[Path], problems: list[str]) -> tuple[Preset, ...]:
    found: dict[str, tuple[Preset, Path]] = {}
    bad = len(problems)
    for path in (path for folder in folders for path in sorted((folder / kind).glob("*.toml"))):
        try:
            preset = _read(kind, path)
        except PresetError as error:
            problems += error.problems
            continue
        found[preset.id] = preset, path
    problems += _same_names(found.values())
    if not found and len(problems) == bad:
        problems.append(f"{folders[0] / kind}: folder: holds no preset; restore the project's presets folder")
    return tuple(sorted((preset for preset, _ in found.values()), key=lambda preset: (preset.order, preset.id)))


def _same_names(found: Iterable[tuple[Preset, Path]]) -> Iterator[str]:
    first: dict[str, Path] = {}
    for preset, path in found:
        if (other := first.setdefault(preset.name.casefold(), path)) != path:
            yield f"{path}: name: {preset.name!r} is also the name of {other}; give each preset its own"


def _read(kind: Kind, path: Path) -> Preset:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", path.stem):
        problem = f"{path.stem!r} cannot be an id; use small letters, digits and single hyphens, e.g. my-look.toml"
        raise PresetError([f"{path}: file name: {problem}"])
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PresetError([f"{path}: file: cannot be read ({error.strerror}); check its permissions"]) from error
    except UnicodeDecodeError as error:
        raise PresetError([f"{path}: file: is not UTF-8 text; save it as UTF-8"]) from error
    except tomllib.TOMLDecodeError as error:
        raise PresetError([f"{path}: TOML: {error}; correct the syntax there"]) from error
    model = FILES[kind]
    try:
        file = model.model_validate(data)
    except ValidationError as error:
        raise PresetError(f"{path}: {_problem(model, detail)}" for detail in error.errors()) from error
    return Preset(id=path.stem, kind=kind, **file.size(), **file.model_dump(exclude={"width", "height", "aspect"}))


def _problem(model: type[BaseModel], detail: ErrorDetails) -> str:
    """`field: what is wrong; remedy` of one of pydantic's errors."""
    field = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return (
            f"{field}: is no field of this kind of preset.{did_you_mean(field, model.model_fields)} Remove or rename it"
        )
    if detail["type"] == "value_error":
        return f"{field}: {detail['ctx']['error']}"
    schema = model.model_json_schema()["properties"][field]
    wanted = f"give {remedy(schema) if 'minimum' in schema else schema['description']}"
    if detail["type"] == "missing":
        return f"{field}: is missing; {wanted}"
    return f"{field}: {detail['msg'].lower()}, not {shown(detail['input'])}; {wanted}"
