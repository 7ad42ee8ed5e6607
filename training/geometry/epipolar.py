"""Two-view geometry that is known: from poses and intrinsics."""

from __future__ import annotations

import torch
from torch import Tensor

from training.geometry.camera import View, rays_of, relative_pose


def skew(vector: Tensor) -> Tensor:
    """Cross-product matrices [B, 3, 3] of vectors [B, 3]."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)


def essential_matrix(source: View, target: View) -> Tensor:
    """E of q^T E p = 0 for unit-plane points p of the source and q of the target; [B, 3, 3], of unit translation."""
    pose = relative_pose(source.pose, target.pose)
    direction = pose[:, :3, 3]
    return skew(direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True).clamp(min=1e-9)) @ pose[:, :3, :3]


def epipolar_distance(first: Tensor, second: Tensor, source: View, target: View) -> Tensor:
    """How far every point of the target lies from every source point's epipolar line, in pixels without distortion.

    :param first: [B, N, 2], pixels of the source.
    :param second: [B, M, 2], pixels of the target.
    :returns: [B, N, M].
    """
    lines = homogeneous(rays_of(first, source)) @ essential_matrix(source, target).transpose(1, 2)
    lines = lines / torch.linalg.vector_norm(lines[..., :2], dim=-1, keepdim=True).clamp(min=1e-9)
    focal = 0.5 * (target.intrinsics[:, 0, 0] + target.intrinsics[:, 1, 1])
    across = lines @ homogeneous(rays_of(second, target)).transpose(1, 2)
    distance: Tensor = across.abs() * focal[:, None, None]
    return distance


def homogeneous(points: Tensor) -> Tensor:
    """Points [..., 2] with a last coordinate 1."""
    return torch.cat([points, torch.ones_like(points[..., :1])], -1)
