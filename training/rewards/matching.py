"""Reward of single matches by the true geometry (DISK, Tyszkiewicz et al., NeurIPS 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.geometry.camera import View
from training.geometry.epipolar import epipolar_distance
from training.geometry.reprojection import reproject


@torch.no_grad()
def match_reward(
    first: Tensor,
    second: Tensor,
    source: View,
    target: View,
    radius: float = 1.5,
    right: float = 1.0,
    wrong: float = -0.25,
) -> Tensor:
    """A reward for every pair of points.

    ``right`` where both points reproject to within ``radius`` pixels of the other; ``wrong`` where the pair contradicts
    the epipolar geometry by more than ``radius`` pixels; 0 where depth is missing or the point is hidden and the
    epipolar geometry cannot tell.

    :param first: [B, N, 2], pixels of the source.
    :param second: [B, M, 2], pixels of the target.
    :returns: float32 [B, N, M].
    """
    there, back = reproject(first, source, target), reproject(second, target, source)
    forward = torch.cdist(there.points, second, compute_mode="donot_use_mm_for_euclid_dist")
    backward = torch.cdist(first, back.points, compute_mode="donot_use_mm_for_euclid_dist")
    near = (forward < radius) & (backward < radius) & there.visible[:, :, None] & back.visible[:, None]
    off_line = epipolar_distance(first, second, source, target) > radius
    return near.float() * right + (off_line & ~near).float() * wrong
