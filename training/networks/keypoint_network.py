"""The small network of this project: one encoder at 1/8 resolution, a score head and a descriptor head.

The shape of the heads is SuperPoint's (DeTone et al., CVPR Workshops 2018): the score head gives 64 channels at 1/8
resolution, one for each pixel of the 8 x 8 cell, so that no full-resolution convolution is needed. Instead of a 65th
"no keypoint" channel, that class has the constant logit 0, so a pixel's logit means the same everywhere in the image.
Fine positions reach the score head through projected blocks of the features at 1/4 resolution.

Where the time goes was measured operator by operator (ONNX Runtime, one thread, 640 x 480): a dense 3 x 3 convolution
of 64 channels at 1/8 costs 2.4 ms, a depthwise 5 x 5 with a 1 x 1 behind it 0.65 ms, the same at 1/16 0.3 ms. Hence
dense convolutions only where the resolution falls, and most of the depth at 1/16.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Pixels of a cell's side; the image's sides must be multiples of :data:`STRIDE`.
CELL = 8
#: The coarsest stage's stride.
STRIDE = 32


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
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
    """Image to features at 1/4 (shallow) and at 1/8 (deep): down to 1/32 and up again."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sixteenth, coarsest = width * 3 // 2, width * 3
        self.stride4 = nn.Sequential(convolution(1, width // 4, 2), convolution(width // 4, width // 2, 2))
        self.stride8 = convolution(width // 2, width, 2)
        self.stride16 = nn.Sequential(
            projection(width, sixteenth, 2), nn.ReLU(inplace=True), separable_blocks(sixteenth, 4)
        )
        self.stride32 = nn.Sequential(
            projection(sixteenth, coarsest, 2), nn.ReLU(inplace=True), separable_blocks(coarsest, 3)
        )
        self.from_stride32 = projection(coarsest, sixteenth)
        self.refine_stride16 = nn.Sequential(nn.ReLU(inplace=True), SeparableBlock(sixteenth))
        self.from_stride16 = projection(sixteenth, width)
        self.refine_stride8 = nn.Sequential(nn.ReLU(inplace=True), separable_blocks(width, 2))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """:returns: [B, width / 2, H/4, W/4] and [B, width, H/8, W/8]."""
        quarter = self.stride4(image)
        eighth = self.stride8(quarter)
        sixteenth = self.stride16(eighth)
        coarsest = self.stride32(sixteenth)
        sixteenth = self.refine_stride16(sixteenth + upsample(self.from_stride32(coarsest)))
        return quarter, self.refine_stride8(eighth + upsample(self.from_stride16(sixteenth)))


class ScoreHead(nn.Module):
    """The trunk's features to one logit a pixel: nothing else depends on these weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Kernel and stride 2: a pixel-unshuffle and a 1 x 1 convolution in one, without the transposes.
        self.fine = projection(width // 2, width, 2)
        self.context = projection(width, width)
        self.blocks = nn.Sequential(nn.ReLU(inplace=True), separable_blocks(width, 2, 3))
        self.pixels = nn.Conv2d(width, CELL * CELL, 1)
        # Most pixels hold no keypoint: starting near that spares the first hundreds of steps.
        nn.init.constant_(cast(Tensor, self.pixels.bias), -5.0)

    def forward(self, quarter: Tensor, eighth: Tensor) -> Tensor:
        """:returns: [B, 64, H/8, W/8]."""
        return cast(Tensor, self.pixels(self.blocks(self.fine(quarter) + self.context(eighth))))


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

    def detector_parameters(self) -> Iterator[nn.Parameter]:
        """Those that only the logits depend on: training them alone leaves every descriptor as it is."""
        return self.score.parameters()

    def descriptor_modules(self) -> tuple[nn.Module, ...]:
        """All that descriptors depend on; in evaluation mode their batch statistics stay, too."""
        return self.trunk, self.describe

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """:param image: float [B, 1, H, W] in 0..255, H and W multiples of 32.

        :returns: logits [B, 64, H/8, W/8], cell-wise (see :func:`logit_map`), and descriptors [B, D, H/8, W/8], not
            normalised.
        """
        quarter, eighth = self.trunk(standardise(image))
        return self.score(quarter, eighth), self.describe(eighth)


def upsample(features: Tensor) -> Tensor:
    """Every pixel four times."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")


def standardise(image: Tensor) -> Tensor:
    """Zero mean and unit deviation over each image, so that exposure does not matter; 4 grey levels bound the gain."""
    return F.instance_norm(image, eps=16.0)


def logit_map(logits: Tensor) -> Tensor:
    """Cell-wise logits [B, 64, h, w] to one logit a pixel, [B, 1, 8h, 8w]."""
    return F.pixel_shuffle(logits, CELL)


def probability_map(logits: Tensor) -> Tensor:
    """Probability that a pixel is its cell's keypoint, against the constant logit 0 of "none": [B, 1, 8h, 8w]."""
    none = torch.zeros_like(logits[:, :1])
    return F.pixel_shuffle(torch.cat([logits, none], 1).softmax(1)[:, :-1], CELL)
