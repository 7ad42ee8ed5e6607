"""The same trunk with SuperPoint's score head (DeTone et al., CVPR Workshops 2018), as the first ``kp_base`` had it.

The head gives 64 channels at 1/8 resolution, one for each pixel of the 8 x 8 cell, so that no convolution at a higher
resolution is needed. Instead of a 65th "no keypoint" channel, that class has the constant logit 0, so a pixel's logit
means the same everywhere in the image. Kept to compare with: tables A to D of docs/methods.md were made with it.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from training.networks.keypoint_network import CELL, Trunk, projection, separable_blocks, standardise


class CellScoreHead(nn.Module):
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


class CellNetwork(nn.Module):
    """Image to a logit map and a descriptor map; plain operators only.

    :param descriptor_size: D, channels of the descriptor map.
    :param width: channels of the trunk at 1/8 resolution; the other stages scale with it.
    """

    def __init__(self, descriptor_size: int = 64, width: int = 64) -> None:
        super().__init__()
        self.descriptor_size = descriptor_size
        self.trunk = Trunk(width, kernel=3, depths=(4, 3))
        self.score = CellScoreHead(width)
        self.describe = nn.Conv2d(width, descriptor_size, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """:param image: float [B, 1, H, W] in 0..255, H and W multiples of 32.

        :returns: logits [B, 64, H/8, W/8], cell-wise (see :func:`training.networks.keypoint_network.logit_map`), and
            descriptors [B, D, H/8, W/8], not normalised.
        """
        _, quarter, eighth = self.trunk(standardise(image))
        return self.score(quarter, eighth), self.describe(eighth)
