"""Reads an SDXL model onto a device, from a folder or a single .safetensors file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.errors
import pyparsing
import safetensors
import torch
from compel import CompelForSDXL
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from engines.errors import ModelInvalid, ModelMissing, StudioError
from engines.sdxl import source
from engines.sdxl.memory import is_out_of_memory, out_of_memory_as
from engines.weights.names import is_hub_id

log = logging.getLogger(__name__)

FP16_VAE = "madebyollin/sdxl-vae-fp16-fix"

SDXL_LATENT_SCALE = 0.13025
"""`scaling_factor` of SDXL's own VAE: tells it from other VAEs, whose latents the fp16-fixed one cannot read."""

SECOND_ENCODER_KEY = "conditioner.embedders.1.model.positional_embedding"
"""A tensor that an SDXL checkpoint file has and those of other Stable Diffusion versions lack."""

UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError)
"""What the libraries raise on files that are damaged or do not fit each other."""

HUB_ERROR: type[Exception] = huggingface_hub.errors.HfHubHTTPError.__bases__[0]
"""Base of the errors of the hub client's HTTP library, which has changed with the client's versions."""

PARTS = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
}
"""What reads each of a pipeline's weighted folders."""

FolderOf = Callable[[str], Path]
"""Gives the folder of a hub model, fetched if need be; raises ModelMissing, ModelInvalid, DownloadFailed."""


def _no_hub(hub_id: str) -> Path:
    raise ModelMissing(f"The model {hub_id!r} is not on this machine: name its folder instead.")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device. `components` are a StableDiffusionXLPipeline's, from which each job makes its own
    pipeline, so that no job leaves anything behind for the next."""

    components: dict[str, Any]
    compel: Any
    device: torch.device
    pixels_per_latent: int
    """Side of the square of pixels that one latent stands for: 8 in SDXL."""

    @property
    def vae(self) -> Any:
        return self.components["vae"]

    @property
    def scheduler_config(self) -> Any:
        return self.components["scheduler"].config


def load(
    model: str | Path,
    device: str,
    fp16_vae: str | Path = FP16_VAE,
    *,
    folder_of: FolderOf = _no_hub,
    offline: bool = False,
    dtype: torch.dtype | None = None,
) -> Loaded:
    """Read the weights of a model on this machine, by default as float16 on CUDA and float32 elsewhere.

    `folder_of` is asked for the VAE if that is needed and a hub id. Raises ModelMissing, ModelInvalid, OutOfMemory.
    """
    torch_device = _usable(device)
    dtype = dtype or (torch.float16 if torch_device.type == "cuda" else torch.float32)
    with out_of_memory_as(
        f"The image model {str(model)!r} does not fit into the memory of {device}: use a smaller one."
    ):
        pipe = _read(model, dtype, offline=offline)
        _check_complete(pipe, model)
        if dtype == torch.float16:
            pipe.vae = _half_precision_vae(pipe.vae, fp16_vae, folder_of)
        pipe.to(torch_device)
        if torch_device.type == "cuda":
            pipe.unet.to(memory_format=torch.channels_last)
            pipe.vae.to(memory_format=torch.channels_last)
    return Loaded(dict(pipe.components), _compel(pipe), torch_device, pipe.vae_scale_factor)


def _usable(device: str) -> torch.device:
    try:
        return torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
        raise ModelInvalid(f"The device {device!r} cannot be used ({error}): choose auto or cpu.") from error


def _read(model: str | Path, dtype: torch.dtype, *, offline: bool) -> Any:
    path = Path(model)
    source.check_exists(path, model)
    return _read_folder(path, dtype) if path.is_dir() else _read_file(path, dtype, offline=offline)


def _read_folder(folder: Path, dtype: torch.dtype) -> Any:
    source.check_folder(folder)
    try:
        # Part by part: only so do the libraries tell which tensors the files lack, instead of making some up.
        parts = {name: _read_part(folder, name, kind, dtype) for name, kind in PARTS.items()}
        return StableDiffusionXLPipeline.from_pretrained(
            folder, **parts, dtype=dtype, local_files_only=True, add_watermarker=False
        )
    except UNREADABLE as error:
        raise _invalid(folder, error) from error


def _read_part(folder: Path, name: str, kind: Any, dtype: torch.dtype) -> Any:
    part, told = kind.from_pretrained(
        folder / name,
        variant=source.variant(folder / name),
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    if missing := sorted(told["missing_keys"]):
        raise _lacks(folder, name, missing[0])
    return part


def _read_file(file: Path, dtype: torch.dtype, *, offline: bool) -> Any:
    source.check_file(file)
    _check_is_sdxl(file)
    config = file.with_suffix("")
    try:
        return StableDiffusionXLPipeline.from_single_file(
            file,
            dtype=dtype,
            config=str(config) if config.is_dir() else None,
            local_files_only=offline,
            add_watermarker=False,
        )
    except (huggingface_hub.errors.LocalEntryNotFoundError, HUB_ERROR) as error:
        raise ModelMissing(
            f"{file} holds weights only; its configuration and tokenizers (4 MB, from SDXL base) are not on this "
            f"machine. Start once with a connection to huggingface.co, or put them into the folder {config}."
        ) from error
    except UNREADABLE as error:
        raise _invalid(file, error) from error


def _check_is_sdxl(file: Path) -> None:
    try:
        with safetensors.safe_open(file, framework="pt") as tensors:
            is_sdxl = SECOND_ENCODER_KEY in tensors.keys()  # noqa: SIM118 (safe_open is no mapping)
    except UNREADABLE as error:
        raise _invalid(file, error) from error
    if not is_sdxl:
        raise ModelInvalid(f"{file} is not an SDXL base checkpoint (it lacks {SECOND_ENCODER_KEY}): give one that is.")


def _check_complete(pipe: Any, model: str | Path) -> None:
    """Tensors that the files lack are left without data, and the first use of them would fail far from here."""
    for part in source.WEIGHTED_PARTS:
        for name, tensor in getattr(pipe, part).state_dict().items():
            if tensor.is_meta:
                raise _lacks(model, part, name)


def _lacks(model: str | Path, part: str, tensor: str) -> ModelInvalid:
    return ModelInvalid(f"{model} lacks {part}'s {tensor}: the model is incomplete, get it again.")


def _invalid(path: Path, error: BaseException) -> BaseException:
    """What to raise for files that a library could not read; running out of memory says nothing about the files."""
    if is_out_of_memory(error):
        return error
    return ModelInvalid(f"{path} cannot be loaded ({error}): the files are damaged or do not fit; get the model again.")


def _half_precision_vae(own: Any, fp16_vae: str | Path, folder_of: FolderOf) -> Any:
    """A VAE that does not overflow: SDXL's own does in float16, so take the fixed one, or keep it in float32."""
    if not own.config.force_upcast:
        return own
    if own.config.scaling_factor == SDXL_LATENT_SCALE:
        try:
            folder = folder_of(str(fp16_vae)) if is_hub_id(fp16_vae) else Path(fp16_vae)
            return AutoencoderKL.from_pretrained(
                folder, dtype=torch.float16, use_safetensors=True, local_files_only=True
            )
        except (StudioError, OSError, ValueError, safetensors.SafetensorError) as error:
            log.warning("%s is not available (%s): decoding in float32, which takes more time.", fp16_vae, error)
    return own.to(torch.float32)


def _compel(pipe: Any) -> Any:
    # Without it, compel's parser takes 10 s for six nested parentheses: four times more with each.
    pyparsing.ParserElement.enable_packrat(cache_size_limit=None)
    compel = CompelForSDXL(pipe)
    # Pooling is asked for on its own (prompt.py); with it, compel's `.and()` fails on weights other than 1.
    compel.compel_2.requires_pooled = False
    return compel
