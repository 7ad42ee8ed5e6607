"""Policy-gradient losses: their gradient is minus that of the expected reward (Williams, REINFORCE, 1992)."""

from __future__ import annotations

from enum import Enum

from torch import Tensor

from training.losses.advantages import mean_of_draws
from training.rewards.epipolar import PairReward


class Reduction(Enum):
    """Over an item's points; over the items of a batch it is always the mean."""

    SUM = "sum"
    MEAN = "mean"


def reduce(values: Tensor, valid: Tensor, reduction: Reduction) -> Tensor:
    """Sum or mean over the valid points of [B, N], then the mean over the items; scalar."""
    total = (values * valid).sum(1)
    if reduction is Reduction.MEAN:
        total = total / valid.sum(1).clamp(min=1)
    return total.mean()


def policy_loss(
    log_probabilities: Tensor, advantage: Tensor, valid: Tensor, reduction: Reduction = Reduction.SUM
) -> Tensor:
    """- sum or mean of advantage x log-probability (DaD: sum; TraqPoint: mean).

    :param log_probabilities: [B, N], the sampler's own.
    :param advantage: [B, N], from :mod:`training.losses.advantages` or a reward as it is.
    :param valid: bool [B, N].
    """
    return -reduce(advantage.detach() * log_probabilities, valid, reduction)


def pair_policy_loss(
    reward: PairReward, first: Tensor, second: Tensor, first_valid: Tensor, second_valid: Tensor
) -> Tensor:
    """- mean over the entries (p, q) of R[p, q] (log p_p + log p_q), then over the items (RIPE).

    The matrix is never written out: all entries but the matches share one number.

    :param first: [B, N], log-probabilities of the first image's points; ``second`` [B, M] of the second's.
    :param first_valid: bool [B, N]; ``second_valid`` bool [B, M]: rows and columns of the matrix: all draws, also the
        rejected ones; a mean over the accepted would depend on the draw, and its gradient would not be the reward's.
    """
    partner_valid = second_valid.gather(1, reward.partner)
    entry = first_valid & partner_valid
    above = (reward.matched - reward.others[:, None]) * entry
    pairs = (above * (first + second.gather(1, reward.partner))).sum(1)
    rows, columns = first_valid.sum(1), second_valid.sum(1)
    background = columns * (first * first_valid).sum(1) + rows * (second * second_valid).sum(1)
    return -((pairs + reward.others * background) / (rows * columns).clamp(min=1)).mean()


def drawn_pose_loss(losses: Tensor, keypoints: Tensor, matches: Tensor) -> Tensor:
    """RFP's estimator: keypoint draws, and match draws for each, judged by one loss each.

    Mean over all draws of (l - mean of all l) x sum log P(keypoints), and of (l - mean of the l that share the
    keypoints) x sum log P(matches).

    :param losses: [B, S, T], of S keypoint draws and T match draws for each; small is good.
    :param keypoints: [B, S, 1], sum of the log-probabilities of a draw's keypoints in both images; or [B, S, T], of
        those that each draw of matches has left of them.
    :param matches: [B, S, T], sum of the log-probabilities of a draw's matches.
    """
    losses = losses.detach()
    over_all = mean_of_draws(losses.flatten(1)).reshape(losses.shape)
    return (over_all * keypoints + mean_of_draws(losses) * matches).mean()


def expected_match_loss(reward: Tensor, match_log_probabilities: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """DISK's estimator, exact over the matches: minus the expected sum of match rewards, given the keypoints, in the
    descriptors' gradient, and each keypoint's share of it times its log-probability in the detector's.

    :param reward: [B, N, M].
    :param match_log_probabilities: [B, N, M], :func:`training.samplers.matches.dual_softmax`.
    :param first: [B, N], log-probabilities of the first image's points; ``second`` [B, M] of the second's.
    """
    probability = match_log_probabilities.exp()
    expected = (probability * reward).sum((1, 2))
    worth = (probability * reward).detach()
    keypoints = (worth.sum(2) * first).sum(1) + (worth.sum(1) * second).sum(1)
    return -(expected + keypoints).mean()
