"""Two-view repeatability (Edstedt et al., DaD, 2025)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Repeatability:
    """:ivar hit: bool [B, N], the other view has a point there too.
    :ivar valid: bool [B, N], the question has an answer: the point has depth and is seen by the other view.
    """

    hit: Tensor
    valid: Tensor


@torch.no_grad()
def repeatability(
    warped: Tensor, visible: Tensor, others: Tensor, others_valid: Tensor, radius: float
) -> Repeatability:
    """Which points are found again in the other view.

    :param warped: [B, N, 2], one view's points as the other sees them, pixels.
    :param visible: bool [B, N], the warp is right, and the point is one of the sampled.
    :param others: [B, M, 2], the other view's points, pixels.
    :param others_valid: bool [B, M].
    :param radius: nearer than this is a hit, pixels (:func:`hit_radius` for DaD's).
    """
    distance = torch.cdist(warped, others, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distance.masked_fill(~others_valid[:, None], torch.inf).amin(2)
    return Repeatability((nearest < radius) & visible, visible)


def hit_radius(height: int, width: int, share: float = 0.005) -> float:
    """DaD's threshold, ``share`` of coordinates that go from -1 to 1 over the image, as pixels: 1.6 of 640."""
    return share * 0.5 * math.sqrt(height * width)


@torch.no_grad()
def rewards_over_hit_rate(views: list[Repeatability], floor: float = 0.01) -> list[Tensor]:
    """r = hit / (mean hit rate + floor), 0 for a miss; float32 [B, N] for each view.

    The mean is over the valid points of all views together: the scarcer the hits, the more each is worth.
    """
    hits = sum(int((view.hit & view.valid).sum()) for view in views)
    count = sum(int(view.valid.sum()) for view in views)
    rate = hits / max(1, count)
    return [(view.hit & view.valid).float() / (rate + floor) for view in views]
