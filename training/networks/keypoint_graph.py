"""What is exported of the small network: the same function, with nothing at full resolution."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from training.networks.detector_graph import DetectorGraph, sample_cells, unit
from training.networks.keypoint_network import BLOCK, KeypointNetwork, spread, standardise


class KeypointGraph(DetectorGraph):
    """Image to keypoints, scores and descriptors.

    Points are selected among blocks of 2 x 2 pixels, each as good as its best one, and placed in the 6 x 6 pixels of a
    block and its neighbours by what lies around them alone: what the place is worth would draw all points uphill.

    One convolution gives the descriptors and the score's context: a map of one channel alone costs runtimes as much as
    one of sixteen, and interpolating it four times that.

    :param network: its weights are taken as they are now.
    :param max_keypoints: K.
    :ivar unit: side of what is selected among, pixels of the image.
    """

    network: KeypointNetwork
    unit = BLOCK

    phase: Tensor
    row: Tensor
    column: Tensor
    places: Tensor

    def __init__(self, network: KeypointNetwork, max_keypoints: int = 1024) -> None:
        super().__init__(network, max_keypoints, radius=1, border=2)
        describe, context = network.describe, network.score.context
        self.coarse = nn.Conv2d(network.width, network.descriptor_size + 1, 1)
        with torch.no_grad():
            self.coarse.weight.copy_(torch.cat([describe.weight, context.weight]))
            cast(Tensor, self.coarse.bias).copy_(torch.cat([cast(Tensor, describe.bias), cast(Tensor, context.bias)]))
        side = torch.arange(-BLOCK, 2 * BLOCK)
        y, x = side.repeat_interleave(len(side)), side.repeat(len(side))
        # Where in the block-wise logits the pixels around a block's first one are.
        self.register_buffer("phase", BLOCK * (y % BLOCK) + x % BLOCK, False)
        self.register_buffer("row", torch.div(y, BLOCK, rounding_mode="floor"), False)
        self.register_buffer("column", torch.div(x, BLOCK, rounding_mode="floor"), False)
        self.register_buffer("places", torch.stack([x, y], 1).float(), False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`training.networks.detector_graph.DetectorGraph.forward`."""
        half, _, eighth = self.network.trunk(standardise(image.float()))
        coarse = self.coarse(eighth).float()
        local = self.network.score.local(half).float()
        values, blocks = self.select(best_of_blocks(local) + spread(coarse[:, -1:]))
        keypoints = self.refine(local, blocks)
        return keypoints, values.sigmoid(), unit(sample_cells(coarse, keypoints)[:, :-1])

    def refine(self, logits: Tensor, pixels: Tensor) -> Tensor:
        """Soft-argmax of the 6 x 6 logits of each block and its neighbours: float32 [K, 2], pixels of the image.

        :param logits: [1, 4, h, w], block-wise.
        :param pixels: int64 [K, 2], blocks, at least one away from the edge.
        """
        height, width = logits.shape[-2:]
        around = self.phase * (height * width) + self.row * width + self.column
        window = logits.take((pixels[:, 1:] * width + pixels[:, :1]) + around)
        return BLOCK * pixels.float() + window.softmax(1) @ self.places


def best_of_blocks(logits: Tensor) -> Tensor:
    """Largest of four channels: [1, 4, h, w] to [1, 1, h, w].

    Row by row of the flat map: ONNX Runtime takes four times as long for amax, and OpenVINO for slices of channels.
    """
    rows = logits.reshape(BLOCK * BLOCK, -1)
    upper, lower = torch.maximum(rows[:1], rows[1:2]), torch.maximum(rows[2:3], rows[3:])
    return torch.maximum(upper, lower).reshape_as(logits[:, :1])
