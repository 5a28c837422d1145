"""What SDXL costs on a GPU: time and memory of a picture, how soon a cancelled one ends, how long a load takes.

The weights are random and in the sizes of SDXL, so the pictures are noise and the work is real: 2.6 billion parameters
in the UNet, both text encoders, the VAE, in the layout of a diffusers folder. The plain alternative, in the same run,
is the pipeline of diffusers over the same folder.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Timer
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from bench.report import report
from engines.devices import find_device
from engines.errors import Cancelled
from engines.events import Event as EngineEvent
from engines.events import Preview, Progress, ignore
from engines.requests import ImageRequest
from engines.sdxl.engine import SdxlEngine

PROMPT = "portrait photo of a young woman with freckles, natural light, sharp focus"
NEGATIVE = "blurry, lowres, deformed"
STEPS, GUIDANCE, SIDE = 30, 7.0, 1024
MIDDLE_OF_A_STEP = 0.03
"""Seconds after a step's end."""


def build_model(folder: Path) -> None:
    """SDXL base 1.0 with random weights in half precision, 7 GB, and beside it, in `vae_fp16`, a VAE that is made for
    half precision. Sizes: the config files of stabilityai/stable-diffusion-xl-base-1.0."""
    torch.manual_seed(0)
    tokenizer = _tokenizer(folder / "tokenizer_files")
    with torch.device("cuda"):
        torch.set_default_dtype(torch.float16)
        unet = UNet2DConditionModel(
            sample_size=128,
            block_out_channels=(320, 640, 1280),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(5, 10, 20),
            transformer_layers_per_block=(1, 2, 10),
            use_linear_projection=True,
            cross_attention_dim=2048,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )
        first = CLIPTextModel(_text_config(tokenizer, 768, 12, 12, "quick_gelu"))
        second = CLIPTextModelWithProjection(_text_config(tokenizer, 1280, 32, 20, "gelu"))
        vae = _vae(force_upcast=True)
        _vae(force_upcast=False).save_pretrained(folder / "vae_fp16")
        torch.set_default_dtype(torch.float32)
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1, timestep_spacing="leading"
    )
    StableDiffusionXLPipeline(
        vae, first, second, tokenizer, tokenizer, unet, scheduler, add_watermarker=False
    ).save_pretrained(folder)


def _vae(*, force_upcast: bool) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        sample_size=1024,
        scaling_factor=0.13025,
        force_upcast=force_upcast,
    )


def _tokenizer(folder: Path) -> CLIPTokenizer:
    """A token a letter: 72 letters of the prompt are as many tokens as a long prompt's words."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def _text_config(tokenizer: Any, width: int, layers: int, heads: int, activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=width,
        hidden_act=activation,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def request(**values: Any) -> ImageRequest:
    usual = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "width": SIDE, "height": SIDE, "seed": 1}
    return ImageRequest(
        **{**usual, "num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "sampler": "euler", **values}
    )


def timed(work: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Seconds (median), and the most GPU memory in use, GB; after one round that warms up."""
    work()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), torch.cuda.max_memory_allocated() / 1e9


def cancelled_after(engine: SdxlEngine, step: int) -> float:
    """Seconds from the cancel, in the middle of a step, until the engine is free again."""
    cancel, told = Event(), 0.0

    def stop() -> None:
        nonlocal told
        told = time.perf_counter()
        cancel.set()

    def on_event(event: EngineEvent) -> None:
        if isinstance(event, Progress) and event.stage == "denoise" and event.step == step:
            Timer(MIDDLE_OF_A_STEP, stop).start()

    try:
        engine.generate(request(), None, on_event, cancel)
    except Cancelled:
        return time.perf_counter() - told
    raise AssertionError("the picture was finished all the same")


def previews_of(engine: SdxlEngine) -> int:
    seen: list[Preview] = []
    engine.generate(request(), None, lambda event: seen.append(event) if isinstance(event, Preview) else None, Event())
    return len(seen)


def plain(folder: Path, rounds: int) -> tuple[float, float, float]:
    """Seconds of the load and of a picture, and GB, of diffusers' own pipeline with a half-precision VAE."""
    began = time.perf_counter()
    vae = AutoencoderKL.from_pretrained(folder / "vae_fp16", dtype=torch.float16)
    pipe = StableDiffusionXLPipeline.from_pretrained(folder, vae=vae, dtype=torch.float16, add_watermarker=False)
    pipe.to("cuda")
    pipe.set_progress_bar_config(disable=True)
    torch.cuda.synchronize()
    load = time.perf_counter() - began

    def draw() -> None:
        pipe(PROMPT, negative_prompt=NEGATIVE, num_inference_steps=STEPS, guidance_scale=GUIDANCE)

    return load, *timed(draw, rounds)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(argv).rounds
    device = find_device("cuda")
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where) / "sdxl"
        build_model(folder)
        _free()
        load_plain, plain_seconds, plain_memory = plain(folder, rounds)
        _free()
        engine = SdxlEngine(folder, device.name, fp16_vae=folder / "vae_fp16")
        began = time.perf_counter()
        engine.load()
        load = time.perf_counter() - began

        def draw(photo: Path | None = None, **values: Any) -> None:
            engine.generate(request(**values), photo, ignore, Event())

        one, memory = timed(draw, rounds)
        four, memory_of_four = timed(lambda: draw(count=4), 1)
        large, memory_of_large = timed(lambda: draw(width=1536, height=1536), 1)
        largest, memory_of_largest = timed(lambda: draw(width=2048, height=2048), 1)
        photo = Path(where) / "photo.png"
        Image.effect_noise((SIDE, SIDE), 64).convert("RGB").save(photo)
        from_photo, _ = timed(lambda: draw(photo, photo_strength=0.6), 1)
        report(
            "sdxl_gpu",
            {
                "gpu": device.label,
                "torch": torch.__version__,
                "rounds": rounds,
                "load_s": round(load, 2),
                "plain_load_s": round(load_plain, 2),
                "picture_s": round(one, 2),
                "plain_picture_s": round(plain_seconds, 2),
                "times_the_plain_pipeline": round(one / plain_seconds, 2),
                "steps_per_s": round(STEPS / one, 1),
                "memory_gb": round(memory, 2),
                "plain_memory_gb": round(plain_memory, 2),
                "four_pictures_s": round(four, 2),
                "four_pictures_memory_gb": round(memory_of_four, 2),
                "picture_of_1536_s": round(large, 2),
                "picture_of_1536_memory_gb": round(memory_of_large, 2),
                "picture_of_2048_s": round(largest, 2),
                "picture_of_2048_memory_gb": round(memory_of_largest, 2),
                "from_photo_s": round(from_photo, 2),
                "cancel_s": round(statistics.median(cancelled_after(engine, step) for step in (3, 11, 20)), 3),
                "previews": previews_of(engine),
            },
        )


def _free() -> None:
    gc.collect()
    torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
