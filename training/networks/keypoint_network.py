"""The small network of this project: one encoder at 1/8 resolution, a score head and a descriptor head.

The shape of the heads is SuperPoint's (DeTone et al., CVPR Workshops 2018): the score head gives 64 channels at 1/8
resolution, one for each pixel of the 8 x 8 cell, so that no full-resolution convolution is needed. Instead of a 65th
"no keypoint" channel, that class has the constant logit 0, so a pixel's logit means the same everywhere in the image.
Fine positions reach the score head through projected blocks of the first two stages' features.
"""

from __future__ import annotations

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


class KeypointNetwork(nn.Module):
    """Image to a logit map and a descriptor map; plain operators only.

    :param descriptor_size: D, channels of the descriptor map.
    :param width: channels of the trunk at 1/8 resolution; the other stages scale with it.
    """

    def __init__(self, descriptor_size: int = 64, width: int = 64) -> None:
        super().__init__()
        self.descriptor_size = descriptor_size
        self.width = width
        half, quarter, eighth = width // 4, width // 2, width
        sixteenth, coarsest = width * 3 // 2, width * 2
        self.stride2 = convolution(1, half, 2)
        self.stride4 = nn.Sequential(convolution(half, quarter, 2), convolution(quarter, quarter))
        self.stride8 = nn.Sequential(
            convolution(quarter, eighth, 2), convolution(eighth, eighth), convolution(eighth, eighth)
        )
        self.stride16 = nn.Sequential(convolution(eighth, sixteenth, 2), convolution(sixteenth, sixteenth))
        self.stride32 = nn.Sequential(convolution(sixteenth, coarsest, 2), convolution(coarsest, coarsest))
        self.from_stride16 = projection(sixteenth, eighth)
        self.from_stride32 = projection(coarsest, eighth)
        self.fuse = convolution(eighth, eighth)
        self.describe = nn.Sequential(convolution(eighth, eighth), nn.Conv2d(eighth, descriptor_size, 1))
        # Kernel and stride r: a pixel-unshuffle by r and a 1 x 1 convolution in one, without the transposes.
        self.fine_stride2 = projection(half, eighth, 4)
        self.fine_stride4 = projection(quarter, eighth, 2)
        self.fine_stride8 = projection(eighth, eighth)
        pixels = nn.Conv2d(eighth, CELL * CELL, 1)
        # Most pixels hold no keypoint: starting near that spares the first hundreds of steps.
        nn.init.constant_(cast(Tensor, pixels.bias), -5.0)
        self.score = nn.Sequential(nn.ReLU(inplace=True), convolution(eighth, eighth), pixels)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """:param image: float [B, 1, H, W] in 0..255, H and W multiples of 32.

        :returns: logits [B, 64, H/8, W/8], cell-wise (see :func:`logit_map`), and descriptors [B, D, H/8, W/8], not
            normalised.
        """
        half = self.stride2(standardise(image))
        quarter = self.stride4(half)
        eighth = self.stride8(quarter)
        sixteenth = self.stride16(eighth)
        coarsest = self.stride32(sixteenth)
        trunk = eighth + F.interpolate(self.from_stride16(sixteenth), scale_factor=2.0, mode="nearest")
        trunk = self.fuse(trunk + F.interpolate(self.from_stride32(coarsest), scale_factor=4.0, mode="nearest"))
        fine = self.fine_stride2(half) + self.fine_stride4(quarter)
        return self.score(fine + self.fine_stride8(trunk)), self.describe(trunk)


def standardise(image: Tensor) -> Tensor:
    """Zero mean and unit deviation over each image, so that exposure does not matter."""
    mean = image.mean((2, 3), keepdim=True)
    centred = image - mean
    deviation = centred.square().mean((2, 3), keepdim=True).sqrt()
    return centred / (deviation + 4.0)


def logit_map(logits: Tensor) -> Tensor:
    """Cell-wise logits [B, 64, h, w] to one logit a pixel, [B, 1, 8h, 8w]."""
    return F.pixel_shuffle(logits, CELL)


def probability_map(logits: Tensor) -> Tensor:
    """Probability that a pixel is its cell's keypoint, against the constant logit 0 of "none": [B, 1, 8h, 8w]."""
    none = torch.zeros_like(logits[:, :1])
    return F.pixel_shuffle(torch.cat([logits, none], 1).softmax(1)[:, :-1], CELL)
