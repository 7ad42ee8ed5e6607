"""Match policies: distances between descriptors -> drawn or all matches with log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.geometry.matching import Matches
from training.samplers.samples import NEVER


@dataclass(frozen=True)
class MatchSamples:
    """:ivar first: int64 [B, S], rows of the drawn matches: points of the first image; their partners are
        ``matches.partner`` at these rows.
    :ivar log_probabilities: float32 [B, S], with gradient; 0 where ``valid`` is false.
    :ivar valid: bool [B, S]; a pair without any match has no draw, and one with few matches has fewer draws.
    """

    first: Tensor
    log_probabilities: Tensor
    valid: Tensor


def sample_matches(
    distance: Tensor, matches: Matches, share: float = 0.5, generator: torch.Generator | None = None
) -> MatchSamples:
    """Draw a share of the mutual matches, with replacement, from softmax(-distance) over them (RFP).

    :param distance: [B, N, M], with gradient.
    :param share: draws a match of the pair.
    """
    nearest = distance.gather(2, matches.partner[..., None])[..., 0]
    log_softmax = (-nearest).masked_fill(~matches.matched, NEVER).log_softmax(1)
    wanted = (share * matches.matched.sum(1)).ceil().long()
    count = max(1, int(wanted.max()))
    drawn = log_softmax.detach().exp().multinomial(count, replacement=True, generator=generator)
    valid = torch.arange(count, device=distance.device) < wanted[:, None]
    return MatchSamples(drawn, log_softmax.gather(1, drawn).masked_fill(~valid, 0.0), valid)


def dual_softmax(distance: Tensor, inverse_temperature: Tensor | float, takes_part: Tensor | None = None) -> Tensor:
    """Log-probability of each match: row softmax times column softmax of -theta d (DISK); [B, N, M].

    :param takes_part: bool [B, N, M]; other pairs have no share of any softmax.
    """
    scores = -inverse_temperature * distance
    if takes_part is not None:
        scores = scores.masked_fill(~takes_part, NEVER)
    both = scores.log_softmax(2) + scores.log_softmax(1)
    # A row without any pair has a uniform softmax, which means nothing.
    return both if takes_part is None else both.masked_fill(~takes_part, NEVER)
