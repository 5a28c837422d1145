"""The autoencoder: a linear encoder that is computed, not trained, and a decoder that is trained.

Drawings are flat, so the principal components of 16x16 patches keep most of a picture (about 28 dB with 32 of 768), and
the picture can be put into latents by one matrix product. The same map is written into AutoencoderKL's encoder, as a
chain of 2x2-patch components in its strided convolutions. The decoder starts from the least-squares inverse of each
step; `training.sketch.decoder` teaches it the rest.
"""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.sketch.attributes import sample_avatar, sample_scene
from training.sketch.draw import draw

CHANNELS = 32  # of the latents
PATCH = 16  # pixels a latent cell
WIDTHS = (12, 32, 48, 64, 80)
LEVELS = (12, 32, 48, CHANNELS)  # components kept after each halving
# Added to the features before the last normalisation: it swamps their own variance, so that GroupNorm is constant.
ANCHOR = 40.0

Floats = NDArray[np.float32]


def drawings(count: int, seed: int, width: int = 256) -> Floats:
    """Pictures (count, 3, 256, width) in -1..1: two avatars for each scene."""
    rng = random.Random(seed)
    pictures = [draw(sample_avatar(rng) if i % 3 else sample_scene(rng), rng, width, 256) for i in range(count)]
    pixels = np.stack([np.asarray(picture) for picture in pictures]).astype(np.float32) / 127.5 - 1
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _halve(features: Floats) -> Floats:
    """(n, c, h, w) -> (n, 4c, h/2, w/2), ordered (c, row, column) as a convolution's weights are."""
    n, c, h, w = features.shape
    split = features.reshape(n, c, h // 2, 2, w // 2, 2)
    return np.ascontiguousarray(split.transpose(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h // 2, w // 2))


def _apply(features: Floats, basis: Floats) -> Floats:
    result: Floats = np.einsum("nchw,ck->nkhw", features, basis, optimize=True).astype(np.float32)
    return result


def fit_bases(pictures: Floats) -> list[Floats]:
    """One basis (4c, k) for each halving: the leading components of 2x2 patches, halved so that means stay means."""
    bases, features = [], pictures
    for keep in LEVELS:
        patches = _halve(features)
        flat = patches.transpose(0, 2, 3, 1).reshape(-1, patches.shape[1])
        _, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
        basis = (vectors[:, ::-1][:, :keep] / 2).astype(np.float32)
        bases.append(basis)
        features = _apply(patches, basis)
    return bases


def encode(pictures: Floats, bases: Sequence[Floats]) -> list[Floats]:
    """The features after each halving; the last are the raw latents (n, 32, h/16, w/16)."""
    features, levels = pictures, []
    for basis in bases:
        features = _apply(_halve(features), basis)
        levels.append(features)
    return levels


def latent_statistics(latents: Floats) -> tuple[list[float], list[float]]:
    """Mean and divisor for each channel.

    The divisor is the square root of the spread (scaled so that the whole has variance 1): between leaving the
    components as they are (the fine ones drown) and whitening them (they cost as much of the denoiser as the shapes).
    """
    mean, spread = latents.mean(axis=(0, 2, 3)), latents.std(axis=(0, 2, 3))
    divisor = np.sqrt(spread) * math.sqrt(float(spread.mean()))
    return [float(v) for v in mean], [float(v) for v in divisor]


def make_vae() -> Any:
    """diffusers' AutoencoderKL in our shape, with random weights.

    The latents' mean and spread are part of its weights: the SDXL pipeline takes `latents_mean` for 4 channels only.
    """
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        norm_num_groups=1,
        sample_size=256,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.0,
        force_upcast=False,
    )


def _pass_through(module: nn.Module) -> None:
    """Makes every residual block return its input (channels that appear or vanish are at the end)."""
    from diffusers.models.resnet import ResnetBlock2D

    for block in module.modules():
        if isinstance(block, ResnetBlock2D):
            nn.init.zeros_(block.conv2.weight)
            nn.init.zeros_(block.conv2.bias)
            if block.conv_shortcut is not None:
                out, inputs = block.conv_shortcut.weight.shape[:2]
                _set(block.conv_shortcut, np.eye(out, inputs, dtype=np.float32)[:, :, None, None])


def _set(conv: nn.Conv2d, weight: Floats, bias: Floats | None = None) -> None:
    """Writes `weight` (out, in, h, w) into the first channels and the upper left of the kernel; the rest is zero."""
    out, inputs, height, width = weight.shape
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[:out, :inputs, :height, :width] = torch.from_numpy(np.ascontiguousarray(weight))
        if conv.bias is not None:
            conv.bias.zero_()
            if bias is not None:
                conv.bias[: len(bias)] = torch.from_numpy(np.ascontiguousarray(bias))


def _centre(matrix: Floats) -> Floats:
    """A 3x3 kernel that acts on its own pixel only."""
    weight = np.zeros((*matrix.shape, 3, 3), np.float32)
    weight[:, :, 1, 1] = matrix
    return weight


def write_encoder(vae: Any, bases: Sequence[Floats], mean: Floats, spread: Floats) -> None:
    """The bases and the normalisation as weights.

    silu(x) - silu(-x) = x, so a pair of opposite channels passes the last activation unchanged.
    """
    encoder = vae.encoder
    _pass_through(encoder)
    _set(encoder.conv_in, _centre(np.eye(3, dtype=np.float32)))
    for block, basis in zip(encoder.down_blocks, bases, strict=False):
        # Downsample2D pads right and below, so the upper left 2x2 of its kernel covers exactly one patch.
        _set(block.downsamplers[0].conv, np.ascontiguousarray(basis.T.reshape(basis.shape[1], -1, 2, 2)))
    last = encoder.down_blocks[-1].resnets[0].conv_shortcut
    pairs = np.concatenate([np.eye(CHANNELS), -np.eye(CHANNELS)]).astype(np.float32)
    anchors = np.zeros(2 * CHANNELS + 2, np.float32)
    anchors[-2:] = ANCHOR, -ANCHOR
    _set(last, pairs[:, :, None, None], anchors)
    # GroupNorm divides by the root of 2 * ANCHOR^2 / width (the features' own share is under 0.2 %).
    nn.init.constant_(encoder.conv_norm_out.weight, ANCHOR * math.sqrt(2 / WIDTHS[-1]))
    nn.init.zeros_(encoder.conv_norm_out.bias)
    difference = np.concatenate([np.diag(1 / spread), -np.diag(1 / spread)], axis=1).astype(np.float32)
    log_variance = np.full(CHANNELS, -20.0)  # the encoder is certain
    _set(encoder.conv_out, _centre(difference), np.concatenate([-mean / spread, log_variance]).astype(np.float32))


def _inverse_step(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Least squares for a 3x3 convolution from nearest-enlarged `low` (n, c, h, w) to `high` (n, k, 2h, 2w)."""
    enlarged = functional.interpolate(torch.from_numpy(low), scale_factor=2.0, mode="nearest")
    columns = functional.unfold(enlarged, 3, padding=1)  # (n, 9c, 4hw)
    inputs = columns.permute(0, 2, 1).reshape(-1, columns.shape[1])
    targets = torch.from_numpy(high).permute(0, 2, 3, 1).reshape(-1, high.shape[1])
    chosen = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))[:30_000]
    inputs, targets = inputs[chosen].double(), targets[chosen].double()
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=inputs.dtype)], 1)
    gram = inputs.T @ inputs
    gram += torch.eye(len(gram), dtype=gram.dtype) * gram.diagonal().mean() * 1e-5
    solution = torch.linalg.solve(gram, inputs.T @ targets).float().numpy()
    weight = solution[:-1].T.reshape(high.shape[1], low.shape[1], 3, 3)
    return weight, solution[-1]


def write_decoder(vae: Any, pictures: Floats, bases: Sequence[Floats], mean: Floats, spread: Floats) -> None:
    """A first decoder: each enlargement is the least-squares inverse of its halving; spare channels are free."""
    decoder = vae.decoder
    _pass_through(decoder)
    _set(decoder.conv_in, _centre(np.diag(spread)), mean)
    levels = [pictures, *encode(pictures, bases)]
    low = levels[-1]
    for block, high in zip(decoder.up_blocks, reversed(levels[:-1]), strict=False):
        conv = block.upsamplers[0].conv
        spare = conv.weight.detach().clone() * 0.5
        weight, bias = _inverse_step(low, high)
        _set(conv, weight, bias)
        with torch.no_grad():
            conv.weight[len(weight) :] = spare[len(weight) :]
            padded = functional.pad(torch.from_numpy(low), (0, 0, 0, 0, 0, conv.in_channels - low.shape[1]))
            low = conv(functional.interpolate(padded, scale_factor=2.0))[:, : len(weight)].numpy()
    last = decoder.up_blocks[-1].resnets[0].conv_shortcut
    pairs = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    _set(last, pairs[:, :, None, None])
    out = np.concatenate([np.eye(3), -np.eye(3)], axis=1).astype(np.float32)
    _set(decoder.conv_out, _centre(out))
    # The six channels' own spread undoes the last normalisation on average; the decoder learns the rest.
    nn.init.constant_(decoder.conv_norm_out.weight, float(pictures.std() * math.sqrt(6 / WIDTHS[0])))


def psnr(error: Tensor) -> float:
    """Of pictures in -1..1, in decibels."""
    return 10 * math.log10(4 / float(error.square().mean()))


def prepare(folder: Path) -> None:
    """Fits the encoder once: bases and statistics in `encoder.npz`."""
    if (folder / "encoder.npz").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pictures = drawings(450, seed=101)
    bases = fit_bases(pictures)
    mean, spread = latent_statistics(encode(pictures, bases)[-1])
    np.savez(folder / "encoder.npz", *bases, mean=np.array(mean), spread=np.array(spread))


def load_encoder(folder: Path) -> tuple[list[Floats], Floats, Floats]:
    """Bases, mean and divisor (each (32,))."""
    stored = np.load(folder / "encoder.npz")
    bases = [stored[f"arr_{i}"] for i in range(len(LEVELS))]
    return bases, stored["mean"].astype(np.float32), stored["spread"].astype(np.float32)


def load_vae(folder: Path) -> Any:
    """The autoencoder with the computed encoder and whatever decoder has been trained so far (or its first one)."""
    bases, mean, spread = load_encoder(folder)
    torch.manual_seed(7)
    vae = make_vae()
    write_encoder(vae, bases, mean, spread)
    if (folder / "decoder.pt").exists():
        vae.decoder.load_state_dict(torch.load(folder / "decoder.pt", weights_only=True)["ema"])
    else:
        write_decoder(vae, drawings(15, seed=102), bases, mean, spread)
    return vae.eval()
