"""Signed pair rewards from nothing but "same scene" or "another scene" (RIPE, ICCV 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.geometry.matching import Matches


@dataclass(frozen=True)
class PairReward:
    """A reward for every pair (p, q) of points of two images, of which all but the matches share one number.

    :ivar partner: int64 [B, N], q of every p.
    :ivar matched: float32 [B, N], reward of (p, partner(p)).
    :ivar others: float32 [B], reward of every other pair.
    """

    partner: Tensor
    matched: Tensor
    others: Tensor

    def matrix(self, columns: int) -> Tensor:
        """Written out: [B, N, columns]."""
        batch, rows = self.partner.shape
        full = self.others[:, None, None].expand(batch, rows, columns).clone()
        return full.scatter(2, self.partner[..., None], self.matched[..., None])


@torch.no_grad()
def epipolar_reward(
    matches: Matches,
    inliers: Tensor,
    label: Tensor,
    enough: Tensor,
    outlier: float = 0.0,
    others: float = 0.0,
) -> PairReward:
    """Reward of an image pair's matches: an inlier gets the label, +1 or -1.

    :param inliers: bool [B, N], the match is an inlier of the fundamental matrix.
    :param label: int64 [B], +1 for the same scene, -1 for another.
    :param enough: bool [B], both images have enough points; a pair that has not gets 0 everywhere.
    :param outlier: reward of a match that is no inlier, whatever the label (RIPE++: -0.1).
    :param others: of every pair that is no inlier; multiplied by minus the label (RIPE's code: 1e-7, ramped).
    """
    sign = label.float()[:, None]
    rest = -sign * others
    reward = torch.where(inliers, sign, rest)
    reward = torch.where(matches.matched & ~inliers, rest + outlier, reward)
    return PairReward(matches.partner, reward * enough[:, None], rest[:, 0] * enough)


def enough_points(first: Tensor, second: Tensor, fewest: int = 16) -> Tensor:
    """Pairs of which both images have at least ``fewest`` accepted points: bool [B] of bool [B, N] and [B, M]."""
    return (first.sum(1) >= fewest) & (second.sum(1) >= fewest)
