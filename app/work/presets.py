"""The kinds `avatar` and `hero`: a preset, and what the sender chose, become one picture's request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, Field

from app.jobs.model import Received
from app.presets import ASPECTS, NO_PRESET, Kind, Preset, Presets
from app.work.image import SETTINGS, WITHOUT_PHOTO, PictureKind, PictureRequest, PictureWork, given_settings
from app.work.request import Address
from engines.errors import InvalidRequest
from engines.protocols import ImageEngine
from engines.requests import MAX_PROMPT_CHARS, PhotoStrength, Prompt, Text
from engines.results import Unused
from engines.words import did_you_mean

# A title, a summary and a template of 40 words stay within two of CLIP's chunks of 75 tokens, so that the look keeps
# its weight against the words.
MAX_TITLE_CHARS = 120
MAX_SUMMARY_CHARS = 240

PresetId = Annotated[
    str, Field(max_length=64, title="Preset", description="A preset's id from /presets, or none for your words alone")
]


def _known_aspect(aspect: str) -> str:
    if aspect and aspect not in ASPECTS:
        raise ValueError(
            f"is {aspect[:64]!r}.{did_you_mean(aspect, ASPECTS)} Send one of {', '.join(ASPECTS)}, or nothing"
        )
    return aspect


Aspect = Annotated[
    str,
    AfterValidator(_known_aspect),
    Field(title="Aspect", description=f"One of {', '.join(ASPECTS)}; empty for the preset's own"),
]


class PresetRequest(PictureRequest):
    """What the two kinds share."""

    preset: PresetId | None = None
    """None: the first of the kind."""


class AvatarRequest(PresetRequest):
    """A picture of somebody, from words and perhaps a photo."""

    prompt: Prompt
    photo: Address | None = None
    photo_sha256: str | None = None
    photo_strength: PhotoStrength = 0.6


class HeroRequest(PresetRequest):
    """A wide picture for a post, from a prompt, or from the post's title and summary where the prompt is empty."""

    prompt: Annotated[Text, Field(title="Prompt", description="What the picture shows")] = ""
    title: Annotated[
        Text, Field(title="Title of the post", description="The post's title, used where the prompt is empty")
    ] = ""
    summary: Annotated[Text, Field(title="Summary", description="The post's summary, used with the title")] = ""
    aspect: Aspect = ""


P = TypeVar("P", bound=PresetRequest)


class PresetKind(PictureKind[P]):
    """A kind whose pictures have a preset."""

    kind: ClassVar[Kind]

    def __init__(self, engine: ImageEngine, presets: Presets) -> None:
        super().__init__(engine)
        self._presets = presets

    def filled_in(self, request: P, subject: str) -> dict[str, Any]:
        """What was chosen comes first; then the model's own default where it has its `own_recipe`; then the preset's.

        A negative prompt is the exception: it is added to the preset's.
        """
        preset = self._preset(request.preset)
        values: dict[str, Any] = {"prompt": subject.strip()}
        if preset is not None:
            values = {"prompt": preset.fill(subject), "width": preset.width, "height": preset.height}
            if not self._engine.info.own_recipe:
                values |= {name: getattr(preset, name) for name in SETTINGS}
            values["preset"] = preset.id
        negatives = (preset.negative_prompt if preset else "", request.negative_prompt.strip(" \t\r\n,"))
        values["negative_prompt"] = ", ".join(filter(None, negatives))
        for name in ("prompt", "negative_prompt"):
            _check_length(name, values[name], preset)
        return values

    def preset_name(self, preset_id: str) -> str:
        return next((preset.name for preset in self._presets.of(self.kind) if preset.id == preset_id), "")

    def _preset(self, preset_id: str | None) -> Preset | None:
        if preset_id is None:
            return self._presets.of(self.kind)[0]
        return None if preset_id in ("", NO_PRESET) else self._presets.get(self.kind, preset_id)


class AvatarKind(PresetKind[AvatarRequest]):
    """Pictures of somebody."""

    name: ClassVar[str] = "avatar"
    input = "photo"
    kind = "avatar"
    request_type = AvatarRequest

    def said(self, request: AvatarRequest) -> tuple[str, ...]:
        return (request.prompt,)

    def prepare(self, request: AvatarRequest, inputs: Mapping[str, Received]) -> tuple[PictureWork, tuple[Unused, ...]]:
        work, unused = super().prepare(request, inputs)
        default = AvatarRequest.model_fields["photo_strength"].default
        if not inputs and request.photo is None and request.photo_strength != default:
            unused = (*unused, WITHOUT_PHOTO)
        return work, unused

    def fields(self, request: AvatarRequest) -> dict[str, Any]:
        strength = {"photo_strength": request.photo_strength}
        return self.filled_in(request, request.prompt) | given_settings(request) | strength


class HeroKind(PresetKind[HeroRequest]):
    """Wide pictures for a post."""

    name: ClassVar[str] = "hero"
    kind = "hero"
    request_type = HeroRequest

    def said(self, request: HeroRequest) -> tuple[str, ...]:
        return request.prompt, request.title, request.summary

    def fields(self, request: HeroRequest) -> dict[str, Any]:
        subject = request.prompt if request.prompt.strip() else hero_prompt(request.title, request.summary)
        values = self.filled_in(request, subject)
        if request.aspect:
            if request.width is not None or request.height is not None:
                raise InvalidRequest("aspect", "Give either an aspect or width and height, not both.")
            values["width"], values["height"] = ASPECTS[request.aspect]
        return values | given_settings(request)


def _check_length(name: str, text: str, preset: Preset | None) -> None:
    """Here and not in the field alone, because only here it is known that the preset's words count too."""
    if (excess := len(text) - MAX_PROMPT_CHARS) > 0:
        with_preset = f" with the words of preset {preset.id!r}" if preset else ""
        raise InvalidRequest(
            name,
            f"The {name.replace('_', ' ')}{with_preset} is {excess} characters too long (most: {MAX_PROMPT_CHARS}).",
        )


def hero_prompt(title: str, summary: str = "") -> str:
    """A subject made of a post's title and summary. Raises InvalidRequest if both say nothing.

    A title is words to be illustrated, not to be written into the picture: what would make a model write (quotation
    marks) or weigh words (compel's brackets and trailing + and -) is taken out.
    """
    parts = [_words(title, MAX_TITLE_CHARS), _words(summary, MAX_SUMMARY_CHARS)]
    if not any(parts):
        raise InvalidRequest("prompt", "Give a prompt, or the title or summary of a post, to make a picture of.")
    return "a scene about " + ", ".join(filter(None, parts))


def _words(text: str, limit: int) -> str:
    plain = re.sub(r"https?://\S+", " ", text)
    plain = re.sub(r"[\"“”„«»()\[\]{}<>\\#@*_|`\x00-\x1f]|(?<=\S)[+-]+(?=\s|$)", " ", plain)
    return _cut(" ".join(plain.split()), limit).strip(" .,;:!-–—+…")


def _cut(text: str, limit: int) -> str:
    """The first `limit` characters at most, ended between words where there is a gap."""
    if len(text) <= limit:
        return text
    return text[: limit + 1].rpartition(" ")[0] or text[:limit]
