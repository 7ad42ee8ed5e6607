"""The small network of this project: one encoder, a score head at half resolution and a descriptor head at 1/8.

The score head sees what lies around a pixel (13 x 13 pixels) through convolutions at 1/2, which slide along with the
image, and what the place is worth through one channel of the trunk, interpolated. A head that gives the 64 logits of a
cell at 1/8, as SuperPoint's does (DeTone et al., CVPR Workshops 2018; :mod:`training.networks.cell_network`), does not
slide: of the points that the first ``kp_base`` found, half stayed where they were in their cells when an image was
moved by 4 pixels (docs/methods.md).

Where the time goes was measured operator by operator (ONNX Runtime, one thread, 640 x 480): a dense 3 x 3 convolution
of 64 channels at 1/8 costs 2.4 ms, a depthwise 5 x 5 with a 1 x 1 behind it 0.65 ms, the same at 1/16 0.3 ms, the
depthwise 5 x 5 of 16 channels at 1/2 0.6 ms. Hence dense convolutions only where the resolution falls, most of the
depth at 1/16, and nothing at full resolution: not even the suppression (:mod:`training.networks.keypoint_graph`).
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Pixels of a cell's side; the image's sides must be multiples of :data:`STRIDE`.
CELL = 8
#: Pixels of a side of the blocks that the score head gives logits of.
BLOCK = 2
#: The coarsest stage's stride.
STRIDE = 32


def convolution(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def projection(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Linear map of each ``stride`` x ``stride`` block of pixels to one, and batch normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, stride, stride, bias=False), nn.BatchNorm2d(outputs))


class SeparableBlock(nn.Module):
    """Depthwise and pointwise convolution around a shortcut, a ReLU behind the sum (which runtimes fuse)."""

    def __init__(self, channels: int, kernel: int = 5) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """:param features: [B, C, H, W]; the result likewise."""
        return F.relu(features + self.change(features), inplace=True)


def separable_blocks(channels: int, count: int, kernel: int = 5) -> nn.Sequential:
    """``count`` blocks in a row."""
    return nn.Sequential(*(SeparableBlock(channels, kernel) for _ in range(count)))


class Trunk(nn.Module):
    """Image to features at 1/2 and 1/4 (shallow) and at 1/8 (deep): down to 1/32 and up again.

    :param width: channels at 1/8 resolution; the other stages scale with it.
    :param kernel: side of the first convolution's kernel, pixels.
    :param depths: blocks at 1/16 and at 1/32.
    """

    def __init__(self, width: int, kernel: int = 5, depths: tuple[int, int] = (3, 1)) -> None:
        super().__init__()
        sixteenth, coarsest = width * 3 // 2, width * 3
        self.stride4 = nn.Sequential(convolution(1, width // 4, 2, kernel), convolution(width // 4, width // 2, 2))
        self.stride8 = convolution(width // 2, width, 2)
        self.stride16 = nn.Sequential(
            projection(width, sixteenth, 2), nn.ReLU(inplace=True), separable_blocks(sixteenth, depths[0])
        )
        self.stride32 = nn.Sequential(
            projection(sixteenth, coarsest, 2), nn.ReLU(inplace=True), separable_blocks(coarsest, depths[1])
        )
        self.from_stride32 = projection(coarsest, sixteenth)
        self.refine_stride16 = nn.Sequential(nn.ReLU(inplace=True), SeparableBlock(sixteenth))
        self.from_stride16 = projection(sixteenth, width)
        self.refine_stride8 = nn.Sequential(nn.ReLU(inplace=True), separable_blocks(width, 2))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """:returns: [B, width / 4, H/2, W/2], [B, width / 2, H/4, W/4] and [B, width, H/8, W/8]."""
        half = self.stride4[0](image)
        quarter = self.stride4[1](half)
        eighth = self.stride8(quarter)
        sixteenth = self.stride16(eighth)
        coarsest = self.stride32(sixteenth)
        sixteenth = self.refine_stride16(sixteenth + upsample(self.from_stride32(coarsest)))
        return half, quarter, self.refine_stride8(eighth + upsample(self.from_stride16(sixteenth)))


class ScoreHead(nn.Module):
    """The trunk's features to one logit a pixel: nothing else depends on these weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        shallow = width // 4
        self.local = nn.Sequential(
            nn.Conv2d(shallow, shallow, 5, 1, 2, groups=shallow, bias=False),
            nn.BatchNorm2d(shallow),
            nn.ReLU(inplace=True),
            nn.Conv2d(shallow, shallow, 1, bias=False),
            nn.BatchNorm2d(shallow),
            nn.ReLU(inplace=True),
            nn.Conv2d(shallow, BLOCK * BLOCK, 1),
        )
        self.context = nn.Conv2d(width, 1, 1)
        # Most pixels hold no keypoint: starting near that spares the first hundreds of steps.
        nn.init.constant_(cast(Tensor, self.context.bias), -4.0)

    def forward(self, half: Tensor, eighth: Tensor) -> Tensor:
        """:returns: [B, 4, H/2, W/2]."""
        return cast(Tensor, self.local(half) + spread(self.context(eighth)))


class KeypointNetwork(nn.Module):
    """Image to a logit map and a descriptor map; plain operators only.

    :param descriptor_size: D, channels of the descriptor map.
    :param width: channels of the trunk at 1/8 resolution; the other stages scale with it.
    """

    def __init__(self, descriptor_size: int = 64, width: int = 64) -> None:
        super().__init__()
        self.descriptor_size = descriptor_size
        self.width = width
        self.trunk = Trunk(width)
        self.score = ScoreHead(width)
        self.describe = nn.Conv2d(width, descriptor_size, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """:param image: float [B, 1, H, W] in 0..255, H and W multiples of 32.

        :returns: logits [B, 4, H/2, W/2], of blocks of 2 x 2 pixels (see :func:`logit_map`), and descriptors
            [B, D, H/8, W/8], not normalised.
        """
        half, _, eighth = self.trunk(standardise(image))
        return self.score(half, eighth), self.describe(eighth)


def spread(context: Tensor) -> Tensor:
    """What a place is worth, [B, 1, H/8, W/8], for every block of 2 x 2 pixels: [B, 1, H/2, W/2].

    Mean of 3 x 3 cells, then bilinear interpolation. Smoothed, since points gather along the cells' edges where the
    slope changes there. Written as two products of matrices, which take a fifth of what runtimes take to interpolate.
    """
    height, width = context.shape[-2:]
    return spreading(height, context) @ context @ spreading(width, context).transpose(0, 1)


def spreading(cells: int, like: Tensor) -> Tensor:
    """Mean of three cells, or two at an end, then linear interpolation at four places a cell: [4 cells, cells]."""
    number = torch.arange(cells, device=like.device).to(like.dtype)
    place = (torch.arange(4 * cells, device=like.device).to(like.dtype) + 0.5) / 4 - 0.5
    place = F.relu(place).minimum(number[-1:])
    interpolated = F.relu(1 - (place[:, None] - number).abs())
    near = F.relu(2 - (number[:, None] - number).abs()).sign()
    return interpolated @ (near / near.sum(1, keepdim=True))


def upsample(features: Tensor) -> Tensor:
    """Every pixel four times."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")


def standardise(image: Tensor) -> Tensor:
    """Zero mean and unit deviation over each image, so that exposure does not matter; 4 grey levels bound the gain."""
    return F.instance_norm(image, eps=16.0)


def logit_map(logits: Tensor) -> Tensor:
    """Logits [B, r * r, h, w], block-wise, to one map [B, 1, r h, r w]."""
    return F.pixel_shuffle(logits, math.isqrt(logits.shape[1]))


def probability_map(logits: Tensor) -> Tensor:
    """Probability that a pixel is its cell's keypoint, against the constant logit 0 of "none".

    :param logits: a map [B, 1, H, W].
    :returns: likewise.
    """
    cells = F.pixel_unshuffle(logits, CELL)
    none = torch.zeros_like(cells[:, :1])
    return logit_map(torch.cat([cells, none], 1).softmax(1)[:, :-1])
