"""Matches between the accepted points of two images, small where few are accepted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.geometry.matching import Matches
from training.samplers.samples import Samples


@dataclass(frozen=True)
class AcceptedPoints:
    """The accepted points of one image of every item, moved together: most cells accept none.

    :ivar keypoints: float32 [B, K, 2], pixels.
    :ivar present: bool [B, K], false in the rows that fill up an item with fewer points than another.
    :ivar row: int64 [B, K], the points' rows among all draws.
    """

    keypoints: Tensor
    present: Tensor
    row: Tensor


def accepted_points(samples: Samples) -> AcceptedPoints:
    """Move the accepted points of every item to the front."""
    count = max(1, int(samples.accepted.sum(1).max()))
    row = samples.accepted.byte().argsort(stable=True, dim=1, descending=True)[:, :count]
    keypoints = samples.keypoints.gather(1, row[..., None].expand(-1, -1, 2))
    return AcceptedPoints(keypoints, samples.accepted.gather(1, row), row)


def among_all_draws(matches: Matches, first: AcceptedPoints, second: AcceptedPoints, draws: int) -> Matches:
    """Matches of accepted points, in the rows and columns of all draws.

    :param draws: rows of the first image's samples.
    """
    shape = (len(first.row), draws)
    partner = first.row.new_zeros(shape).scatter(1, first.row, second.row.gather(1, matches.partner))
    return Matches(partner, spread(matches.matched, first, draws))


def spread(values: Tensor, points: AcceptedPoints, draws: int) -> Tensor:
    """Flags of accepted points [B, K] as flags of all draws [B, draws]."""
    return torch.zeros(len(values), draws, dtype=torch.bool, device=values.device).scatter(1, points.row, values)
