"""The shipped model, loaded as any SDXL model is: it follows words, seeds and a picture's colours."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from training.sketch import judge, sheet, vae
from training.sketch.attributes import COLORS, contrast
from training.sketch.export import STUDIO
from training.sketch.paths import MODEL, SIZES


@pytest.fixture(scope="module")
def pipe() -> Any:
    return sheet.load(MODEL)


def corner(picture: Image.Image) -> tuple[int, int, int]:
    """The median colour of the upper corners, where only background is."""
    pixels = np.asarray(picture, float)
    area = np.concatenate([pixels[6:50, 6:40].reshape(-1, 3), pixels[6:50, -40:-6].reshape(-1, 3)])
    r, g, b = (int(v) for v in np.median(area, axis=0))
    return r, g, b


def nearest(color: tuple[int, int, int]) -> str:
    return min(COLORS, key=lambda name: contrast(color, COLORS[name]))


def test_it_is_small_and_labelled_as_a_demo() -> None:
    assert sum(path.stat().st_size for path in MODEL.rglob("*") if path.is_file()) < 30e6
    assert STUDIO["demo"] is True
    assert [tuple(size) for size in STUDIO["sizes"]] == [tuple(size) for size in SIZES]


def test_it_follows_the_background_colour(pipe: Any) -> None:
    colors = ("blue", "green", "red", "yellow")
    made = sheet.generate(pipe, [f"portrait of a man, {color} background" for color in colors], 5)
    assert [nearest(corner(picture)) for picture in made] == list(colors)


def test_a_face_is_as_asked(pipe: Any) -> None:
    asked = [
        {"expression": "smiling", "style": "long", "hair": "red", "glasses": "none", "skin": "pale"},
        {"expression": "sad", "style": "curly", "hair": "pink", "glasses": "round", "skin": "tan"},
        {"expression": "surprised", "style": "spiky", "hair": "blonde", "glasses": "none", "skin": "brown"},
        {"expression": "neutral", "style": "bun", "hair": "black", "glasses": "sun", "skin": "dark"},
    ]
    words = [
        "pale woman with long red hair, smiling, blue background",
        "sad man, curly pink hair, round glasses, tan skin, purple background",
        "surprised boy with spiky blonde hair and brown skin, teal background",
        "serious lady with dark skin, sunglasses and a black bun, yellow background",
    ]
    network, _ = judge.load()
    pictures = np.stack([judge.look(picture) for picture in sheet.generate(pipe, words, 20)])
    with torch.no_grad():
        seen = network(judge.tensor(pictures))
    wrong = [
        (row, name)
        for row, record in enumerate(asked)
        for name, wanted in record.items()
        if judge.HEADS[name][int(seen[name][row].argmax())] != wanted
    ]
    assert len(wrong) <= 2, wrong


def test_what_a_prompt_leaves_open_is_decided_for_the_whole_face(pipe: Any) -> None:
    pixels = np.stack([np.asarray(picture, float) for picture in sheet.generate(pipe, ["a person"] * 8, 7)])
    # A drawing has about 2; half a shirt and half a head of hair in other colours make 19.
    assert np.abs(pixels - pixels[:, :, ::-1]).mean() < 14


def test_the_same_seed_is_the_same_picture_and_another_is_not(pipe: Any) -> None:
    words = "portrait of a smiling woman"
    first, again, other = (np.asarray(sheet.generate(pipe, [words], seed)[0], float) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 5


def test_night_is_darker_than_day_in_a_wide_picture(pipe: Any) -> None:
    day, night = sheet.generate(pipe, ["mountains by day", "mountains at night"], 3, 448, 256)
    assert day.size == (448, 256)
    assert np.asarray(day, float)[:80].mean() > np.asarray(night, float)[:80].mean() + 50


def test_a_usual_negative_prompt_does_no_harm(pipe: Any) -> None:
    made = pipe(
        "portrait of a man, green background",
        negative_prompt="blurry, low quality, deformed, bad anatomy, watermark, extra fingers",
        num_inference_steps=STUDIO["num_inference_steps"],
        guidance_scale=STUDIO["guidance_scale"],
        width=256,
        height=256,
        generator=torch.Generator().manual_seed(5),
    ).images[0]
    assert nearest(corner(made)) == "green"


def test_a_blob_becomes_a_picture_of_its_colours(pipe: Any) -> None:
    from diffusers import StableDiffusionXLImg2ImgPipeline

    again = StableDiffusionXLImg2ImgPipeline(**pipe.components, add_watermarker=False)
    again.set_progress_bar_config(disable=True)
    blob = Image.new("RGB", (256, 256), COLORS["green"])
    pen = ImageDraw.Draw(blob)
    pen.ellipse((20, 205, 236, 330), fill=COLORS["purple"])
    pen.ellipse((70, 50, 186, 195), fill=(228, 176, 124))
    made = again(
        "portrait of a person", image=blob, strength=0.7, num_inference_steps=20, guidance_scale=3.0,
        generator=torch.Generator().manual_seed(3),
    ).images[0]  # fmt: skip
    assert nearest(corner(made)) == "green"


def test_the_autoencoder_keeps_a_drawing(pipe: Any) -> None:
    target = torch.from_numpy(vae.drawings(3, seed=77))
    with torch.no_grad():
        latents = pipe.vae.encode(target).latent_dist.mean
        error = pipe.vae.decode(latents).sample - target
    assert vae.psnr(error) > 25
    assert abs(float(latents.var()) - 1) < 0.5


def test_the_judge_knows_drawings() -> None:
    network, known = judge.load()
    assert min(known.values()) >= 0.95
    fresh = judge.accuracy(network, *judge.drawn(40, seed=9))
    assert np.mean(list(fresh.values())) > 0.9
