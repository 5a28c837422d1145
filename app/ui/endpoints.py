"""Gradio's named endpoints: short, typed and stable, for gradio_client, @gradio/client and `/?view=api`.

Each that makes work yields its details at once, so that a client knows the job's id: it may cancel the job by it, or
read the result by it after a lost connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from gradio_client.utils import python_type_to_json_schema

from app.concurrency import run_blocking
from app.jobs.model import Job
from app.presets import ASPECTS, Kind
from app.ui import endpoint_values as sent
from app.ui.avatar import DEFAULT_STRENGTH
from app.ui.details import data_uris, details, file_values, words
from app.ui.image_form import NO_PRESET
from app.ui.owner import owner_of
from app.ui.work import FRAME_SECONDS
from app.work.recipes import hero_prompt, image_request
from app.work.studio import Studio
from engines.types import TranscribeRequest

Details = dict[str, Any]
Files = list[dict[str, Any]]


def parameter(label: str, kind: Any, default: Any = None) -> Api:
    """A value that reaches the function as it was sent, so that our own words answer a wrong one."""
    return Api(default, python_type_to_json_schema(kind), label)


@dataclass(frozen=True, slots=True)
class _Types:
    """The values that several endpoints share; made inside the Blocks, because components belong to one."""

    add: Callable[..., Any]

    def files(self, label: str) -> Api:
        return parameter(label, list[gr.FileData])

    def details(self) -> Api:
        return parameter("Details: job_id, state, progress, seeds, recipe", dict)

    def job_id(self) -> Api:
        return parameter("Id of the job, from its details", str)


def endpoints(studio: Studio) -> None:
    """Add them to the current Blocks. They hang on a button that nobody sees."""
    types = _Types(gr.Button(visible=False).click)
    _add_avatar(types, studio)
    _add_hero(types, studio)
    _add_transcribe(types, studio)
    _add_presets(types, studio)
    _add_jobs(types, studio)


def _add_avatar(types: _Types, studio: Studio) -> None:
    first = studio.presets.avatar[0].id

    async def avatar(
        prompt: str,
        preset: str = first,
        negative_prompt: str = "",
        seed: int = -1,
        count: int = 1,
        photo: dict[str, Any] | None = None,
        photo_strength: float = DEFAULT_STRENGTH,
        request: gr.Request = None,
    ) -> AsyncIterator[tuple[Files, Details]]:
        """Pictures of somebody. Yields details with the job's id at once, the pictures at the end."""

        def submit(owner: str) -> Job:
            file = sent.uploaded("photo", photo)
            start = {} if file is None else {"init_image": file[0]}
            fields = start | ({"strength": sent.number("photo_strength", photo_strength)} if file else {})
            words = sent.text("prompt", prompt)
            return _submit_image(studio, owner, "avatar", preset, words, negative_prompt, seed, count, fields)

        async for job, files in _worked(studio, submit, request):
            yield files, details(job)

    types.add(
        avatar,
        [
            parameter("What the picture shows", str),
            parameter("A preset's id from /presets, or none", str, first),
            parameter("What it should not show", str, ""),
            parameter("0 to 4294967295, or -1 for a random one", int, -1),
            parameter("How many pictures, 1 to 8", int, 1),
            parameter("A photo to start from", gr.FileData | None),
            parameter("How far to go from the photo, over 0 to 1", float, DEFAULT_STRENGTH),
        ],
        [types.files("Pictures"), types.details()],
        api_name="avatar",
    )


def _add_hero(types: _Types, studio: Studio) -> None:
    first = studio.presets.hero[0].id

    async def hero(
        prompt: str = "",
        title: str = "",
        summary: str = "",
        preset: str = first,
        aspect: str = "",
        negative_prompt: str = "",
        seed: int = -1,
        count: int = 1,
        request: gr.Request = None,
    ) -> AsyncIterator[tuple[Files, Details]]:
        """Wide pictures for a post, from a prompt, or from the post's title and summary where the prompt is empty."""

        def submit(owner: str) -> Job:
            words = sent.text("prompt", prompt)
            post = sent.text("title", title), sent.text("summary", summary)
            fields = {"aspect": sent.text("aspect", aspect) or None}
            words = words if words.strip() else hero_prompt(*post)
            return _submit_image(studio, owner, "hero", preset, words, negative_prompt, seed, count, fields)

        async for job, files in _worked(studio, submit, request):
            yield files, details(job)

    types.add(
        hero,
        [
            parameter("What the picture shows", str, ""),
            parameter("The post's title, used where the prompt is empty", str, ""),
            parameter("The post's summary, used with the title", str, ""),
            parameter("A preset's id from /presets, or none", str, first),
            parameter(f"One of {', '.join(ASPECTS)}; empty for the preset's own", str, ""),
            parameter("What it should not show", str, ""),
            parameter("0 to 4294967295, or -1 for a random one", int, -1),
            parameter("How many pictures, 1 to 8", int, 1),
        ],
        [types.files("Pictures"), types.details()],
        api_name="hero",
    )


def _add_transcribe(types: _Types, studio: Studio) -> None:
    async def transcribe(
        audio: dict[str, Any], language: str = "", request: gr.Request = None
    ) -> AsyncIterator[tuple[str, list[dict[str, Any]], Files, str]]:
        """Text of a sound or video file. Yields the job's id at once, the text at the end. No speech: empty text.

        /job tells by that id what else is known: no_speech, duration, language, engine, where.
        """

        def submit(owner: str) -> Job:
            path, name = sent.required("audio", audio)
            wanted = sent.text("language", language) or None
            return studio.submit_speech(TranscribeRequest(str(path), name, wanted), owner=owner)

        async for job, files in _worked(studio, submit, request):
            text = str((job.result or {}).get("text", ""))
            yield text, words(job), files, job.id

    types.add(
        transcribe,
        [
            parameter("Any sound or video file", gr.FileData),
            parameter("As BCP 47, e.g. en; empty for the model's own", str, ""),
        ],
        [
            parameter("Text", str),
            parameter("Words with start and end in seconds and confidence 0 to 1", list[Details]),
            types.files("Captions: srt, vtt, txt"),
            parameter("Job id", str),
        ],
        api_name="transcribe",
    )


def _add_presets(types: _Types, studio: Studio) -> None:
    def presets() -> Details:
        """The presets of /avatar and /hero with what they do, and the aspects of /hero."""
        shown = ("id", "name", "description", "width", "height", "aspect")
        presets_by_kind: dict[str, list[Details]] = {
            kind: [{name: getattr(preset, name) for name in shown} for preset in studio.presets.of(kind)]
            for kind in ("avatar", "hero")
        }
        return {**presets_by_kind, "aspects": ASPECTS}

    types.add(presets, [], [parameter("Presets by kind, and aspects", dict)], api_name="presets")


def _add_jobs(types: _Types, studio: Studio) -> None:
    async def cancel(job_id: str, request: gr.Request = None) -> Details:
        """Cancel a job. It stops within one step; one that has ended stays as it is."""
        wanted = sent.text("job_id", job_id)
        return details(await run_blocking(studio.jobs.cancel, wanted, owner_of(request)))

    async def job(job_id: str, include_images: bool = False, request: gr.Request = None) -> tuple[Files, Details]:
        """A job as it is now, with its files; `include_images` puts the pictures into details.images as data URIs."""
        found = await run_blocking(studio.jobs.get, sent.text("job_id", job_id), owner_of(request))
        known = details(found)
        if sent.flag("include_images", include_images):
            known["images"] = await run_blocking(data_uris, studio, found)
        return await run_blocking(file_values, studio, found), known

    types.add(cancel, [types.job_id()], [types.details()], api_name="cancel")
    types.add(
        job,
        [types.job_id(), parameter("Pictures as data URIs too", bool, False)],
        [types.files("Pictures or captions"), types.details()],
        api_name="job",
    )


def _submit_image(
    studio: Studio,
    owner: str,
    kind: Kind,
    preset: Any,
    words: str,
    negative_prompt: Any,
    seed: Any,
    count: Any,
    fields: dict[str, Any],
) -> Job:
    preset_id = sent.text("preset", preset) or NO_PRESET
    chosen = None if preset_id == NO_PRESET else studio.presets.get(kind, preset_id)
    request = image_request(
        chosen,
        studio.image.info,
        prompt=words,
        negative_prompt=sent.text("negative_prompt", negative_prompt),
        seed=sent.whole("seed", seed),
        count=sent.whole("count", count),
        **fields,
    )
    return studio.submit_image(request, owner=owner, preset=None if chosen is None else chosen.id)


async def _worked(
    studio: Studio, submit: Callable[[str], Job], request: gr.Request
) -> AsyncIterator[tuple[Job, Files]]:
    """Submit a job and give its snapshots, the last one with its files. Raises gr.Error with a plain sentence."""
    owner = owner_of(request)
    submitted = await run_blocking(submit, owner)
    async for job in studio.jobs.watch(submitted.id, owner):
        if job.final:
            yield job.succeeded(), await run_blocking(file_values, studio, job)
        else:
            yield job, []
            await asyncio.sleep(FRAME_SECONDS)
