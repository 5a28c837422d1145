"""Gradio's named endpoints: short, typed and stable, for gradio_client, @gradio/client and `/?view=api`.

Their parameters are the fields of the kinds' requests, under the same names. Each that makes work yields its details at
once, so that a client knows the job's id: it may cancel the job by it, or read the result by it after a lost
connection.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import gradio as gr
from gradio.components.api_component import Api
from gradio_client.utils import python_type_to_json_schema
from pydantic import BaseModel, Field

from app.concurrency import run_blocking
from app.jobs.model import Job
from app.jobs.queue import Submission
from app.presets import ASPECTS, KINDS
from app.studio import Studio
from app.ui.account import account_for, account_of
from app.ui.details import Details, Files, data_uris, details, file_values, words
from app.ui.work import FRAME_SECONDS
from app.work.presets import AvatarRequest, HeroRequest
from app.work.request import JobRequest
from app.work.speech import TranscriptionRequest
from engines.errors import InvalidMedia, InvalidRequest
from engines.requests import parse


class JobById(JobRequest):
    """Which job."""

    job_id: Annotated[str, Field(description="Id of the job, from its details")]


class JobToRead(JobById):
    """Which job, and with what."""

    include_images: Annotated[bool, Field(description="Pictures as data URIs too")] = False


@dataclass(frozen=True, slots=True)
class Upload:
    """The file that may come with a kind of job: its parameter's name and text."""

    name: str
    text: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that makes a job."""

    kind: str
    request: type[JobRequest]
    parameters: tuple[str, ...]
    """Fields of the request and its file, in their order."""
    about: str
    upload: Upload | None = None


AVATAR = Endpoint(
    "avatar",
    AvatarRequest,
    ("prompt", "preset", "negative_prompt", "seed", "count", "photo", "photo_strength"),
    "Pictures of somebody. Yields details with the job's id at once, the pictures at the end.",
    Upload("photo", "A photo to start from"),
)
HERO = Endpoint(
    "hero",
    HeroRequest,
    ("prompt", "title", "summary", "preset", "aspect", "negative_prompt", "seed", "count"),
    "Wide pictures for a post, from a prompt, or from the post's title and summary where the prompt is empty.",
)
TRANSCRIBE = Endpoint(
    "transcription",
    TranscriptionRequest,
    ("audio", "language", "vocabulary", "speakers"),
    "Text of a sound or video file. Yields the job's id at once, the text at the end. No speech: empty text.\n\n"
    "/job tells by that id what else is known: no_speech, duration, language, engine, where.",
    Upload("audio", "Any sound or video file", required=True),
)


def endpoints(studio: Studio) -> None:
    """Add them to the current Blocks. They hang on a button that nobody sees."""
    add = gr.Button(visible=False).click
    firsts = {kind: {"preset": studio.presets.of(kind)[0].id} for kind in KINDS}
    _add_work(add, studio, AVATAR, firsts["avatar"], [_pictures(), _details()], "avatar", _made)
    _add_work(add, studio, HERO, firsts["hero"], [_pictures(), _details()], "hero", _made)
    transcript = [
        _output("Text", str),
        _output("Words with start and end in seconds and confidence 0 to 1", list[Details]),
        _output("Captions: srt, vtt, txt", list[gr.FileData]),
        _output("Job id", str),
    ]
    _add_work(add, studio, TRANSCRIBE, {}, transcript, "transcribe", _transcript)
    _add_presets(add, studio)
    _add_jobs(add, studio)


def _made(job: Job, files: Files, request: gr.Request) -> tuple[Files, Details]:
    return files, details(job, request)


def _transcript(job: Job, files: Files, _: gr.Request) -> tuple[str, list[Details], Files, str]:
    return getattr(job.result, "text", ""), words(job), files, job.id


def _add_work(
    add: Callable[..., Any],
    studio: Studio,
    endpoint: Endpoint,
    defaults: Mapping[str, Any],
    outputs: list[Api],
    api_name: str,
    answer: Callable[[Job, Files, gr.Request], tuple[Any, ...]],
) -> None:
    """Add the endpoint; `defaults` are those that this studio decides."""

    async def call(*given: Any) -> AsyncIterator[tuple[Any, ...]]:
        *values, request = given
        account = account_for(request, endpoint.kind)
        sent = dict(zip(endpoint.parameters, values, strict=True))
        submitted = await run_blocking(_submit, studio, endpoint, sent, account)
        async for job in studio.queue.watch(submitted.id, account):
            if job.final:
                yield answer(job.succeeded(), await file_values(studio, job), request)
            else:
                yield answer(job, [], request)
                await asyncio.sleep(FRAME_SECONDS)

    inputs = [_parameter(endpoint, name, defaults) for name in endpoint.parameters]
    call.__doc__ = endpoint.about
    _sign(call, {name: default for name, (_, default) in zip(endpoint.parameters, inputs, strict=True)})
    add(call, [api for api, _ in inputs], outputs, api_name=api_name)


def _submit(studio: Studio, endpoint: Endpoint, sent: dict[str, Any], account: str) -> Job:
    """A file's value is one that `events.py` has found to be the caller's own."""
    inputs = {}
    if endpoint.upload is not None:
        file = sent.pop(endpoint.upload.name)
        if file is None and endpoint.upload.required:
            name = endpoint.upload.name
            raise InvalidRequest(name, f"{name} is missing: upload a file, handle_file(path) in gradio_client.")
        if file is not None:
            path, filename = _uploaded(endpoint.upload.name, file)
            inputs[endpoint.upload.name] = studio.files.take(path, filename)
            if "filename" in endpoint.request.model_fields:
                sent["filename"] = filename
    try:
        request = parse(endpoint.request, sent)
    except InvalidRequest:
        studio.files.discard(inputs.values())
        raise
    return studio.queue.submit(Submission(endpoint.kind, request, account, inputs))


def _uploaded(name: str, value: Any) -> tuple[Path, str]:
    """The file's path and the name that the client gave it."""
    if not isinstance(value, dict) or "path" not in value:
        raise InvalidMedia(name, f"{name} must be an uploaded file: handle_file(path) in gradio_client.")
    return Path(value["path"]), value["orig_name"]


def _add_presets(add: Callable[..., Any], studio: Studio) -> None:
    def presets() -> Details:
        """The presets of /avatar and /hero with what they do, and the aspects of /hero."""
        shown = ("id", "name", "description", "width", "height", "aspect")
        by_kind: dict[str, Any] = {
            kind: [{name: getattr(preset, name) for name in shown} for preset in studio.presets.of(kind)]
            for kind in KINDS
        }
        return {**by_kind, "aspects": ASPECTS}

    add(presets, [], [_output("Presets by kind, and aspects", dict)], api_name="presets")


def _add_jobs(add: Callable[..., Any], studio: Studio) -> None:
    async def cancel(job_id: str, request: gr.Request = None) -> Details:
        """Cancel a job. It stops within one step; one that has ended stays as it is."""
        wanted = parse(JobById, {"job_id": job_id})
        return details(await studio.queue.cancel(wanted.job_id, account_of(request)), request)

    async def job(job_id: str, include_images: bool = False, request: gr.Request = None) -> tuple[Files, Details]:
        """A job as it is now, with its files; `include_images` puts the pictures into details.images as data URIs."""
        wanted = parse(JobToRead, {"job_id": job_id, "include_images": include_images})
        found = await studio.queue.get(wanted.job_id, account_of(request))
        known = details(found, request)
        if wanted.include_images:
            known["images"] = await data_uris(studio, found)
        return await file_values(studio, found), known

    add(cancel, [_field(JobToRead, "job_id")[0]], [_details()], api_name="cancel")
    read = [_field(JobToRead, name)[0] for name in ("job_id", "include_images")]
    add(job, read, [_output("Pictures or captions", list[gr.FileData]), _details()], api_name="job")


def _parameter(endpoint: Endpoint, name: str, defaults: Mapping[str, Any]) -> tuple[Api, Any]:
    """A value that reaches the function as it was sent, so that our own words answer a wrong one; and its default."""
    upload = endpoint.upload
    if upload is not None and name == upload.name:
        kind = python_type_to_json_schema(gr.FileData if upload.required else gr.FileData | None)
        return Api(None, kind, upload.text), inspect.Parameter.empty if upload.required else None
    return _field(endpoint.request, name, defaults.get(name))


def _field(model: type[BaseModel], name: str, default: Any = None) -> tuple[Api, Any]:
    """The parameter that a field of a request is; `default` None: the field's own."""
    field = model.model_fields[name]
    schema = model.model_json_schema()["properties"][name]
    options = [option for option in schema.get("anyOf", [schema]) if option["type"] != "null"]
    known = inspect.Parameter.empty if field.is_required() else field.default
    known = known if default is None else default
    shown = None if known is inspect.Parameter.empty else known
    # A request's tuple is a list to callers.
    shown, known = (list(value) if isinstance(value, tuple) else value for value in (shown, known))
    return Api(shown, _kind_of(options[0]), field.description or name), known


def _kind_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    kind = {"type": schema["type"]}
    return {**kind, "items": {"type": schema["items"]["type"]}} if schema["type"] == "array" else kind


def _sign(function: Any, defaults: Mapping[str, Any]) -> None:
    """Let Gradio read the parameters off a function that takes any."""
    some = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, some, default=default) for name, default in defaults.items()]
    request = inspect.Parameter("request", some, default=None, annotation=gr.Request)
    function.__signature__ = inspect.Signature([*parameters, request])
    function.__annotations__ = {"request": gr.Request}


def _output(label: str, kind: Any) -> Api:
    return Api(None, python_type_to_json_schema(kind), label)


def _pictures() -> Api:
    return _output("Pictures", list[gr.FileData])


def _details() -> Api:
    return _output("Details: job_id, state, progress, seeds, recipe", dict)
