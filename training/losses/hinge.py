"""The descriptor loss of RIPE (ICCV 2025): a hinge on the distances of matches."""

from __future__ import annotations

import torch
from torch import Tensor

from training.geometry.matching import Matches


def match_hinge(
    distance: Tensor,
    matches: Matches,
    chosen: Tensor,
    label: Tensor,
    first_takes_part: Tensor,
    second_takes_part: Tensor,
    margin: float = 0.2,
) -> Tensor:
    """Same scene: max(0, margin + d - d2), d2 the second-nearest point's distance; another scene: max(0, margin - d).

    Mean over the chosen matches of a pair, then over the pairs; a pair without any counts 0.

    :param distance: [B, N, M], with gradient.
    :param chosen: bool [B, N], the matches that count: inliers.
    :param label: int64 [B], +1 or -1.
    :param first_takes_part: bool [B, N]; ``second_takes_part`` bool [B, M].
    """
    counts = chosen & matches.matched & first_takes_part
    own = distance.gather(2, matches.partner[..., None])[..., 0]
    others = distance.masked_fill(~second_takes_part[:, None], torch.inf)
    others = others.scatter(2, matches.partner[..., None], torch.inf)
    second = others.amin(2)
    # Without any other point nothing is too near; inf would make the gradient NaN.
    second = torch.where(second.isfinite(), second, own.detach() + margin)
    loss = torch.where(label[:, None] > 0, margin + own - second, margin - own).clamp(min=0)
    return ((loss * counts).sum(1) / counts.sum(1).clamp(min=1)).mean()
