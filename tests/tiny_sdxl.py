"""Makes very small SDXL models with random weights, in the real layouts: a diffusers folder, a single-file checkpoint.

They draw noise, but through the same code and file formats as the real model: two CLIP text encoders with byte-level
tokenizers, a text_time UNet with cross attention, an AutoencoderKL.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

TEXT_WIDTHS = (32, 48)
"""Widths of the text encoders, which the UNet sees side by side. They differ, as SDXL's do: by that a single-file
checkpoint tells them apart."""

TIME_ID_WIDTH = 8
"""Width of each of the six time ids (original size, crop, target size)."""


@dataclass(frozen=True)
class Shape:
    """What differs between the small models."""

    latent_channels: int = 4
    vae_levels: int = 4
    """Pixels of a latent: 2 ** (levels - 1)."""
    v_prediction: bool = False
    """With it also zero terminal SNR, trailing timesteps and latents_mean/latents_std."""


def build_folder(folder: Path, shape: Shape = Shape()) -> Path:
    """Write a model in diffusers' layout."""
    build_pipeline(folder / "tokenizer_files", shape).save_pretrained(folder, safe_serialization=True)
    return folder


def build_pipeline(tokenizer_files: Path, shape: Shape = Shape()) -> Any:
    """A StableDiffusionXLPipeline whose pictures use the whole range of brightness and depend on the prompt."""
    torch.manual_seed(0)
    tokenizer = _tokenizer(tokenizer_files)
    vae, unet = _vae(shape), _unet(shape)
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "attn2.to_out" in name or "add_embedding" in name:
                weight.mul_(8)  # else random words hardly act on the picture
        unet.conv_out.weight.mul_(
            0.25
        )  # else random weights are chaotic: rounding grows to another picture in 10 steps
        latents = torch.randn(4, shape.latent_channels, 16, 16)
        if shape.v_prediction:
            latents = latents * 2 + 0.5
        contrast = 0.5 / vae.decode(latents).sample.std()
        vae.decoder.conv_out.weight.mul_(contrast)
    return StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(_text_config(tokenizer, TEXT_WIDTHS[0])).eval(),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer, TEXT_WIDTHS[1])).eval(),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=_scheduler(shape),
        add_watermarker=False,
    )


def _tokenizer(folder: Path) -> CLIPTokenizer:
    """Every byte is a token, within a word and at its end; there are no merges."""
    letters = [chr(i) for i in range(33, 127)] + [chr(i) for i in range(161, 173)] + [chr(i) for i in range(174, 256)]
    letters += [chr(256 + i) for i in range(256 - len(letters))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def _text_config(tokenizer: CLIPTokenizer, width: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=width,
        max_position_embeddings=77,
        initializer_factor=5.0,  # at 1 all texts look alike; at 20 attention is so sharp that rounding shows
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _unet(shape: Shape) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=shape.latent_channels,
        out_channels=shape.latent_channels,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        transformer_layers_per_block=1,
        use_linear_projection=True,
        cross_attention_dim=sum(TEXT_WIDTHS),
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_ID_WIDTH,
        projection_class_embeddings_input_dim=6 * TIME_ID_WIDTH + TEXT_WIDTHS[1],
    ).eval()


def _vae(shape: Shape) -> AutoencoderKL:
    normalised = {"latents_mean": [0.5] * shape.latent_channels, "latents_std": [2.0] * shape.latent_channels}
    return AutoencoderKL(
        block_out_channels=(8, *(16,) * (shape.vae_levels - 1)),
        down_block_types=("DownEncoderBlock2D",) * shape.vae_levels,
        up_block_types=("UpDecoderBlock2D",) * shape.vae_levels,
        latent_channels=shape.latent_channels,
        norm_num_groups=8,
        sample_size=64,
        scaling_factor=1.0,
        **(normalised if shape.v_prediction else {}),
    ).eval()


def _scheduler(shape: Shape) -> EulerDiscreteScheduler:
    zero_snr = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return EulerDiscreteScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        **(zero_snr if shape.v_prediction else {"steps_offset": 1, "timestep_spacing": "leading"}),
    )


def write_checkpoint(pipe: Any, file: Path) -> Path:
    """Write the single-file layout that SDXL checkpoints are shared in."""
    tensors = {
        **_original_unet(pipe.unet.state_dict(), pipe.unet.config.layers_per_block + 1),
        **_original_vae(pipe.vae.state_dict(), len(pipe.vae.config.block_out_channels)),
        **_original_clip(pipe.text_encoder.state_dict()),
        **_original_open_clip(pipe.text_encoder_2.state_dict()),
    }
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, file)
    return file


def write_checkpoint_config(model_folder: Path, config_folder: Path) -> Path:
    """What a checkpoint lacks: the model folder's configuration and tokenizers, without its weights."""
    for file in model_folder.rglob("*"):
        if file.suffix in {".json", ".txt"}:
            target = config_folder / file.relative_to(model_folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return config_folder


def _renamed(tensors: dict[str, torch.Tensor], prefix: str, rules: list[tuple[str, Any]]) -> dict[str, torch.Tensor]:
    renamed = {}
    for key, tensor in tensors.items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        renamed[prefix + key] = tensor
    return renamed


def _original_unet(tensors: dict[str, torch.Tensor], blocks: int) -> dict[str, torch.Tensor]:
    """`blocks`: input blocks of a level, its down-sampler included; output blocks are as many."""

    def place(match: re.Match[str]) -> str:
        side, level, kind, layer = match[1], int(match[2]), match[3], int(match[4])
        number = blocks * level + layer + (1 if side == "down" else 0)
        return f"{'input' if side == 'down' else 'output'}_blocks.{number}.{0 if kind == 'resnets' else 1}."

    return _renamed(
        tensors,
        "model.diffusion_model.",
        [
            (r"^time_embedding\.linear_1", "time_embed.0"),
            (r"^time_embedding\.linear_2", "time_embed.2"),
            (r"^add_embedding\.linear_1", "label_emb.0.0"),
            (r"^add_embedding\.linear_2", "label_emb.0.2"),
            (r"^conv_in", "input_blocks.0.0"),
            (r"^conv_norm_out", "out.0"),
            (r"^conv_out", "out.2"),
            (r"^down_blocks\.(\d+)\.downsamplers\.0\.conv", lambda m: f"input_blocks.{blocks * (int(m[1]) + 1)}.0.op"),
            (
                r"^up_blocks\.(\d+)\.upsamplers\.0\.conv",
                lambda m: f"output_blocks.{blocks * int(m[1]) + blocks - 1}.2.conv",
            ),
            (r"^(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", place),
            (r"^mid_block\.resnets\.0", "middle_block.0"),
            (r"^mid_block\.attentions\.0", "middle_block.1"),
            (r"^mid_block\.resnets\.1", "middle_block.2"),
            (r"(?<=\.)norm1(?=\.(weight|bias)$)(?<!transformer_blocks\.0\.norm1)", "in_layers.0"),
            (r"(?<=\.)norm2(?=\.(weight|bias)$)(?<!transformer_blocks\.0\.norm2)", "out_layers.0"),
            (r"(?<=\.)conv1", "in_layers.2"),
            (r"(?<=\.)conv2", "out_layers.3"),
            (r"time_emb_proj", "emb_layers.1"),
            (r"conv_shortcut", "skip_connection"),
        ],
    )


def _original_vae(tensors: dict[str, torch.Tensor], levels: int) -> dict[str, torch.Tensor]:
    as_convolutions = {
        key: tensor[:, :, None, None] if ".attentions." in key and tensor.ndim == 2 else tensor
        for key, tensor in tensors.items()
    }
    return _renamed(
        as_convolutions,
        "first_stage_model.",
        [
            (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."),
            (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
            (r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{levels - 1 - int(m[1])}.block."),
            (r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{levels - 1 - int(m[1])}.upsample."),
            (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
            (r"mid_block\.attentions\.0\.", "mid.attn_1."),
            (r"attn_1\.group_norm", "attn_1.norm"),
            (r"attn_1\.to_out\.0", "attn_1.proj_out"),
            (r"attn_1\.to_([qkv])", r"attn_1.\1"),
            (r"conv_shortcut", "nin_shortcut"),
            (r"conv_norm_out", "norm_out"),
        ],
    )


def _original_clip(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return _renamed(tensors, "conditioner.embedders.0.transformer.", [(r"^(text_model\.)?", "text_model.")])


def _original_open_clip(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    tensors = dict(tensors)
    for key in [key for key in tensors if ".q_proj." in key]:
        parts = [tensors.pop(key.replace("q_proj", name)) for name in ("q_proj", "k_proj", "v_proj")]
        stem, kind = key.split(".q_proj.")
        tensors[f"{stem}.in_proj_{kind}"] = torch.cat(parts)
    tensors["text_projection.weight"] = tensors["text_projection.weight"].T
    return _renamed(
        tensors,
        "conditioner.embedders.1.model.",
        [
            (r"^text_model\.", ""),
            (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
            (r"^embeddings\.token_embedding", "token_embedding"),
            (r"^text_projection\.weight", "text_projection"),
            (r"^final_layer_norm", "ln_final"),
            (r"^encoder\.layers", "transformer.resblocks"),
            (r"layer_norm(\d)", r"ln_\1"),
            (r"mlp\.fc1", "mlp.c_fc"),
            (r"mlp\.fc2", "mlp.c_proj"),
            (r"self_attn", "attn"),
        ],
    )
