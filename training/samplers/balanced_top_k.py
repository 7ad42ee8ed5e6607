"""The K best pixels, balanced over the image (Edstedt et al., DaD, 2025)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.filters import gaussian_blur, is_local_maximum
from training.samplers.samples import (
    NEVER,
    Samples,
    image_log_softmax,
    masked_logits,
    pixels_of_index,
    values_at,
    zero_where_not,
)


def balanced_weight(log_probabilities: Tensor, sigma: float, radius: int) -> Tensor:
    """log(p (KDE(p) + 1e-8)^(-1/2)) of [B, H, W]: a pixel weighs less where much probability is around it.

    :param sigma: of the Gaussian of the density estimate, pixels.
    :param radius: where the Gaussian is cut off, pixels.
    """
    density = gaussian_blur(log_probabilities.exp()[:, None], sigma, radius)[:, 0]
    return log_probabilities - 0.5 * (density + 1e-8).log()


def sample_balanced_top_k(
    logits: Tensor,
    count: int,
    valid: Tensor | None = None,
    sigma: float = 9.0,
    radius: int = 25,
    suppression: int = 1,
) -> Samples:
    """The ``count`` local maxima of the highest balanced weight, best first; deterministic.

    The log-probability is the log-softmax of the logits over the chosen set; :func:`training.samplers.samples.restrict`
    normalises again over those that also have valid depth.

    :param logits: [B, H, W].
    :param valid: bool [B, H, W], what can be chosen.
    :param sigma: of the Gaussian of the density estimate, pixels; ``radius`` is where it is cut off (51 taps).
    :param suppression: radius of the non-maximum suppression, pixels.
    """
    with torch.no_grad():
        weight = balanced_weight(image_log_softmax(masked_logits(logits, valid)), sigma, radius)
        peaks = is_local_maximum(weight[:, None], suppression)[:, 0]
        if valid is not None:
            peaks &= valid
        best, index = weight.masked_fill(~peaks, NEVER).flatten(1).topk(count, 1)
    chosen = best > NEVER / 2
    keypoints = pixels_of_index(index, logits.shape[-1])
    log_softmax = values_at(logits, keypoints).masked_fill(~chosen, NEVER).log_softmax(1)
    return Samples(keypoints, zero_where_not(log_softmax, chosen), chosen, chosen)
