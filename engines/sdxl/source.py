"""Where a model's files come from, and why some are refused before anything reads them."""

from __future__ import annotations

import json
from pathlib import Path

from engines.errors import ModelInvalid, ModelMissing

PICKLE_SUFFIXES = {".ckpt", ".bin", ".pt", ".pth", ".pkl"}

WEIGHTED_PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
"""The folders of an SDXL pipeline that hold weights."""

WHY_NO_PICKLE = (
    "pickle files can run any program while they are read, so only .safetensors is loaded. Get the model's "
    ".safetensors version, or convert it on a machine you do not mind losing."
)


def check_file(file: Path) -> None:
    """Raise unless this is a .safetensors file that exists."""
    if file.suffix in PICKLE_SUFFIXES:
        raise ModelInvalid(f"{file} is a pickle file: {WHY_NO_PICKLE}")
    if file.suffix != ".safetensors":
        raise ModelInvalid(f"{file} is no image model: give a .safetensors file, a model folder or a hub id.")


def check_folder(folder: Path) -> None:
    """Raise unless this folder holds an SDXL pipeline in diffusers' layout, with all weights as safetensors."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise ModelInvalid(f"{folder} has no model_index.json: give the folder of a model in diffusers' layout.")
    kind = _pipeline_class(index)
    if not kind.startswith("StableDiffusionXL"):
        raise ModelInvalid(f"{folder} holds a {kind}: this engine runs SDXL models (StableDiffusionXLPipeline).")
    for part in WEIGHTED_PARTS:
        _check_weights(folder / part)


def check_exists(path: Path, model: str | Path) -> None:
    if not path.exists():
        raise ModelMissing(
            f"The image model {str(model)!r} is not on this machine: put the model's folder or .safetensors file "
            f"there, or start with another one (--image-model PATH)."
        )


def variant(part: Path) -> str | None:
    """`fp16` where a part's folder has half-precision files: half the reading, and the same picture."""
    return "fp16" if any(part.glob("*.fp16*.safetensors")) else None


def _pipeline_class(index: Path) -> str:
    try:
        described = json.loads(index.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelInvalid(f"{index} is not readable as JSON ({error}): get the model again.") from error
    name = described.get("_class_name") if isinstance(described, dict) else None
    if not isinstance(name, str):
        raise ModelInvalid(f"{index} names no pipeline (_class_name): get the model again.")
    return name


def _check_weights(part: Path) -> None:
    files = sorted(part.iterdir()) if part.is_dir() else []
    if any(file.suffix == ".safetensors" for file in files):
        return
    pickled = [file.name for file in files if file.suffix in PICKLE_SUFFIXES]
    if pickled:
        raise ModelInvalid(f"{part} has its weights only as {', '.join(pickled)}: {WHY_NO_PICKLE}")
    raise ModelInvalid(f"{part} has no .safetensors weights: the model is incomplete, get it again.")
