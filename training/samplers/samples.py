"""What every sampler returns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

#: Stands for the logit of a pixel that cannot be drawn; finite, so that no gradient becomes NaN.
NEVER = -1e9


@dataclass(frozen=True)
class Samples:
    """Drawn keypoints. Samplers normalise differently; a loss uses these log-probabilities and no others.

    :ivar keypoints: float32 [B, N, 2], whole pixels x y.
    :ivar log_probabilities: float32 [B, N], with gradient; 0 where ``valid`` is false.
    :ivar valid: bool [B, N], the row is a draw; false where there was nothing to draw (padding, too few peaks).
    :ivar accepted: bool [B, N], the keypoint takes part in matching and rewards; never true where ``valid`` is false.
        Equal to ``valid`` for all samplers but those that can reject what they drew.
    """

    keypoints: Tensor
    log_probabilities: Tensor
    valid: Tensor
    accepted: Tensor


def masked_logits(logits: Tensor, valid: Tensor | None) -> Tensor:
    """Logits with :data:`NEVER` outside the mask."""
    return logits if valid is None else logits.masked_fill(~valid, NEVER)


def image_log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities over all pixels of [B, H, W], same shape."""
    return logits.flatten(1).log_softmax(1).reshape(logits.shape)


def pixels_of_index(index: Tensor, width: int) -> Tensor:
    """Row-major pixel numbers [...] to float32 [..., 2], x y."""
    return torch.stack([index % width, index // width], -1).float()


def index_of_pixels(points: Tensor, width: int) -> Tensor:
    """The inverse, of whole pixels; int64 [...]."""
    return (points[..., 1] * width + points[..., 0]).long()


def values_at(values: Tensor, keypoints: Tensor) -> Tensor:
    """Values of a map [B, H, W] at whole pixels [B, N, 2]; [B, N]."""
    return values.flatten(1).gather(1, index_of_pixels(keypoints, values.shape[-1]))


def restrict(samples: Samples, keep: Tensor) -> Samples:
    """Leave out samples and normalise over the rest: the log-softmax over the kept set (DaD's over valid points).

    :param keep: bool [B, N].
    """
    kept = samples.valid & keep
    logits = samples.log_probabilities.masked_fill(~kept, NEVER)
    return replace(
        samples,
        log_probabilities=zero_where_not(logits.log_softmax(1), kept),
        valid=kept,
        accepted=samples.accepted & kept,
    )


def zero_where_not(log_probabilities: Tensor, valid: Tensor) -> Tensor:
    """Log-probabilities with 0 (and no gradient) where nothing was drawn."""
    return log_probabilities.masked_fill(~valid, 0.0)


def gumbel_like(values: Tensor, generator: torch.Generator | None) -> Tensor:
    """Gumbel noise: the argmax of logits + noise is a draw from their softmax, the k best are k without replacement."""
    return -torch.empty_like(values).exponential_(generator=generator).log()
