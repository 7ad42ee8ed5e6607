"""Multi-scale deformable attention (Deformable DETR, ICLR 2021): every cell looks at a few places that it chooses.

It has no operator in ONNX; what is exported interpolates by plain gathers, which is the same function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.plain_sampling import interpolate

#: Values [B, C, h, w] at cells [B, N, 2] to [B, N, C].
Interpolation = Callable[[Tensor, Tensor], Tensor]


def interpolate_by_grid(values: Tensor, cells: Tensor) -> Tensor:
    """:func:`training.networks.plain_sampling.interpolate` by torch's own operator."""
    size = torch.tensor([values.shape[-1], values.shape[-2]], device=values.device)
    grid = 2 * (cells + 0.5) / size - 1
    return F.grid_sample(values, grid[:, :, None], align_corners=False)[..., 0].transpose(1, 2)


class DeformableAttention(nn.Module):
    """Attention of every cell of every scale to a few places of every scale.

    :param channels: of the tokens.
    :param scales: how many.
    :param heads: each chooses places of its own.
    :param places: that a head looks at in each scale.
    """

    def __init__(self, channels: int, scales: int, heads: int, places: int) -> None:
        super().__init__()
        self.scales, self.heads, self.places = scales, heads, places
        self.interpolation: Interpolation = interpolate_by_grid
        self.offsets = nn.Linear(channels, heads * scales * places * 2)
        self.weights = nn.Linear(channels, heads * scales * places)
        self.values = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)
        self._start_as_rings()

    def _start_as_rings(self) -> None:
        """At first every head looks in a direction of its own, each place one cell farther, all weighing the same."""
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        angle = 2 * math.pi * torch.arange(self.heads) / self.heads
        ring = torch.stack([angle.cos(), angle.sin()], -1)
        ring = ring / ring.abs().amax(-1, keepdim=True)
        far = torch.arange(1, self.places + 1)
        start = ring[:, None, None] * far[None, None, :, None].expand(self.heads, self.scales, -1, 1)
        with torch.no_grad():
            self.offsets.bias.copy_(start.flatten())

    def forward(self, queries: Tensor, centres: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """:param queries: [N, L, C], tokens that ask.
        :param centres: [L, 2], where each is: x y, as shares of the image's width and height.
        :param maps: [N, C, h, w] of every scale, which are looked at.
        :returns: [N, L, C].
        """
        batch, length, channels = queries.shape
        offsets = self.offsets(queries).reshape(batch, length, self.heads, self.scales, self.places, 2)
        weights = self.weights(queries).reshape(batch, length, self.heads, self.scales * self.places).softmax(-1)
        weights = weights.reshape(batch, length, self.heads, self.scales, self.places)
        gathered = torch.zeros_like(queries)
        for number, values in enumerate(maps):
            height, width = values.shape[-2:]
            projected = self.values(values.flatten(2).transpose(1, 2)).transpose(1, 2)
            by_head = projected.reshape(batch * self.heads, channels // self.heads, height, width)
            x = centres[:, 0, None] * width - 0.5 + offsets[:, :, :, number, :, 0].permute(0, 2, 1, 3)
            y = centres[:, 1, None] * height - 0.5 + offsets[:, :, :, number, :, 1].permute(0, 2, 1, 3)
            cells = torch.stack([x, y], -1).reshape(batch * self.heads, length * self.places, 2)
            # In float32 whatever the network's precision: bf16 has coordinates of whole cells only.
            found = self.interpolation(by_head.float(), cells.float())
            found = found.reshape(batch, self.heads, length, self.places, channels // self.heads)
            share = weights[:, :, :, number].permute(0, 2, 1, 3)[..., None]
            gathered = gathered + (found * share).sum(3).permute(0, 2, 1, 3).reshape(batch, length, channels)
        attended: Tensor = self.output(gathered)
        return attended


def interpolate_plainly(network: nn.Module) -> None:
    """Let every deformable attention of a network interpolate by gathers, as the exported graph must."""
    for module in network.modules():
        if isinstance(module, DeformableAttention):
            module.interpolation = interpolate


class EncoderLayer(nn.Module):
    """Deformable attention and a feed-forward map, each around a shortcut with layer normalisation behind it."""

    def __init__(self, channels: int, scales: int, heads: int, places: int, hidden: int) -> None:
        super().__init__()
        self.attention = DeformableAttention(channels, scales, heads, places)
        self.attention_norm = nn.LayerNorm(channels)
        self.change = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
        self.change_norm = nn.LayerNorm(channels)

    def forward(self, maps: list[Tensor], places: list[Tensor], centres: Tensor) -> list[Tensor]:
        """:param maps: [N, C, h, w] of every scale.
        :param places: [h * w, C] of every scale: what tells a cell's place and scale.
        :param centres: [sum of h * w, 2], x y, shares of the image's width and height.
        """
        tokens = torch.cat([values.flatten(2) for values in maps], 2).transpose(1, 2)
        queries = tokens + torch.cat(places)
        tokens = self.attention_norm(tokens + self.attention(queries, centres, maps))
        tokens = self.change_norm(tokens + self.change(tokens))
        split = tokens.split([values.shape[-2] * values.shape[-1] for values in maps], 1)
        return [part.transpose(1, 2).reshape(values.shape) for part, values in zip(split, maps, strict=True)]


def cell_centres(values: Tensor) -> Tensor:
    """Centres of the cells of [N, C, h, w], row-major, as shares of width and height: [h * w, 2]."""
    height, width = values.shape[-2:]
    x = (torch.arange(width, device=values.device) + 0.5) / width
    y = (torch.arange(height, device=values.device) + 0.5) / height
    across, down = x.expand(height, -1), y[:, None].expand(-1, width)
    return torch.stack([across, down], -1).reshape(-1, 2)


def sine_encoding(centres: Tensor, channels: int) -> Tensor:
    """Sines and cosines of x and y at frequencies from 1 to 1 / 10 000 of a turn an image (Carion et al., ECCV 2020).

    :param centres: [L, 2], 0 to 1.
    :param channels: a multiple of 4.
    :returns: [L, channels].
    """
    step = torch.arange(channels // 4, device=centres.device)
    frequency = 10_000 ** (-4 * step / channels)
    angles = 2 * math.pi * centres[:, :, None] * frequency
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(1)


class DeformableEncoder(nn.Module):
    """Layers of deformable attention over several scales.

    :param channels: of the tokens, a multiple of 4 and of ``heads``.
    """

    def __init__(self, channels: int, scales: int, layers: int = 4, heads: int = 8, places: int = 8) -> None:
        super().__init__()
        self.channels = channels
        self.scale = nn.Parameter(0.02 * torch.randn(scales, channels))
        self.layers = nn.ModuleList(EncoderLayer(channels, scales, heads, places, 4 * channels) for _ in range(layers))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """:param maps: [N, C, h, w] of every scale; the result likewise."""
        by_scale = [cell_centres(values) for values in maps]
        places = [
            sine_encoding(centres, self.channels) + own for centres, own in zip(by_scale, self.scale, strict=True)
        ]
        for layer in self.layers:
            maps = layer(maps, places, torch.cat(by_scale))
        return maps
