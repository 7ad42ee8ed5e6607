"""Each policy loss, with its own sampler and reward, must learn the one thing that pays on a single small batch."""

import torch
from torch import Tensor

from training.geometry.matching import distances, mutual_matches
from training.losses.advantages import per_point
from training.losses.hinge import match_hinge
from training.losses.policy_gradient import (
    Reduction,
    drawn_pose_loss,
    expected_match_loss,
    pair_policy_loss,
    policy_loss,
)
from training.regularisers.coverage import coverage
from training.regularisers.entropy import entropy
from training.regularisers.fast_warm_up import fast_heat, fast_warm_up
from training.rewards.epipolar import epipolar_reward
from training.rewards.repeatability import repeatability, rewards_over_hit_rate
from training.samplers.balanced_top_k import sample_balanced_top_k
from training.samplers.cells import sample_cells
from training.samplers.grid_and_global import sample_grid_and_global
from training.samplers.matches import dual_softmax
from training.samplers.multinomial import sample_multinomial
from training.samplers.samples import values_at


def paying_pixels() -> Tensor:
    """Every pixel of a 16 x 16 map that pays: one in each 4 x 4 cell."""
    pays = torch.zeros(1, 16, 16)
    pays[:, 1::4, 2::4] = 1.0
    return pays


def fit(parameters: list[Tensor], loss, steps: int, rate: float = 0.3) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(parameters, rate)
    values = []
    for _ in range(steps):
        value = loss()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    return values[0], values[-1]


def share_of(logits: Tensor) -> float:
    """Probability that a draw pays."""
    return float((logits.detach().flatten(1).softmax(1) * paying_pixels().flatten(1)).sum())


def test_trajectory_rewards_with_grid_and_global_draws() -> None:
    logits = torch.zeros(1, 16, 16, requires_grad=True)

    def loss() -> Tensor:
        drawn = sample_grid_and_global(logits, 16, 4)
        reward = values_at(paying_pixels(), drawn.keypoints)
        return policy_loss(drawn.log_probabilities, per_point(reward, drawn.valid), drawn.valid, Reduction.MEAN)

    assert share_of(logits) < 0.07
    fit([logits], loss, 120)
    assert share_of(logits) > 0.9


def test_repeatability_with_balanced_top_k() -> None:
    torch.manual_seed(3)
    logits = torch.randn(1, 16, 16).requires_grad_()
    there = torch.tensor([[[x, y] for y in range(1, 16, 4) for x in range(2, 16, 4)]]).float()
    everywhere = torch.ones(1, 16, dtype=torch.bool)

    def rate() -> float:
        drawn = sample_balanced_top_k(logits, 24)
        return float(values_at(paying_pixels(), drawn.keypoints).sum() / drawn.valid.sum())

    def loss() -> Tensor:
        drawn = sample_balanced_top_k(logits, 24)
        found = repeatability(drawn.keypoints, drawn.valid, there, everywhere, 1.1)
        (reward,) = rewards_over_hit_rate([found])
        cover = coverage(logits, torch.ones(1, 16, 16, dtype=torch.bool), 3.0)
        return policy_loss(drawn.log_probabilities, reward, found.valid) + cover

    before = hits(logits, there)
    fit([logits], loss, 100, 0.1)
    assert hits(logits, there) > before + 0.3 and rate() > 0


def hits(logits: Tensor, there: Tensor) -> float:
    drawn = sample_balanced_top_k(logits, 24)
    found = repeatability(drawn.keypoints, drawn.valid, there, torch.ones(1, 16, dtype=torch.bool), 1.1)
    return float(found.hit.sum() / found.valid.sum())


def test_signed_pairs_with_cells_and_acceptance() -> None:
    """Points match their nearest neighbour; a match is an inlier when both lie in the left half of their cells."""
    logits = torch.zeros(1, 8, 8, requires_grad=True)
    left = (torch.arange(8) % 4 < 2).expand(8, 8)

    def loss() -> Tensor:
        drawn = sample_cells(logits.expand(64, -1, -1), 4)
        first, second = drawn.keypoints.chunk(2)
        one, two = drawn.accepted.chunk(2)
        matches = mutual_matches(torch.cdist(first, second), one, two)
        good, also = (values_at(left.expand(32, -1, -1), points) for points in (first, second))
        inliers = matches.matched & good & also.gather(1, matches.partner)
        reward = epipolar_reward(matches, inliers, torch.ones(32), torch.ones(32, dtype=torch.bool), outlier=-0.1)
        log_p = drawn.log_probabilities.chunk(2)
        return 16 * pair_policy_loss(reward, *log_p, *drawn.valid.chunk(2))

    fit([logits], loss, 120)
    inside, outside = logits.detach()[:, left], logits.detach()[:, ~left]
    assert inside.mean() > 2.0 + outside.mean()
    drawn = sample_cells(logits.detach().expand(64, -1, -1), 4)
    assert (
        drawn.accepted.float().mean() > 0.8 and values_at(left.expand(64, -1, -1), drawn.keypoints).float().mean() > 0.9
    )


def test_pose_losses_with_global_draws() -> None:
    logits = torch.zeros(1, 8, 8, requires_grad=True)
    pays = paying_pixels()[:, :8, :8]

    def loss() -> Tensor:
        drawn = [sample_multinomial(logits, 12) for _ in range(3)]
        share = torch.stack([values_at(pays, d.keypoints).mean(1) for d in drawn], 1)
        losses = (10 * (1 - share))[..., None].expand(-1, -1, 3)
        keypoints = torch.stack([d.log_probabilities.sum(1, keepdim=True) for d in drawn], 1)
        return drawn_pose_loss(losses, keypoints, torch.zeros(1, 3, 3))

    fit([logits], loss, 150)
    assert float((logits.detach().flatten().softmax(0) * pays.flatten()).sum()) > 0.9


def test_expected_match_rewards_train_the_descriptors() -> None:
    torch.manual_seed(0)
    first = torch.randn(1, 10, 8)
    second = (first + 0.7 * torch.randn(1, 10, 8)).requires_grad_()
    first.requires_grad_()
    reward = torch.where(torch.eye(10, dtype=torch.bool), 1.0, -0.25)[None]
    zero = torch.zeros(1, 10)

    def log_probability() -> Tensor:
        one, two = (torch.nn.functional.normalize(x, dim=-1) for x in (first, second))
        return dual_softmax(distances(one, two), 10.0)

    _, last = fit([first, second], lambda: expected_match_loss(reward, log_probability(), zero, zero), 60, 0.1)
    assert last < -9.0
    assert torch.equal(log_probability()[0].argmax(1), torch.arange(10))


def test_the_hinge_separates_matches_from_rivals() -> None:
    torch.manual_seed(1)
    first, second = torch.randn(1, 10, 8).requires_grad_(), torch.randn(1, 10, 8).requires_grad_()
    everyone = torch.ones(1, 10, dtype=torch.bool)

    def loss() -> Tensor:
        one, two = (torch.nn.functional.normalize(x, dim=-1) for x in (first, second))
        distance = distances(one, two)
        matches = mutual_matches(distance)
        return match_hinge(distance, matches, everyone, torch.tensor([1]), everyone, everyone)

    before, after = fit([first, second], loss, 60, 0.05)
    assert before > 0.02 and after < 0.2 * before


def test_regularisers_reach_their_optimum() -> None:
    torch.manual_seed(2)
    logits = (3 * torch.randn(1, 16, 16)).requires_grad_()
    most = float(entropy(torch.zeros(1, 16, 16)))
    fit([logits], lambda: -entropy(logits), 120)
    assert float(entropy(logits.detach())) > most - 0.01
    images = torch.full((1, 1, 32, 32), 30.0)
    images[..., :16, :16] = 220.0
    heat, valid = fast_heat(images), torch.ones(1, 32, 32, dtype=torch.bool)
    heat_logits = torch.zeros(1, 32, 32, requires_grad=True)
    fit([heat_logits], lambda: fast_warm_up(heat_logits, heat, valid), 60)
    torch.testing.assert_close(heat_logits.detach().sigmoid(), heat, atol=0.05, rtol=0)
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[..., :8] = True
    spread = torch.zeros(1, 16, 16, requires_grad=True)
    before, after = fit([spread], lambda: coverage(spread, mask, 2.0), 60)
    assert before > 0.3 and after < 0.02
