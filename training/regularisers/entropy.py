"""Entropy of the policy: over the image (TraqPoint's paper) or within cells (its released code)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from training.samplers.samples import masked_logits


def entropy(logits: Tensor, valid: Tensor | None = None, cell: int | None = None) -> Tensor:
    """Mean entropy, nats: of the softmax over the image, or over every cell; scalar.

    A method that wants exploration subtracts it, one that wants a sharp map adds it.

    :param logits: [B, H, W].
    :param valid: bool [B, H, W]; a cell without a valid pixel does not count.
    :param cell: side of a cell, pixels; what is left over at the right and below is left out.
    """
    masked = masked_logits(logits, valid)
    if cell is None:
        groups = masked.flatten(1)[:, None].transpose(1, 2)
    else:
        height, width = logits.shape[-2] // cell * cell, logits.shape[-1] // cell * cell
        groups = F.pixel_unshuffle(masked[:, None, :height, :width], cell).flatten(2)
    log_softmax = groups.log_softmax(1)
    values = -(log_softmax.exp() * log_softmax).sum(1)
    usable = groups.amax(1) > masked.new_tensor(-1e8)
    return (values * usable).sum() / usable.sum().clamp(min=1)
