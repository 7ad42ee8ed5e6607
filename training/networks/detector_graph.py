"""What is exported: network and post-processing in one graph, image in, a fixed number of keypoints out.

Plain operators only, none with a data-dependent shape, all index arithmetic in integers, all coordinates in fp32
(docs and TensorRT's limits: see docs/models.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.keypoint_network import CELL, logit_map

#: What a pixel that is no local maximum loses of its logit, for each unit that it lies below its neighbourhood's best.
SUPPRESSION = 1e8


class DetectorGraph(nn.Module):
    """Image to keypoints, scores and descriptors.

    :param max_keypoints: K, rows of every output; the host drops those below its score threshold.
    :param radius: of the non-maximum suppression, in units (Chebyshev).
    :param border: units at the image's edge without keypoints, a multiple of :attr:`block`, at least 2.
    :ivar unit: side, in pixels, of what a value of the map stands for that is selected from: a pixel.
    :ivar block: side, in units, of the blocks that are selected from. A local maximum is the best of its block, for its
        neighbourhood covers it, so that there is one candidate a block instead of one a pixel.
    """

    unit = 1

    offset_x: Tensor
    offset_y: Tensor
    offsets: Tensor
    block_x: Tensor
    block_y: Tensor

    def __init__(self, network: nn.Module, max_keypoints: int = 1024, radius: int = 3, border: int = 4) -> None:
        super().__init__()
        self.block = 2 ** ((radius + 1).bit_length() - 1)
        if border < 2 or border % self.block:
            raise ValueError(
                f"border is {border}; the sub-pixel step needs at least 2, the selection a multiple of {self.block}"
            )
        self.network = network
        self.max_keypoints = max_keypoints
        self.radius = radius
        self.border = border
        side = torch.arange(-2, 3)
        self.register_buffer("offset_x", side.repeat(5), persistent=False)
        self.register_buffer("offset_y", side.repeat_interleave(5), persistent=False)
        self.register_buffer("offsets", torch.stack([side.repeat(5), side.repeat_interleave(5)], 1).float(), False)
        within = torch.arange(self.block)
        self.register_buffer("block_x", within.repeat(self.block), persistent=False)
        self.register_buffer("block_y", within.repeat_interleave(self.block), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detect and describe.

        :param image: uint8 [1, 1, H, W], H and W multiples of 32.
        :returns: keypoints float32 [K, 2], pixels, best first; scores float32 [K], probabilities; descriptors
            float32 [K, D], unit norm.
        """
        logits, descriptors = self.network(image.float())
        logits = logit_map(logits.float())
        values, pixels = self.select(logits)
        keypoints = self.refine(logits, pixels)
        return keypoints, values.sigmoid(), sample_descriptors(descriptors.float(), keypoints)

    def select(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The K best local maxima of the logit map [1, 1, H, W]: logits [K] and pixels int64 [K, 2].

        The logits order pixels as their probabilities do, within a cell exactly, so no softmax is needed.
        """
        side, radius, block = 2 * self.radius + 1, self.radius, self.block
        pooled = F.max_pool2d(F.max_pool2d(logits, (1, side), 1, (0, radius)), (side, 1), 1, (radius, 0))
        # Arithmetic instead of a comparison and a Where: a third of the time on a CPU.
        peaks = logits + SUPPRESSION * (logits - pooled)
        margin, width = self.border // block, logits.shape[-1]
        best = F.max_pool2d(peaks, block)[..., margin:-margin, margin:-margin]
        columns = best.shape[-1]
        values, index = best.reshape(-1).topk(self.max_keypoints)
        row = torch.div(index, columns, rounding_mode="trunc")
        left, top = (index - row * columns + margin) * block, (row + margin) * block
        inner = take(peaks, top[:, None] + self.block_y, left[:, None] + self.block_x, width).argmax(1)
        down = torch.div(inner, block, rounding_mode="trunc")
        return values, torch.stack([left + inner - down * block, top + down], 1)

    def refine(self, logits: Tensor, pixels: Tensor) -> Tensor:
        """Soft-argmax of the 5 x 5 logits around each pixel: float32 [K, 2].

        The labels of the training are Gaussians of 0.6 px, whose centre of mass this recovers.
        """
        around = take(logits, pixels[:, 1:] + self.offset_y, pixels[:, :1] + self.offset_x, logits.shape[-1])
        return pixels.float() + around.softmax(1) @ self.offsets


def take(values: Tensor, rows: Tensor, columns: Tensor, width: int) -> Tensor:
    """Values of a map [1, 1, H, W] at int64 rows and columns [K, N]; one flat gather, which every runtime has."""
    return values.take(rows * width + columns)


def sample_descriptors(descriptors: Tensor, keypoints: Tensor) -> Tensor:
    """Bilinear interpolation by four gathers, then unit norm.

    :param descriptors: float32 [1, D, h, w], a cell covers 8 x 8 pixels.
    :param keypoints: float32 [K, 2], pixels.
    :returns: float32 [K, D].
    """
    height, width = descriptors.shape[-2:]
    return unit(sample_cells(pixel_rows(descriptors), height, width, keypoints))


def pixel_rows(values: Tensor) -> Tensor:
    """A map [1, C, h, w] as one row a pixel, [h w, C].

    Permuted before it is reshaped: in a runtime's memory a map lies so already, or is brought there in one step.
    """
    return values.permute(0, 2, 3, 1).reshape(-1, values.shape[1])


def sample_cells(rows: Tensor, height: int, width: int, keypoints: Tensor) -> Tensor:
    """Bilinear interpolation of a map of 8 x 8 cells at keypoints [K, 2], pixels: float32 [K, C].

    :param rows: float32 [h w, C], see :func:`pixel_rows`.
    """
    cells = (keypoints + 0.5) / CELL - 0.5
    x = cells[:, 0].clamp(min=0).minimum(cells.new_tensor(1.0) * (width - 1))
    y = cells[:, 1].clamp(min=0).minimum(cells.new_tensor(1.0) * (height - 1))
    left, top = x.long().clamp(max=width - 2), y.long().clamp(max=height - 2)
    u, v = (x - left)[:, None], (y - top)[:, None]
    first = top * width + left
    upper = rows.index_select(0, first) * (1 - u) + rows.index_select(0, first + 1) * u
    lower = rows.index_select(0, first + width) * (1 - u) + rows.index_select(0, first + width + 1) * u
    return upper * (1 - v) + lower * v


def unit(rows: Tensor) -> Tensor:
    """Rows [K, D] at unit norm. Not F.normalize: it expands to a shape that the exporter writes down, K with it."""
    return rows / rows.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
