"""Puts the trained parts together as a StableDiffusionXLPipeline in `models/sketch` (fp16 safetensors)."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.sketch import text, vae
from training.sketch.denoiser import make_scheduler, make_unet
from training.sketch.paths import MODEL, SIZES, WORK

STUDIO: dict[str, Any] = {
    "name": "sketch",
    "demo": True,
    "label": "Sketch demo model: flat-design drawings, not photographs",
    "sizes": [list(size) for size in SIZES],
    "num_inference_steps": 12,
    "guidance_scale": 3.0,
    "sampler": "euler_a",
    "samplers": ["euler_a", "euler"],
}


def assemble(folder: Path) -> Any:
    """The pipeline in fp32, with the averaged weights."""
    from diffusers import StableDiffusionXLPipeline

    tokenizer, first, second = text.load(folder)
    unet = make_unet()
    unet.load_state_dict(torch.load(folder / "unet.pt", weights_only=True)["ema"])
    return StableDiffusionXLPipeline(
        vae=vae.load_vae(folder),
        text_encoder=first,
        text_encoder_2=second,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet.eval(),
        scheduler=make_scheduler(),
        add_watermarker=False,
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the model that ships.")
    parser.add_argument("--out", type=Path, default=MODEL)
    options = parser.parse_args(argv)
    assemble(WORK).to(dtype=torch.float16).save_pretrained(options.out, safe_serialization=True)
    (options.out / "studio.json").write_text(json.dumps(STUDIO, indent=2) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{options.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
