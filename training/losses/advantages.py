"""Baselines: rewards -> advantages, by which log-probabilities are multiplied.

A baseline that does not depend on the draw it is subtracted from leaves the gradient's mean as it is and lessens its
variance (Williams, REINFORCE, 1992). Which of these do not is said at each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid entries of the last dimension, 0 where there are none; the dimension is kept."""
    return (values * valid).sum(-1, keepdim=True) / valid.sum(-1, keepdim=True).clamp(min=1)


def scalar_reward(reward: Tensor, valid: Tensor, baseline: float | Tensor = 0.0) -> Tensor:
    """Every point gets the mean over the points, less a baseline that is a plain number (TraqPoint's paper: 0).

    :param reward: [B, N].
    :param valid: bool [B, N].
    :returns: [B, N].
    """
    return (masked_mean(reward, valid) - baseline).expand_as(reward) * valid


def per_point(reward: Tensor, valid: Tensor) -> Tensor:
    """R_i - mean R over the item's points: a point is judged against its companions.

    The mean has the point's own reward in it, which shrinks the expected gradient by 1 - 1 / N and turns it nowhere as
    long as a point's reward does not depend on the others.

    :param reward: [B, N].
    """
    return (reward - masked_mean(reward, valid)) * valid


def mean_of_draws(reward: Tensor) -> Tensor:
    """Reward less the mean over the draws, its own among them (RFP); the expected gradient shrinks by 1 - 1 / S.

    :param reward: [..., S], one number a draw.
    """
    return reward - reward.mean(-1, keepdim=True)


def leave_one_out(reward: Tensor) -> Tensor:
    """Reward less the mean of the other draws (Kool et al. 2019): the expected gradient stays as it is.

    :param reward: [..., S], one number a draw, S at least 2.
    """
    count = reward.shape[-1]
    if count < 2:
        raise ValueError("leave-one-out needs at least two draws; draw more, or take another baseline")
    return (reward - reward.mean(-1, keepdim=True)) * (count / (count - 1))


class RunningMean(nn.Module):
    """A scalar baseline that follows the mean reward of earlier steps; its state is saved with the model's.

    :param momentum: share of the old mean that stays at each update.
    """

    mean: Tensor
    updates: Tensor

    def __init__(self, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("updates", torch.tensor(0))

    @torch.no_grad()
    def forward(self, reward: Tensor) -> Tensor:
        """The baseline for these rewards, from earlier ones alone; then takes these in. Scalar."""
        # Undoes the start from 0, as Adam does; nothing is known before the first update.
        known = 1 - self.momentum ** self.updates.double()
        baseline = torch.where(self.updates > 0, self.mean / known.clamp(min=1e-12), 0.0).to(self.mean.dtype)
        self.mean.mul_(self.momentum).add_((1 - self.momentum) * reward.mean())
        self.updates.add_(1)
        return baseline
