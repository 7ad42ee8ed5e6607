"""Draws with replacement from the whole image (Bhowmik et al., Reinforced Feature Points, CVPR 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.samplers.samples import (
    Samples,
    image_log_softmax,
    masked_logits,
    pixels_of_index,
    values_at,
    zero_where_not,
)


def sample_multinomial(
    logits: Tensor,
    count: int,
    valid: Tensor | None = None,
    normalise: bool = True,
    generator: torch.Generator | None = None,
) -> Samples:
    """Draw ``count`` pixels an image, in proportion to exp(logit).

    :param logits: [B, H, W]; for a cell-wise network its log-probabilities
        (:func:`training.policy.cell_log_probabilities`).
    :param valid: bool [B, H, W], what can be drawn.
    :param normalise: the log-probability is that of the draw, over the image. False returns the logit itself, which is
        what RFP's released code has: the log-probability within the cell.
    """
    masked = masked_logits(logits, valid)
    log_softmax = image_log_softmax(masked)
    drawn = log_softmax.detach().flatten(1).exp().multinomial(count, replacement=True, generator=generator)
    keypoints = pixels_of_index(drawn, logits.shape[-1])
    possible = torch.ones_like(keypoints[..., 0], dtype=torch.bool)
    if valid is not None:
        possible = possible & valid.flatten(1).any(1, keepdim=True)
    log_probabilities = values_at(log_softmax if normalise else masked, keypoints)
    return Samples(keypoints, zero_where_not(log_probabilities, possible), possible, possible)
