"""Bilinear interpolation by gathers: what is exported instead of GridSample, which TensorRT and others get wrong."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def sample_by_gathers(values: Tensor, points: Tensor, stride: int = 1) -> Tensor:
    """The same as :func:`training.geometry.image_plane.sample_map` for one map: 0 is mixed in outside it.

    :param values: [C, h, w]; a cell of the map covers ``stride`` x ``stride`` pixels.
    :param points: [N, 2], pixels of the image.
    :returns: [N, C].
    """
    return interpolate(values[None], ((points + 0.5) / stride - 0.5)[None])[0]


def interpolate(values: Tensor, cells: Tensor) -> Tensor:
    """Bilinear interpolation of many maps.

    :param values: [B, C, h, w].
    :param cells: [B, N, 2], x y, in cells of the map: the centre of the first one is (0, 0).
    :returns: [B, N, C]; 0 is mixed in outside the map.
    """
    channels, height, width = values.shape[1:]
    # A rim of zeros: what is outside is 0 without a mask, and coordinates are above 0, where truncation rounds down.
    rows = F.pad(values, (1, 1, 1, 1)).flatten(2).transpose(1, 2)
    x = (cells[..., 0] + 1).clamp(min=0).minimum(cells.new_tensor(1.0) * (width + 1))
    y = (cells[..., 1] + 1).clamp(min=0).minimum(cells.new_tensor(1.0) * (height + 1))
    left, top = x.long().clamp(max=width), y.long().clamp(max=height)
    u, v = (x - left)[..., None], (y - top)[..., None]
    first = top * (width + 2) + left

    def at(index: Tensor) -> Tensor:
        return rows.gather(1, index[..., None].expand(-1, -1, channels))

    upper = at(first) * (1 - u) + at(first + 1) * u
    lower = at(first + width + 2) * (1 - u) + at(first + width + 3) * u
    return upper * (1 - v) + lower * v
