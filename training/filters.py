"""Image filters that more than one loss, sampler or regulariser needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_blur(values: Tensor, sigma: float, radius: int | None = None) -> Tensor:
    """Separable Gaussian of ``sigma`` pixels on [B, C, H, W], zero outside, cut at ``radius`` (default: 3 sigma).

    Two matrix products: on processors, convolutions of one channel are several times slower, above all backwards.
    """
    radius = max(1, int(3 * sigma + 0.5)) if radius is None else radius
    offsets = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    height, width = values.shape[-2:]
    return _band(kernel, height) @ values @ _band(kernel, width)


def _band(kernel: Tensor, side: int) -> Tensor:
    """The symmetric matrix [side, side] that convolves with a symmetric kernel of odd length."""
    radius = len(kernel) // 2
    place = torch.arange(side, device=kernel.device)
    offset = place - place[:, None] + radius
    inside = (offset >= 0) & (offset < len(kernel))
    return torch.where(inside, kernel[offset.clamp(0, len(kernel) - 1)], torch.zeros_like(kernel[:1]))


def is_local_maximum(values: Tensor, radius: int) -> Tensor:
    """Where [B, C, H, W] is the largest within ``radius`` pixels (Chebyshev); bool of the same shape."""
    # Two passes, across and down: the same maximum, and a third of the time.
    side = 2 * radius + 1
    pooled = F.max_pool2d(F.max_pool2d(values, (1, side), 1, (0, radius)), (side, 1), 1, (radius, 0))
    return values == pooled


def local_maxima(values: Tensor, radius: int) -> Tensor:
    """The map where it is the largest within ``radius`` pixels (Chebyshev), 0 elsewhere."""
    return torch.where(is_local_maximum(values, radius), values, torch.zeros_like(values))
