"""What goes into an engine, each field once: its name, type, range, default and text.

Pages, routes, endpoints, presets and OpenAPI take the fields from here. A value that a field cannot take is refused by
`parse`, with a sentence that is made of the field's own description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from engines.errors import InvalidRequest
from engines.languages import bcp47
from engines.words import did_you_mean, shown

MAX_SEED = 2**32 - 1
"""Seeds are 0 to 4,294,967,295, the range of the field's other tools."""

MAX_PROMPT_CHARS = 4000
"""Longest prompt or negative prompt, in characters (about 1,000 CLIP tokens, 13 encoder chunks)."""

SIDE_MULTIPLE = 8
"""One latent of SDXL stands for 8 x 8 pixels."""

MAX_COUNT = 8
MIN_SIDE = 64
MAX_SIDE = 2048


def _plain(text: str) -> str:
    """Raises ValueError for what no tokenizer takes."""
    if "\0" in text:
        raise ValueError(f"has a null character at position {text.index(chr(0))}: remove it")
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: say in a few words what the picture should show")
    return text


Text = Annotated[str, Field(max_length=MAX_PROMPT_CHARS), AfterValidator(_plain)]
Prompt = Annotated[Text, AfterValidator(_said), Field(title="Prompt", description="What the picture shows")]
NegativePrompt = Annotated[Text, Field(title="Negative prompt", description="What it should not show")]
WHOLE = BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
"""JSON has numbers and no whole ones: 7.0 is 7, as JavaScript and Gradio send it."""

Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE, multiple_of=SIDE_MULTIPLE, description="Pixels"), WHOLE]
Width = Annotated[Side, Field(title="Width")]
Height = Annotated[Side, Field(title="Height")]
Steps = Annotated[int, Field(ge=1, le=150, title="Steps", description="Denoising steps"), WHOLE]
Guidance = Annotated[
    float, Field(ge=1, le=30, title="Guidance", description="Classifier-free guidance; 1 switches it off")
]
SamplerName = Literal[
    "dpmpp_2m_karras",
    "dpmpp_2m",
    "dpmpp_2m_sde_karras",
    "dpmpp_2m_sde",
    "dpmpp_sde_karras",
    "dpmpp_sde",
    "euler",
    "euler_a",
    "heun",
    "ddim",
    "unipc",
]
"""As k-diffusion and its heirs call them. LMS and the Brownian-tree SDE are absent: diffusers' schedulers for them need
scipy and torchsde."""

Sampler = Annotated[SamplerName, Field(title="Sampler", description="How noise is taken away")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED), WHOLE]
SeedOrRandom = Annotated[
    int, Field(ge=-1, le=MAX_SEED, title="Seed", description="0 to 4294967295, or -1 for a random one"), WHOLE
]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT, title="Count", description="How many pictures, 1 to 8"), WHOLE]
PhotoStrength = Annotated[
    float, Field(gt=0, le=1, title="Photo strength", description="How far to go from the photo, over 0 to 1")
]
Language = Annotated[
    str,
    AfterValidator(bcp47),
    Field(max_length=64, title="Language", description="As BCP 47, e.g. en; empty for the model's own"),
]

SampleRate = Annotated[int, Field(ge=8000, le=192_000, title="Sample rate", description="Of sound, in hertz"), WHOLE]


class Request(BaseModel):
    """Base of everything that somebody asks for. Frozen, and strict: text is no number and 1 is no truth."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, validate_by_name=True)


class ImageRequest(Request):
    """`count` pictures of one prompt, with every word in place and the seed drawn.

    None in a setting means: the loaded model's own default. Picture i has seed `seed + i` (modulo 2**32), so that each
    can be made again alone.
    """

    prompt: Prompt
    negative_prompt: NegativePrompt = ""
    width: Width = 1024
    height: Height = 1024
    num_inference_steps: Steps | None = None
    guidance_scale: Guidance | None = None
    sampler: Sampler | None = None
    seed: Seed
    count: Count = 1
    photo_sha256: str | None = None
    """There is a photo to start from, and it has this hash."""
    photo_strength: PhotoStrength = 0.6

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple((self.seed + number) % (MAX_SEED + 1) for number in range(self.count))


MAX_CORRECTIONS = 500
MAX_CORRECTION_CHARS = 100


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: write at least one word")
    return " ".join(text.split())


Phrase = Annotated[str, Field(max_length=MAX_CORRECTION_CHARS), AfterValidator(_plain), AfterValidator(_words)]


class Correction(Request):
    """Words that a model hears, and how they are to be written."""

    heard: Annotated[Phrase, Field(description="One or more whole words, as transcripts have them")]
    written: Annotated[Phrase, Field(description="What stands in their place: a name, a hashtag")]
    match_case: Annotated[bool, Field(description="Only where upper and lower case are the same")] = False


Corrections = Annotated[
    tuple[Correction, ...],
    Field(max_length=MAX_CORRECTIONS, strict=False, description="What to spell otherwise"),
]


MAX_VOCABULARY = 500

Vocabulary = Annotated[
    tuple[Phrase, ...],
    Field(
        max_length=MAX_VOCABULARY,
        strict=False,
        title="Vocabulary",
        description="Listen for these words and phrases only; what is none of them is left out",
    ),
]
Speakers = Annotated[
    bool, Field(title="Speakers", description="Tell who speaks: each segment gets its speaker's letter")
]


class TranscribeRequest(Request):
    """Transcribe one audio or video file: any container and codec that ffmpeg's libraries read."""

    filename: str = ""
    """The name that the user gave it, for messages; never used to open anything."""
    language: Language | None = None
    """None means the engine's own. A language that the engine's model lacks is an InvalidRequest."""
    corrections: Corrections = ()
    """For whoever asked the engine: it hears as ever."""
    vocabulary: Vocabulary = ()
    speakers: Speakers = False


class ListenRequest(Request):
    """Transcribe one speaker's sound while it comes: 16 bit PCM, little-endian, one channel."""

    sample_rate: SampleRate
    language: Language | None = None
    """As of TranscribeRequest."""
    vocabulary: Vocabulary = ()


R = TypeVar("R", bound=BaseModel)


def parse(model: type[R], values: Mapping[str, Any], *, titled: bool = False) -> R:
    """The values as a `model`. Raises InvalidRequest with a sentence about the first that cannot be used.

    `titled`: the sentence calls the field by its title, as a form does.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        schema = model.model_json_schema()
        called = title_of(schema, first["loc"]) if titled else ""
        raise refusal(first, schema, first["loc"], called=called) from None


def title_of(schema: Mapping[str, Any], loc: Sequence[str | int]) -> str:
    """What people call the field at `loc` of a JSON schema; empty where it does not say."""
    part = _part(schema, loc)
    return str(next((option["title"] for option in (*part.get("anyOf", ()), part) if "title" in option), ""))


def refusal(
    error: ErrorDetails, schema: Mapping[str, Any], loc: Sequence[str | int], field: str = "", *, called: str = ""
) -> InvalidRequest:
    """A validation error in the words of the field's own description.

    `schema` is the JSON schema of the whole, `loc` where in it the error is; `field` is what the caller calls that
    place, if it is not the same, and `called` what the sentence calls it.
    """
    field = field or ".".join(str(part)[:60] for part in loc) or "body"
    name = called or field
    value = error.get("input")
    wanted = remedy(_part(schema, loc))
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = str(context["discriminator"]).strip("'")
        given = value.get(tag) if isinstance(value, Mapping) else None
        variants = _part(schema, loc).get("discriminator", {}).get("mapping", {})
        return InvalidRequest(tag, f"{tag} is {shown(given)}: send one of {', '.join(variants)}.")
    if kind == "missing":
        return InvalidRequest(field, f"{name} is missing{f': send {wanted}' if wanted else ''}.")
    if kind == "string_unicode":
        at = next(i for i, char in enumerate(str(value)) if "\ud800" <= char <= "\udfff")
        return InvalidRequest(field, f"{name} has half of a character (a lone surrogate) at position {at}: remove it.")
    if kind == "value_error":
        return InvalidRequest(field, f"{name} {context['error']}.")
    if kind == "extra_forbidden":
        known = _part(schema, loc[:-1]).get("properties", ())
        meant = did_you_mean(str(loc[-1]), known)
        return InvalidRequest(field, f"{name} is no field of this request.{meant} Leave it out.")
    if kind in ("string_too_long", "too_long") and isinstance(value, str):
        most = context["max_length"]
        return InvalidRequest(field, f"{name} has {len(value)} characters: shorten it to {most} or fewer.")
    if kind == "too_long" and isinstance(value, list | tuple):
        return InvalidRequest(field, f"{name} has {len(value)} entries: send {context['max_length']} or fewer.")
    if kind == "multiple_of" and isinstance(value, int):
        near = _nearest(value, round(context["multiple_of"]))
        return InvalidRequest(field, f"{name} is {shown(value)}: send {wanted}, e.g. {near}.")
    if kind == "literal_error" and isinstance(value, str):
        wanted = f"{wanted}.{did_you_mean(value, wanted.removeprefix('one of ').split(', '))}".removesuffix(".")
    if wanted:
        end = "" if wanted.endswith("?") else "."
        return InvalidRequest(field, f"{name} is {shown(value)}: send {wanted}{end}")
    return InvalidRequest(field, f"{name} is {shown(value)}: {error['msg'][:1].lower()}{error['msg'][1:]}.")


def remedy(schema: Mapping[str, Any]) -> str:
    """What a field takes, to finish the sentence "send ..."; empty where its JSON schema does not say."""
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if options:
        return " or ".join(dict.fromkeys(filter(None, map(remedy, options))))
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return _number(kind, schema)
    if kind == "string":
        return f"text of at most {schema['maxLength']} characters" if "maxLength" in schema else "text"
    return {"boolean": "true or false", "array": "a list", "object": "a JSON object"}.get(str(kind), "")


def _number(kind: str, schema: Mapping[str, Any]) -> str:
    noun = f"a multiple of {schema['multipleOf']}" if "multipleOf" in schema else "a whole number"
    noun = noun if kind == "integer" else "a number"
    low, above, high = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
    if above is not None and high is not None:
        return f"{noun} above {above:g} and up to {high:g}"
    return f"{noun} from {_plainly(low)} to {_plainly(high)}" if low is not None and high is not None else noun


def _plainly(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


def _nearest(value: int, multiple: int) -> str:
    low = value // multiple * multiple
    near = dict.fromkeys(min(max(side, MIN_SIDE), MAX_SIDE) for side in (low, low + multiple))
    return " or ".join(map(str, near))


def _part(schema: Mapping[str, Any], loc: Sequence[str | int]) -> Mapping[str, Any]:
    """The schema of the field at `loc`; empty where it cannot be found."""
    here: Mapping[str, Any] = schema
    for name in loc:
        here = _resolved(schema, here)
        variants = here.get("discriminator", {}).get("mapping", {})
        if name in variants:
            here = {"$ref": variants[name]}
            continue
        inner = here.get("items") if isinstance(name, int) else here.get("properties", {}).get(name)
        if inner is None:
            return {}
        here = inner
    return _resolved(schema, here)


def _resolved(root: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in part:
        part = root["$defs"][str(part["$ref"]).rpartition("/")[2]]
    return part
