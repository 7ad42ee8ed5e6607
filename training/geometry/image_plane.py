"""Plane geometry on tensors, in the project's pixel convention: the centre of the top-left pixel is (0, 0)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warp_points(homography: Tensor, points: Tensor) -> Tensor:
    """Apply homographies [B, 3, 3] to points [B, N, 2], pixels; a point at infinity comes out far outside."""
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], -1)
    warped = homogeneous @ homography.transpose(1, 2)
    depth = warped[..., 2:]
    return torch.where(depth > 1e-6, warped[..., :2] / depth.clamp(min=1e-6), torch.full_like(warped[..., :2], -1e6))


def pixel_grid(height: int, width: int) -> Tensor:
    """All pixel centres in row-major order, float32 [H * W, 2], x y."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).float()


def inside(points: Tensor, height: int, width: int, border: float = 0.0) -> Tensor:
    """Which points [..., 2] lie at least ``border`` pixels inside the image; bool [...]."""
    x, y = points[..., 0], points[..., 1]
    return (x >= border) & (x <= width - 1 - border) & (y >= border) & (y <= height - 1 - border)


def sample_map(values: Tensor, points: Tensor, stride: int = 1) -> Tensor:
    """Bilinear interpolation of a map at pixel positions.

    :param values: [B, C, h, w]; a cell of the map covers ``stride`` x ``stride`` pixels.
    :param points: [B, N, 2], pixels of the image.
    :returns: [B, N, C]; 0 is mixed in outside the map.
    """
    height, width = values.shape[-2:]
    cells = (points + 0.5) / stride
    grid = 2 * cells / torch.tensor([width, height], device=points.device) - 1
    sampled = F.grid_sample(values, grid[:, :, None].to(values.dtype), mode="bilinear", align_corners=False)
    return sampled[..., 0].transpose(1, 2)


def warp_map(values: Tensor, homography: Tensor) -> tuple[Tensor, Tensor]:
    """A map of the target image as the reference sees it.

    :param values: [B, C, H, W], of the target.
    :param homography: [B, 3, 3], reference pixels to target pixels.
    :returns: the warped map [B, C, H, W] and where it is defined, bool [B, 1, H, W].
    """
    batch, channels, height, width = values.shape
    points = warp_points(homography, pixel_grid(height, width).to(values.device).expand(batch, -1, -1))
    warped = sample_map(values, points).transpose(1, 2).reshape(batch, channels, height, width)
    return warped, inside(points, height, width).reshape(batch, 1, height, width)
