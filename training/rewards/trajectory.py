"""Rewards along a sequence: how well a point can be followed (TraqPoint, CVPR 2026)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.geometry.matching import distances
from training.geometry.reprojection import look_up


@torch.no_grad()
def ranking_reward(logits: Tensor, points: Tensor, visible: Tensor, window: int = 60, floor: float = 0.2) -> Tensor:
    """How far the policy's logit at a projected point stands out from its surroundings in a target frame.

    The share of the logits around that lie below it, from ``floor`` to 1 mapped to 0 to 1.

    :param logits: [B, H, W], of the target.
    :param points: [B, N, 2], projections into the target, pixels.
    :param visible: bool [B, N].
    :param window: side of the neighbourhood, pixels; window // 2 to each side, cut off at the image's edge.
    :returns: float32 [B, N], 0 where not visible.
    """
    height, width = logits.shape[-2:]
    reach = window // 2
    centre = torch.where(visible[..., None], points, torch.zeros_like(points)).round()
    own = look_up(logits, centre)
    # Padding is never below; a neighbourhood at the edge has fewer pixels.
    padded = F.pad(logits, (reach, reach, reach, reach), value=torch.inf)
    stride = width + 2 * reach
    side = torch.arange(2 * reach + 1, device=logits.device)
    offsets = (side[:, None] * stride + side).flatten()
    corner = (centre[..., 1] * stride + centre[..., 0]).long()
    index = corner[..., None] + offsets
    values = padded.flatten(1).gather(1, index.flatten(1)).reshape(index.shape)
    below = (values < own[..., None]).sum(2)
    last = torch.tensor([width - 1, height - 1], device=logits.device)
    count = ((centre + reach).minimum(last) - (centre - reach).clamp(min=0) + 1).prod(-1)
    share = below / (count - 1).clamp(min=1)
    return ((share - floor) / (1 - floor)).clamp(min=0) * visible


@torch.no_grad()
def distinctiveness_reward(reference: Tensor, target: Tensor, visible: Tensor, largest_ratio: float = 0.85) -> Tensor:
    """How much nearer a point's descriptor is to its own projection than to any other point's.

    ratio = d1 / d2, d1 the distance to the own projection, d2 to the nearest other; (0.85 - ratio) / 0.85, at least 0.

    :param reference: [B, N, D], unit norm, of the points in the reference.
    :param target: [B, N, D], unit norm, at the same points' projections into the target.
    :param visible: bool [B, N], the projection is one.
    :returns: float32 [B, N], 0 where not visible, and where no other point is visible to be told from.
    """
    distance = distances(reference, target)
    own = distance.diagonal(dim1=1, dim2=2)
    same = torch.eye(distance.shape[1], dtype=torch.bool, device=distance.device)
    other = distance.masked_fill(same | ~visible[:, None], torch.inf).amin(2)
    reward = ((largest_ratio - own / other) / largest_ratio).clamp(min=0)
    return reward * (visible & other.isfinite())


@torch.no_grad()
def trajectory_reward(rewards: list[Tensor], visible: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean over the frames in which a point is visible.

    :param rewards: float32 [B, N] for each target frame.
    :param visible: bool [B, N] for each target frame.
    :returns: the means, 0 for points that no frame sees, and bool [B, N], whether one does.
    """
    total = torch.stack([r * v for r, v in zip(rewards, visible, strict=True)]).sum(0)
    count = torch.stack(visible).sum(0)
    return total / count.clamp(min=1), count > 0


@torch.no_grad()
def point_visibility(visible: Tensor, reference: Tensor, target: Tensor, least_cosine: float | None = None) -> Tensor:
    """Visibility by geometry and, where asked for, by agreement of the descriptors (the released code: above 0.5).

    :param visible: bool [B, N], projects inside with depth that agrees.
    :param reference: [B, N, D], unit norm; ``target`` the same at the projections.
    """
    if least_cosine is None:
        return visible
    return visible & ((reference * target).sum(-1) > least_cosine)
