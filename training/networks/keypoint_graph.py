"""What is exported of the small network: the same function, with nothing at full resolution."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from training.networks.detector_graph import DetectorGraph, pixel_rows, sample_cells, unit
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

    places: Tensor

    def __init__(self, network: KeypointNetwork, max_keypoints: int = 1024) -> None:
        super().__init__(network, max_keypoints, radius=1, border=2)
        describe, context = network.describe, network.score.context
        self.coarse = nn.Conv2d(network.width, network.descriptor_size + 1, 1)
        with torch.no_grad():
            self.coarse.weight.copy_(torch.cat([describe.weight, context.weight]))
            cast(Tensor, self.coarse.bias).copy_(torch.cat([cast(Tensor, describe.bias), cast(Tensor, context.bias)]))
        side, within = torch.arange(-1, 2), torch.arange(BLOCK)
        x = BLOCK * side.repeat(3)[:, None] + within.repeat(BLOCK)
        y = BLOCK * side.repeat_interleave(3)[:, None] + within.repeat_interleave(BLOCK)
        self.register_buffer("places", torch.stack([x.flatten(), y.flatten()], 1).float(), False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`training.networks.detector_graph.DetectorGraph.forward`."""
        half, _, eighth = self.network.trunk(standardise(image.float()))
        height, width = eighth.shape[-2:]
        coarse = pixel_rows(self.coarse(eighth).float())
        local = self.network.score.local(half).float()
        blocks = pixel_rows(local)
        context = coarse[:, -1:].reshape(1, 1, height, width)
        values, chosen = self.select(blocks.amax(1).reshape_as(local[:, :1]) + spread(context))
        keypoints = self.refine_blocks(blocks, local.shape[-1], chosen)
        return keypoints, values.sigmoid(), unit(sample_cells(coarse, height, width, keypoints)[:, :-1])

    def refine_blocks(self, logits: Tensor, width: int, chosen: Tensor) -> Tensor:
        """Soft-argmax of the 6 x 6 logits of each block and its neighbours: float32 [K, 2], pixels of the image.

        :param logits: [h w, 4], block-wise.
        :param width: w, blocks in a row of them.
        :param chosen: int64 [K, 2], blocks, at least one away from the edge.
        """
        middle = chosen[:, 1] * width + chosen[:, 0]
        # Nine gathers of four: one of 36 takes as long as 36. A reshape would write K into the exported file.
        around = [logits.index_select(0, middle + y * width + x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        window = torch.cat(around, 1)
        return BLOCK * chosen.float() + window.softmax(1) @ self.places
