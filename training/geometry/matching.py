"""Mutual nearest neighbours between descriptor sets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """Fixed shapes, so that a batch needs no loop: every point of the first image has a partner, true or not.

    :ivar partner: int64 [B, N], index into the second image's points.
    :ivar matched: bool [B, N], each is the other's nearest neighbour, and both take part.
    """

    partner: Tensor
    matched: Tensor


def distances(first: Tensor, second: Tensor) -> Tensor:
    """Euclidean distances [B, N, M] between unit descriptors [B, N, D] and [B, M, D]; the gradient is finite at 0."""
    return (2 - 2 * first @ second.transpose(1, 2)).clamp(min=1e-8).sqrt()


@torch.no_grad()
def mutual_matches(
    distance: Tensor, first: Tensor | None = None, second: Tensor | None = None, ratio: float = 1.0
) -> Matches:
    """Matches by distance.

    :param distance: [B, N, M].
    :param first: bool [B, N], which points of the first image take part; None for all.
    :param second: bool [B, M], the same of the second.
    :param ratio: a match must be nearer than this share of the second-nearest neighbour's distance (Lowe 2004); 1
        leaves the test out.
    """
    if first is None:
        first = torch.ones_like(distance[:, :, 0], dtype=torch.bool)
    if second is None:
        second = torch.ones_like(distance[:, 0], dtype=torch.bool)
    open_ = first[:, :, None] & second[:, None]
    distance = distance.masked_fill(~open_, torch.inf)
    nearest, partner = distance.min(2)
    back = distance.argmin(1)
    index = torch.arange(distance.shape[1], device=distance.device)
    matched = (back.gather(1, partner) == index) & nearest.isfinite()
    if ratio < 1:
        runner_up = distance.topk(min(2, distance.shape[2]), 2, largest=False).values[..., -1]
        matched &= nearest < ratio * runner_up
    return Matches(partner, matched)
