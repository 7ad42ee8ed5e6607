"""Where points of one image are in another, by depth and pose, and whether they are seen there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.geometry.camera import OUTSIDE, View, project, rays_of, relative_pose, transform
from training.geometry.image_plane import inside, pixel_grid


@dataclass(frozen=True)
class Reprojection:
    """:ivar points: float32 [B, N, 2], pixels of the target; far outside it where the source's depth is unknown.
    :ivar known: bool [B, N], the source's depth is known.
    :ivar visible: bool [B, N], lands inside the target, and the target's depth agrees there.
    """

    points: Tensor
    known: Tensor
    visible: Tensor


def look_up(values: Tensor, points: Tensor) -> Tensor:
    """Value of the nearest pixel.

    Depth is not interpolated: between two objects lies neither.

    :param values: [B, H, W].
    :param points: [B, N, 2], pixels.
    :returns: [B, N]; 0 (false) outside the map.
    """
    height, width = values.shape[-2:]
    pixels = points.round()
    here = inside(pixels, height, width)
    index = torch.where(here, pixels[..., 1] * width + pixels[..., 0], torch.zeros_like(pixels[..., 0])).long()
    found = values.flatten(1).gather(1, index)
    return torch.where(here, found, torch.zeros_like(found))


@torch.no_grad()
def reproject(points: Tensor, source: View, target: View, tolerance: float = 0.05) -> Reprojection:
    """Take points of the source to the target.

    :param points: [B, N, 2], pixels of the source.
    :param tolerance: largest relative difference between the depth that the point has in the target's frame and the
        depth that the target measures there; where the target measures none, the point counts as not visible.
    :raises ValueError: one of the views has no depth.
    """
    if source.depth is None or target.depth is None:
        raise ValueError("this needs depth in every frame, and the data have none; choose data with depth")
    depth = look_up(source.depth, points)
    known = depth > 0
    rays = rays_of(points, source)
    solid = torch.cat([rays, torch.ones_like(rays[..., :1])], -1) * depth[..., None]
    there, distance = project(transform(solid, relative_pose(source.pose, target.pose)), target)
    there = torch.where(known[..., None], there, torch.full_like(there, OUTSIDE))
    measured = look_up(target.depth, there)
    agrees = (measured > 0) & ((distance - measured).abs() < tolerance * measured)
    return Reprojection(there, known, known & agrees & inside(there, *target.size))


def overlap(source: View, target: View, tolerance: float = 0.05, step: int = 8) -> Tensor:
    """Share of the source's pixels of known depth that the target sees; float32 [B].

    :param step: every ``step``-th pixel across and down is asked.
    """
    height, width = source.size
    grid = pixel_grid(height, width).reshape(height, width, 2)[step // 2 :: step, step // 2 :: step].reshape(-1, 2)
    points = grid.to(source.pose).expand(len(source.pose), -1, -1)
    seen = reproject(points, source, target, tolerance)
    return seen.visible.sum(1) / seen.known.sum(1).clamp(min=1)
