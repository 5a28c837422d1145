"""The acoustic model: a small time-delay network from MFCCs to phones, one output every 30 ms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.speech_demo.frames import COEFFICIENTS, SUBSAMPLING

WIDTH = 160


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution over time: `taps` frames, `spacing` frames apart, moving `stride` frames an output."""

    taps: int
    spacing: int = 1
    stride: int = 1


LAYERS = (Layer(5), Layer(3, stride=SUBSAMPLING), Layer(3), Layer(3), Layer(3, spacing=2), Layer(3, spacing=2))

CONTEXT = 21
"""Frames seen on each side: 2 + 1, then (1 + 1 + 2 + 2) outputs of SUBSAMPLING frames each."""


class Network(nn.Module):
    """Normalise, then LAYERS of convolution, batch norm and ReLU, then a softmax over the phones."""

    def __init__(self, phones: int, width: int = WIDTH, dropout: float = 0.1) -> None:
        super().__init__()
        inputs = (COEFFICIENTS, *[width] * (len(LAYERS) - 1))
        self.norm = nn.BatchNorm1d(COEFFICIENTS, affine=False)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(n, width, layer.taps, dilation=layer.spacing, stride=layer.stride, bias=False)
            for n, layer in zip(inputs, LAYERS, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in LAYERS)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Conv1d(width, phones, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (batch, frames, COEFFICIENTS), padded -> log probabilities (batch, outputs, phones)."""
        x = self.norm(features.transpose(1, 2))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = self.dropout(torch.relu(norm(convolution(x))))
        return torch.log_softmax(self.output(x), 1).transpose(1, 2)


def padded(features: NDArray[np.float16], outputs: int) -> NDArray[np.float16]:
    """Repeat the first and the last frame so that the network gives exactly `outputs` outputs, as Vosk does."""
    needed = SUBSAMPLING * (outputs - 1) + 1 + 2 * CONTEXT
    return features[np.clip(np.arange(needed) - CONTEXT, 0, len(features) - 1)]
