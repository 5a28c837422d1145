"""What is read from the files of pictures: ours, and those of A1111's program."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.presets import load_presets
from app.work.found import Found, read_parameters, settings_in
from engines.picture_parts import MAX_TEXT_BYTES, exif_with, read_texts
from engines.requests import SamplerName
from tests.small_engines import BlobEngine

PRESETS = load_presets(Path(__file__).parents[3] / "presets")
PORTRAIT = PRESETS.avatar[0]
SAMPLERS: tuple[str, ...] = get_args(SamplerName)

A1111 = """a portrait of (a woman:1.2), red hair,
looking at the viewer <lora:film:0.6>
Negative prompt: blurry, text,
bad hands
Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 123, Size: 512x768, Model hash: 6ce0161689, \
Model: v1-5, Lora hashes: "film: 1a2b, other: 3c4d", Version: v1.6.0"""

RECIPE: dict[str, Any] = {
    "prompt": PORTRAIT.fill("a woman with red hair"),
    "negative_prompt": f"{PORTRAIT.negative_prompt}, hat",
    "width": 1024,
    "height": 768,
    "rendered_width": 256,
    "rendered_height": 256,
    "enlarged": True,
    "num_inference_steps": 12,
    "guidance_scale": 4.5,
    "sampler": "euler_a",
    "seed": 7,
    "model": "sketch",
    "demo": True,
    "preset": PORTRAIT.id,
}


def png(**texts: str) -> bytes:
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def with_comment(kind: str, text: str) -> bytes:
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, kind, exif=exif_with(text, "test"))
    return out.getvalue()


def found(data: bytes, model: str = "sketch") -> Found | None:
    return settings_in(read_texts(BytesIO(data)), PRESETS, replace(BlobEngine().info, name=model, samplers=SAMPLERS))


@pytest.mark.parametrize("file", [png(parameters=A1111), with_comment("JPEG", A1111), with_comment("WEBP", A1111)])
def test_a1111s_settings_are_read_from_each_kind_of_file(file: bytes) -> None:
    told = found(file)
    assert told is not None
    assert told.values == {
        "prompt": "a portrait of (a woman:1.2), red hair,\nlooking at the viewer <lora:film:0.6>",
        "negative_prompt": "blurry, text,\nbad hands",
        "num_inference_steps": 20,
        "guidance_scale": 7,
        "seed": 123,
        "width": 512,
        "height": 768,
        "sampler": "dpmpp_2m_karras",
    }
    assert (told.kind, told.preset) == ("avatar", "none")
    assert told.not_used == (
        "It was made with the model 'v1-5'; here 'sketch' is loaded, which draws another picture.",
        "Not known here: Model hash: 6ce0161689, Lora hashes: film: 1a2b, other: 3c4d, Version: v1.6.0.",
    )


@pytest.mark.parametrize(
    ("line", "expected", "said"),
    [
        ("Sampler: DPM++ 2M, Schedule type: Karras", {"sampler": "dpmpp_2m_karras"}, ""),
        ("Sampler: Euler a, Schedule type: Automatic", {"sampler": "euler_a"}, ""),
        ("Sampler: LMS, Schedule type: Karras", {}, "The sampler 'LMS Karras' is not known here"),
        ("Size: 500x1000, Sampler: DDIM", {"sampler": "ddim", "width": 496, "height": 1000}, "became 496x1000"),
        ("Size: huge, Sampler: DDIM", {"sampler": "ddim"}, "The size 'huge' is not understood."),
        ("Seed: -7, Sampler: DDIM", {"sampler": "ddim"}, "seed is -7: send a whole number from -1"),
        ("CFG scale: 99, Sampler: DDIM", {"sampler": "ddim"}, "guidance_scale is 99: send a number from 1 to 30."),
        ("Denoising strength: 0.5, Sampler: DDIM", {"sampler": "ddim"}, "It started from a picture"),
    ],
)
def test_what_is_not_understood_is_said(line: str, expected: dict[str, Any], said: str) -> None:
    told = found(png(parameters=f"a fox\nSteps: 9, Clip skip: 2, {line}"))
    assert told is not None
    assert told.values == {"prompt": "a fox", "negative_prompt": "", "num_inference_steps": 9, **expected}
    assert said in " ".join(told.not_used)
    assert "Clip skip: 2" in " ".join(told.not_used)


@pytest.mark.parametrize(
    "text", ["", "a fox", "a fox\nSteps: 9", "one: 1, two: 2, three: 3", "{", "[]", "9" * 200_000, 'a: "\\"' * 40_000]
)
def test_another_text_is_no_setting(text: str) -> None:
    assert read_parameters(text) == ({}, {})
    assert found(png(parameters=text)) is None
    assert found(with_comment("WEBP", text[:9000])) is None


@pytest.mark.parametrize("file", [png(recipe=json.dumps(RECIPE)), with_comment("WEBP", json.dumps(RECIPE))])
def test_our_own_recipe_gives_back_what_was_typed(file: bytes) -> None:
    told = found(file)
    assert told is not None
    assert (told.kind, told.preset, told.not_used) == ("avatar", PORTRAIT.id, ())
    taken = {
        name: RECIPE[name] for name in ("width", "height", "num_inference_steps", "guidance_scale", "sampler", "seed")
    }
    assert told.values == {**taken, "prompt": "a woman with red hair", "negative_prompt": "hat"}


def test_a_preset_that_is_not_here_any_more_leaves_the_whole_prompt() -> None:
    told = found(png(recipe=json.dumps({**RECIPE, "preset": "gone", "photo_sha256": "ab"})), model="sdxl")
    assert told is not None
    assert (told.kind, told.preset, told.values["prompt"]) == ("avatar", "none", RECIPE["prompt"])
    assert [sentence[:25] for sentence in told.not_used] == [
        "It was made with the mode",
        "It started from a photo, ",
        "Its preset 'gone' is not ",
    ]


def test_a_wide_picture_is_a_hero() -> None:
    told = found(png(parameters="a lake\nSteps: 9, Sampler: DDIM, Size: 1344x768"))
    assert told is not None
    assert told.kind == "hero"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_text_that_unpacks_to_much_is_passed_over() -> None:
    bomb = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * (MAX_TEXT_BYTES + 1)))
    small = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"a fox\nSteps: 9, Sampler: DDIM, Seed: 1"))
    whole = png()
    assert read_texts(BytesIO(whole[:33] + bomb + whole[33:])) == {}
    assert read_texts(BytesIO(whole[:33] + bomb + small + whole[33:]))["parameters"].startswith("a fox")


@pytest.mark.parametrize("size", range(0, 200, 7))
def test_a_file_that_is_cut_off_is_told_or_gives_nothing(size: int) -> None:
    for file in (png(parameters=A1111), with_comment("JPEG", A1111), with_comment("WEBP", A1111)):
        try:
            assert set(read_texts(BytesIO(file[:size]))) <= {"parameters", "UserComment"}
        except ValueError:
            continue
