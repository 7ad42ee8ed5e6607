"""Every estimator's expectation, by enumeration of all draws, against the analytic gradient of a toy problem."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from training.losses.advantages import RunningMean, leave_one_out, mean_of_draws, per_point, scalar_reward
from training.losses.policy_gradient import (
    Reduction,
    drawn_pose_loss,
    expected_match_loss,
    pair_policy_loss,
    policy_loss,
)
from training.rewards.epipolar import PairReward
from training.rewards.repeatability import Repeatability, rewards_over_hit_rate
from training.samplers.matches import dual_softmax

LOGITS = torch.tensor([0.2, -0.7, 1.1, 0.0], dtype=torch.float64)
REWARD = torch.tensor([1.0, 3.0, -2.0, 0.5], dtype=torch.float64)
ALL = torch.ones(1, 2, dtype=torch.bool)


def true_gradient(reward: Tensor) -> Tensor:
    """Of sum p_k r_k: p_k (r_k - sum p r)."""
    p = LOGITS.softmax(0)
    return p * (reward - (p * reward).sum())


def expected_gradient(loss: Callable[[Tensor, Tensor], Tensor], draws: int = 2) -> Tensor:
    """Of a loss of (log-probabilities [1, S], outcomes [1, S]), over all outcomes of S independent draws."""
    logits = LOGITS.clone().requires_grad_()
    total = torch.zeros(4, dtype=torch.float64)
    for outcome in product(range(4), repeat=draws):
        chosen = torch.tensor([outcome])
        log_probabilities = logits.log_softmax(0)[chosen]
        weight = log_probabilities.sum().exp().detach()
        (gradient,) = torch.autograd.grad(loss(log_probabilities, chosen), logits)
        total += weight * gradient
    return total


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("reduction", "factor"), [(Reduction.SUM, 2.0), (Reduction.MEAN, 1.0)], ids=["sum", "mean"])
def test_without_a_baseline_the_gradient_is_exact(reduction: Reduction, factor: float) -> None:
    found = expected_gradient(lambda log_p, k: policy_loss(log_p, REWARD[k], ALL, reduction))
    same(found, -factor * true_gradient(REWARD))


@pytest.mark.parametrize("baseline", [0.0, 1.7])
def test_a_scalar_reward_credits_each_of_n_points_with_an_nth_and_no_constant_biases_it(baseline: float) -> None:
    found = expected_gradient(
        lambda log_p, k: policy_loss(log_p, scalar_reward(REWARD[k], ALL, baseline), ALL, Reduction.MEAN)
    )
    same(found, -true_gradient(REWARD) / 2)


def test_the_per_point_advantage_keeps_the_direction() -> None:
    found = expected_gradient(lambda log_p, k: policy_loss(log_p, per_point(REWARD[k], ALL), ALL, Reduction.MEAN))
    same(found, -true_gradient(REWARD) / 2)


def test_leave_one_out_is_exact_and_the_mean_of_the_draws_shrinks_by_one_of_s() -> None:
    valid = torch.ones(1, 3, dtype=torch.bool)
    exact = expected_gradient(lambda log_p, k: policy_loss(log_p, leave_one_out(REWARD[k]), valid, Reduction.MEAN), 3)
    same(exact, -true_gradient(REWARD))
    shrunk = expected_gradient(lambda log_p, k: policy_loss(log_p, mean_of_draws(REWARD[k]), valid, Reduction.MEAN), 3)
    same(shrunk, -true_gradient(REWARD) * 2 / 3)
    with pytest.raises(ValueError, match="two draws"):
        leave_one_out(torch.zeros(2, 1))


def test_leave_one_out_lessens_the_variance() -> None:
    logits = LOGITS.clone().requires_grad_()

    def spread(advantage: Callable[[Tensor], Tensor]) -> float:
        second = 0.0
        for outcome in product(range(4), repeat=2):
            log_p = logits.log_softmax(0)[torch.tensor([outcome])]
            loss = policy_loss(log_p, advantage(5 + REWARD[torch.tensor([outcome])]), ALL, Reduction.MEAN)
            (gradient,) = torch.autograd.grad(loss, logits)
            second += float(log_p.detach().sum().exp() * gradient.square().sum())
        return second

    assert spread(leave_one_out) < 0.5 * spread(lambda reward: reward)


def test_the_hit_rate_scales_the_gradient_of_the_probability_of_a_hit() -> None:
    hits = torch.tensor([True, False, True, False])

    def loss(log_p: Tensor, k: Tensor) -> Tensor:
        (reward,) = rewards_over_hit_rate([Repeatability(hits[k], torch.ones_like(k, dtype=torch.bool))])
        return policy_loss(log_p, reward.double(), ALL)

    other_hits = float((LOGITS.softmax(0) * hits).sum())
    worth = 2 * (other_hits / (1 + 0.01) + (1 - other_hits) / (0.5 + 0.01))
    torch.testing.assert_close(expected_gradient(loss), -worth * true_gradient(hits.double()), rtol=1e-6, atol=1e-8)


def test_points_that_are_not_valid_have_no_say() -> None:
    valid = torch.tensor([[True, False]])
    found = expected_gradient(lambda log_p, k: policy_loss(log_p, REWARD[k], valid, Reduction.MEAN))
    same(found, -true_gradient(REWARD))


def test_the_pair_loss_is_the_mean_over_the_written_out_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    reward = PairReward(
        torch.tensor([[2, 0, 1, 4], [3, 3, 0, 1]]),
        torch.randn(2, 4, generator=generator),
        torch.tensor([0.3, -0.2]),
    )
    first, second = torch.randn(2, 4, generator=generator), torch.randn(2, 5, generator=generator)
    rows = torch.tensor([[True, True, False, True], [True] * 4])
    columns = torch.tensor([[True, False, True, True, True], [True, True, True, False, True]])
    entries = rows[:, :, None] & columns[:, None]
    matrix = reward.matrix(5) * (first[:, :, None] + second[:, None])
    expected = -torch.stack([matrix[b][entries[b]].mean() for b in range(2)]).mean()
    torch.testing.assert_close(pair_policy_loss(reward, first, second, rows, columns), expected)
    nothing = torch.zeros(2, 4, dtype=torch.bool)
    assert float(pair_policy_loss(reward, first, second, nothing, columns)) == 0


def test_reinforced_feature_points_gradient_for_keypoints_and_matches() -> None:
    """Two keypoint outcomes, two match outcomes for each; two draws of keypoints, two of matches for each."""
    keypoint_logits = torch.tensor([0.4, -0.3], dtype=torch.float64, requires_grad=True)
    match_logits = torch.tensor([[0.1, 0.9], [-0.5, 0.2]], dtype=torch.float64, requires_grad=True)
    losses = torch.tensor([[3.0, 10.0], [1.0, 75.0]], dtype=torch.float64)
    p, q = keypoint_logits.log_softmax(0), match_logits.log_softmax(1)
    exact = torch.autograd.grad((p.exp()[:, None] * q.exp() * losses).sum(), (keypoint_logits, match_logits))
    total = [torch.zeros(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)]
    for k in product(range(2), repeat=2):
        for m in product(range(2), repeat=4):
            drawn = torch.tensor(m).reshape(2, 2)
            points = torch.tensor(k)
            p, q = keypoint_logits.log_softmax(0), match_logits.log_softmax(1)
            keypoints, matches = p[points], q[points[:, None], drawn]
            weight = (keypoints.sum() + matches.sum()).exp().detach()
            loss = drawn_pose_loss(losses[points[:, None], drawn][None], keypoints[None, :, None], matches[None])
            for part, gradient in zip(total, torch.autograd.grad(loss, (keypoint_logits, match_logits)), strict=True):
                part += weight * gradient
    # The baselines hold the draw itself: one of two keypoint draws, one of two match draws.
    same(total[0], exact[0] / 2)
    same(total[1], exact[1] / 2)


def test_disks_gradient_is_that_of_the_expected_reward_over_keypoints_and_matches() -> None:
    """One keypoint of two in each image; matched with a probability that depends on which."""
    first = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True)
    second = torch.tensor([-0.1, 0.6], dtype=torch.float64, requires_grad=True)
    theta = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    distance = torch.tensor([[0.2, 0.9, 0.4], [0.8, 0.3, 0.6]], dtype=torch.float64)
    reward = torch.tensor([[1.0, -0.25], [-0.25, 1.0]], dtype=torch.float64)

    def outcome(a: int, b: int) -> tuple[Tensor, Tensor]:
        """Match log-probability of the chosen two, beside a third point that is there always; and their reward."""
        return dual_softmax(distance[a : a + 1, [b, 2]][None], theta), torch.tensor([[[reward[a, b], 0.0]]])

    value = torch.zeros((), dtype=torch.float64)
    total = [torch.zeros_like(x) for x in (first, second, theta)]
    for a, b in product(range(2), repeat=2):
        p, q = first.log_softmax(0)[a], second.log_softmax(0)[b]
        match, worth = outcome(a, b)
        value = value + (p + q).exp() * (match.exp() * worth).sum()
        loss = expected_match_loss(worth, match, p.reshape(1, 1), torch.stack([q, q * 0])[None])
        weight = (p + q).exp().detach()
        gradients = torch.autograd.grad(loss, (first, second, theta), retain_graph=True)
        for part, gradient in zip(total, gradients, strict=True):
            part += weight * gradient
    for found, exact in zip(total, torch.autograd.grad(value, (first, second, theta)), strict=True):
        same(found, -exact)


def test_a_running_mean_knows_only_earlier_rewards() -> None:
    baseline = RunningMean(0.5)
    given = [float(baseline(torch.tensor([value, value]))) for value in (4.0, 8.0, 0.0)]
    # Before anything 0; then 4; then (0.25 * 4 + 0.5 * 8) / 0.75.
    assert given == pytest.approx([0.0, 4.0, 20 / 3])
    assert set(baseline.state_dict()) == {"mean", "updates"}
