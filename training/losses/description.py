"""The descriptor loss of the pre-training: cross-entropy of mutual assignment (dual softmax).

InfoNCE in both directions over all points of the batch, as LoFTR's and XFeat's dual-softmax losses have it (Sun et al.,
CVPR 2021; Potje et al., CVPR 2024), with a learned temperature.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def assignment_loss(
    first: Tensor, second: Tensor, positions: Tensor, owner: Tensor, temperature: Tensor, margin: float = 4.0
) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood that row i's partner is row i, in both directions.

    :param first: [M, D], unit norm, points of the references.
    :param second: [M, D], unit norm, the same points in the targets.
    :param positions: [M, 2], pixels of the target; negatives nearer than ``margin`` to the partner do not count.
    :param owner: int64 [M], which pair of the batch a point belongs to.
    :param temperature: scalar, > 0.
    :returns: the loss, and the share of points whose partner is their nearest neighbour.
    """
    similarity = first @ second.T / temperature
    count = len(first)
    with torch.no_grad():
        near = torch.cdist(positions, positions) < margin
        near &= owner[:, None] == owner[None]
        near.fill_diagonal_(False)
    similarity = similarity.masked_fill(near, float("-inf"))
    labels = torch.arange(count, device=first.device)
    loss = 0.5 * (F.cross_entropy(similarity, labels) + F.cross_entropy(similarity.T, labels))
    right = (similarity.detach().argmax(1) == labels).float().mean()
    return loss, right
