from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_scenes import mean_of, one_batch, overfit

from training.methods.method import Trained
from training.methods.traqpoint import (
    TRAQPOINT,
    Advantage,
    Objective,
    Reward,
    Traqpoint,
    TraqpointConfig,
    confirmed_corners,
)
from training.networks.making import make_network
from training.regularisers.fast_warm_up import fast_heat
from training.schedules import Schedule


@pytest.fixture
def config(small: dict[str, Any]) -> TraqpointConfig:
    return TraqpointConfig(
        **small,
        frames=3,
        curriculum=[[0.1, 0.95]],
        cell=12,
        global_points=32,
        window=16,
        least_cosine=None,
        trained=Trained.EVERYTHING,
        advantage=Advantage.PER_POINT,
        over_image=False,
        policy_weight=Schedule(start=1.0),
        corner_weight=Schedule(start=0.0),
        entropy_weight=Schedule(start=0.0),
    )


def make(config: TraqpointConfig) -> Traqpoint:
    torch.manual_seed(0)
    return Traqpoint(config, make_network(config.network))


def test_one_batch_is_overfitted(config: TraqpointConfig) -> None:
    history = overfit(make(config), one_batch(TRAQPOINT, config), 60)
    assert mean_of(history[-10:], "reward") > mean_of(history[:10], "reward") + 0.06


def test_the_papers_scalar_advantage_sharpens_the_policy(config: TraqpointConfig) -> None:
    """A single positive number pushes up whatever was drawn: the entropy falls, and falls less where it is paid for."""
    batch = one_batch(TRAQPOINT, config)
    falls = []
    for weight in (1e-9, 1.0):
        paid = replace(config, advantage=Advantage.SCALAR, over_image=True, entropy_weight=Schedule(start=weight))
        history = overfit(make(paid), batch, 40)
        falls.append(history[-1]["negative_entropy"] - history[0]["negative_entropy"])
    assert falls[0] > 0.1 and falls[1] < 0.5 * falls[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 2},
        {"frames": 2, "reward": Reward.MATCH},
        {"ranking": False, "largest_ratio": 2.0},
        {"distinctiveness": False},
        {"objective": Objective.SUPERVISED},
        {"advantage": Advantage.SCALAR},
        {"least_cosine": 0.5},
        {"entropy_cell": 16, "entropy_weight": Schedule(start=0.01)},
        {"corner_weight": Schedule(start=1.0)},
        {"coverage_weight": Schedule(start=1.0)},
    ],
)
def test_every_ablation_is_a_setting(config: TraqpointConfig, changes: dict[str, Any]) -> None:
    config = replace(config, **changes)
    objective = make(config)
    loss, figures = objective(one_batch(TRAQPOINT, config), 1)
    loss.backward()
    gradients = [p.grad for p in objective.parameters() if p.grad is not None]
    assert gradients and all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert any(bool(gradient.any()) for gradient in gradients)
    assert "reward" in figures


def test_the_parts_of_the_reward_add_up(config: TraqpointConfig) -> None:
    """Without either part a point is worth what the other part says, on the same draws."""
    batch = one_batch(TRAQPOINT, config)
    rewards = []
    for ranking, distinctiveness in ((True, True), (True, False), (False, True), (False, False)):
        objective = make(replace(config, ranking=ranking, distinctiveness=distinctiveness)).eval()
        torch.manual_seed(1)
        rewards.append(float(objective(batch, 0)[1]["reward"]))
    assert rewards[0] == pytest.approx(rewards[1] + rewards[2], abs=1e-5)
    assert rewards[3] == 0 and min(rewards[1:3]) > 0


def test_right_matches_are_learned(config: TraqpointConfig) -> None:
    """Two frames that are one: even descriptors that were never trained tell points apart."""
    config = replace(config, reward=Reward.MATCH, frames=2)
    batch = one_batch(TRAQPOINT, config).frames([0, 0])
    history = overfit(make(config), batch, 60)
    assert mean_of(history[-10:], "reward") > mean_of(history[:10], "reward") + 0.1


def test_the_policy_takes_over_from_the_corners_in_the_first_tenth() -> None:
    config = TraqpointConfig()
    weights = [(config.policy_weight.at(p), config.corner_weight.at(p)) for p in (0.0, 0.05, 0.1, 1.0)]
    assert [value for pair in weights for value in pair] == pytest.approx([0.1, 1, 0.55, 0.5, 1, 0, 1, 0])


def test_a_corner_is_confirmed_where_the_other_frames_have_it_too(config: TraqpointConfig) -> None:
    batch = one_batch(TRAQPOINT, config)
    heat = fast_heat(batch.images[:, 0], 20)
    target, known = confirmed_corners(batch, 20, 0.05)
    assert bool((target <= heat + 1e-6).all()) and 0.2 < float(known.float().mean()) <= 1
    corners = (heat > 0.9) & known
    # The same flat photograph from elsewhere: most corners are there again, within the blur of 2 px.
    assert float(target[corners].mean()) > 0.5
    blind, _ = confirmed_corners(replace(batch, images=torch.zeros_like(batch.images)), 20, 0.05)
    assert not bool(blind.any())
