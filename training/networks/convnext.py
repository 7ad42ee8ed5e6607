"""ConvNeXt (Liu et al., CVPR 2022) as a backbone of four scales; layers are named as in its release and in DINOv3's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: ConvNeXt-B.
BASE_DEPTHS = (3, 3, 27, 3)
BASE_CHANNELS = (128, 256, 512, 1024)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of [N, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """The same shape."""
        last = F.layer_norm(features.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return last.permute(0, 3, 1, 2)


class Block(nn.Module):
    """Depthwise 7 x 7 convolution, layer normalisation, two linear maps, a learned scale, around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(1e-6 * torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """:param features: [N, C, H, W]; the result likewise."""
        change: Tensor = self.norm(self.dwconv(features).permute(0, 2, 3, 1))
        change = self.gamma * self.pwconv2(F.gelu(self.pwconv1(change)))
        return features + change.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """Image to features at strides 4, 8, 16, 32.

    :param depths: blocks of each stage.
    :param channels: of each stage.
    """

    def __init__(self, depths: Sequence[int] = BASE_DEPTHS, channels: Sequence[int] = BASE_CHANNELS) -> None:
        super().__init__()
        self.channels = tuple(channels)
        stem = nn.Sequential(nn.Conv2d(3, channels[0], 4, 4), ChannelNorm(channels[0]))
        halvings = [
            nn.Sequential(ChannelNorm(before), nn.Conv2d(before, after, 2, 2)) for before, after in pairwise(channels)
        ]
        self.downsample_layers = nn.ModuleList([stem, *halvings])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth))) for depth, width in zip(depths, channels, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """:param images: float [N, 3, H, W], normalised, H and W multiples of 32.

        :returns: [N, channels, H / stride, W / stride] of each stage, finest first.
        """
        found, values = [], images
        for halve, stage in zip(self.downsample_layers, self.stages, strict=True):
            values = stage(halve(values))
            found.append(values)
        return found

    def load_public(self, state: Mapping[str, Tensor]) -> None:
        """Take published weights; the normalisation behind the last stage, of the class token, is left out."""
        self.load_state_dict({name: state[name] for name in self.state_dict()})
