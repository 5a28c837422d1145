"""Does the built-in model draw what it is told? 500 prompts that it has not seen, judged attribute by attribute.

    python bench/sketch_adherence.py

The judge was trained on drawings only; its own accuracy stands beside each figure, and so does the rate that always
guessing the commonest class would reach. Also measured: whether pictures are whole, whether seeds differ, whether
compel's weights act, whether img2img keeps a blob's colours, and time and memory. The last line is JSON.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from PIL import Image, ImageDraw

from training.sketch import data, judge, sheet
from training.sketch.attributes import COLORS, Picture, contrast, sample_avatar
from training.sketch.captions import caption
from training.sketch.draw import draw
from training.sketch.export import STUDIO
from training.sketch.paths import MODEL

ATTRIBUTES = tuple(name for name in judge.HEADS if name != "kind")  # every prompt says its kind, so that is no merit
BATCH = 10
SEED = 4242
CLOSE_ENOUGH = 110.0  # RGB distance at which an area still has the asked colour


def prompts(count: int) -> list[tuple[Picture, str, str]]:
    """Records, what they are called (everything said), and the bucket they are drawn in."""
    rng = random.Random(f"adherence/{SEED}")
    result = []
    for i in range(count):
        bucket = "wide" if i % 5 == 4 else "square"
        record = data.sample(bucket, rng)
        result.append((record, caption(record, rng, keep=1.0, filler=0.25).text, bucket))
    return result


def adherence(pipe: Any, count: int) -> dict[str, dict[str, float]]:
    """For each attribute: right answers, the commonest class, the judge's accuracy, and how many were asked."""
    network, known = judge.load()
    asked = prompts(count)
    right: dict[str, list[bool]] = {name: [] for name in ATTRIBUTES}
    classes: dict[str, list[int]] = {name: [] for name in ATTRIBUTES}
    for bucket, width in data.WIDTHS.items():
        mine = [(record, words) for record, words, where in asked if where == bucket]
        for first in range(0, len(mine), BATCH):
            some = mine[first : first + BATCH]
            pictures = sheet.generate(pipe, [words for _, words in some], SEED + first, width, 256)
            with torch.no_grad():
                guess = network(judge.tensor(np.stack([judge.look(picture) for picture in pictures])))
            for row, (record, _) in enumerate(some):
                for name, target in zip(judge.HEADS, judge.targets(record), strict=True):
                    if name in right and target != judge.UNKNOWN:
                        right[name].append(int(guess[name][row].argmax()) == target)
                        classes[name].append(target)
    return {
        name: {
            "adherence": round(float(np.mean(right[name])), 4),
            "commonest_class": round(Counter(classes[name]).most_common(1)[0][1] / len(classes[name]), 4),
            "judge_accuracy": known[name],
            "asked": len(right[name]),
        }
        for name in ATTRIBUTES
        if right[name]
    }


OPEN_PROMPTS = ("a person", "portrait of a smiling woman with long red hair", "man with glasses", "girl, pink hoodie")


def wholeness(pipe: Any) -> dict[str, float]:
    """Whether a face decides as a whole what its prompt leaves open: its mean difference from its mirror image, 0..255.

    A drawing nearly is its own mirror image, so hair or a shirt of two colours shows in it.
    """

    def mirrored(picture: Image.Image) -> float:
        pixels = np.asarray(picture, float)
        return float(np.abs(pixels - pixels[:, ::-1]).mean())

    rng = random.Random("wholeness")
    drawings = [draw(sample_avatar(rng), rng) for _ in range(40)]
    faces = [picture for words in OPEN_PROMPTS for picture in sheet.generate(pipe, [words] * BATCH, SEED)]
    return {
        "mirror_difference": round(float(np.mean([mirrored(picture) for picture in faces])), 2),
        "mirror_difference_of_drawings": round(float(np.mean([mirrored(picture) for picture in drawings])), 2),
    }


def seeds_differ(pipe: Any) -> dict[str, float]:
    """Mean absolute pixel difference (0..255) of pictures of one prompt with two seeds, and with one seed twice."""
    words = ["portrait of a man", "portrait of a smiling woman", "mountains at sunset", "city skyline at night"]
    first, again, other = (sheet.generate(pipe, words, seed) for seed in (1, 1, 1001))

    def difference(a: Sequence[Image.Image], b: Sequence[Image.Image]) -> list[float]:
        pairs = zip(a, b, strict=True)
        return [float(np.abs(np.asarray(x, float) - np.asarray(y, float)).mean()) for x, y in pairs]

    return {
        "same_seed": round(max(difference(first, again)), 3),
        "other_seed_least": round(min(difference(first, other)), 2),
        "other_seed_mean": round(float(np.mean(difference(first, other))), 2),
    }


def weights_act(pipe: Any, count: int) -> dict[str, float]:
    """How often hair is red for "red hair, blonde hair" in both orders, by the weight of the red."""
    from compel import CompelForSDXL

    compel = CompelForSDXL(pipe, device="cpu")
    network, _ = judge.load()
    red = judge.HEADS["hair"].index("red")
    rates = {}
    for weight in (0.6, 1.0, 1.4):
        hits = []
        for form in (
            "woman with (red hair){w}, blonde hair, blue background",
            "man, blonde hair, (red hair){w}, grey background",
        ):
            made = compel(form.format(w=weight), negative_prompt="")
            pictures = pipe(
                prompt_embeds=made.embeds,
                pooled_prompt_embeds=made.pooled_embeds,
                negative_prompt_embeds=made.negative_embeds,
                negative_pooled_prompt_embeds=made.negative_pooled_embeds,
                num_images_per_prompt=count,
                num_inference_steps=STUDIO["num_inference_steps"],
                guidance_scale=STUDIO["guidance_scale"],
                width=256,
                height=256,
                generator=torch.Generator().manual_seed(SEED),
            ).images
            with torch.no_grad():
                guess = network(judge.tensor(np.stack([judge.look(picture) for picture in pictures])))["hair"]
            hits += [int(row.argmax()) == red for row in guess]
        rates[f"red_at_{weight}"] = round(float(np.mean(hits)), 3)
    return rates


def blob_keeps_colors(pipe: Any) -> dict[str, float]:
    """img2img from a crude blob and "portrait of a person": are background and clothes still of its colours?"""
    from diffusers import StableDiffusionXLImg2ImgPipeline

    again = StableDiffusionXLImg2ImgPipeline(**pipe.components, add_watermarker=False)
    again.set_progress_bar_config(disable=True)
    kept = []
    for background, clothes in (("green", "purple"), ("yellow", "blue"), ("teal", "orange"), ("pink", "black")):
        blob = Image.new("RGB", (256, 256), COLORS[background])
        pen = ImageDraw.Draw(blob)
        pen.ellipse((20, 205, 236, 330), fill=COLORS[clothes])
        pen.ellipse((70, 50, 186, 195), fill=(228, 176, 124))
        pen.pieslice((62, 35, 194, 160), 180, 360, fill=(60, 40, 30))
        made = again(
            "portrait of a person", image=blob, strength=0.7, num_inference_steps=20, guidance_scale=3.0,
            generator=torch.Generator().manual_seed(3),
        ).images[0]  # fmt: skip
        pixels = np.asarray(made, float)
        for area, color in ((pixels[8:60, 6:40], background), (pixels[238:252, 100:156], clothes)):
            r, g, b = (int(v) for v in np.median(area, axis=(0, 1)))
            kept.append(contrast((r, g, b), COLORS[color]) < CLOSE_ENOUGH)
    return {"colors_kept": round(float(np.mean(kept)), 3)}


def speed(pipe: Any) -> dict[str, float]:
    """Seconds a picture, one at a time, at the default steps."""
    result = {}
    for name, width in data.WIDTHS.items():
        times = []
        for seed in range(5):
            began = time.perf_counter()
            sheet.generate(pipe, ["portrait of a smiling woman with red hair"], seed, width, 256)
            times.append(time.perf_counter() - began)
        result[f"seconds_{name}"] = round(float(np.median(times)), 3)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure how well the built-in model follows prompts.")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    began = time.perf_counter()
    pipe = sheet.load(options.model)
    sheet.generate(pipe, ["a person"], 0)
    ready = round(time.perf_counter() - began, 2)
    found = adherence(pipe, options.prompts)
    for name, figures in found.items():
        print(name, *(f"{key} {figure}" for key, figure in figures.items()))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    now = datetime.now(UTC)
    asked = [figures["asked"] for figures in found.values()]
    report = {
        "bench": "sketch_adherence",
        "date": now.isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "device": f"{platform.processor() or platform.machine()}, {options.threads} of {os.cpu_count()} cores, fp32",
        "prompts": options.prompts,
        "steps": STUDIO["num_inference_steps"],
        "guidance_scale": STUDIO["guidance_scale"],
        "mean": round(float(np.average([figures["adherence"] for figures in found.values()], weights=asked)), 4),
        "attributes": found,
        "wholeness": wholeness(pipe),
        "seeds": seeds_differ(pipe),
        "compel_weights": weights_act(pipe, 12),
        "img2img": blob_keeps_colors(pipe),
        "seconds_to_ready": ready,
        **speed(pipe),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    out = Path("bench/results") / f"sketch_adherence-{now:%Y-%m-%d}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
