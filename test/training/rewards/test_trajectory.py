import pytest
import torch
import torch.nn.functional as F

from training.rewards.trajectory import (
    distinctiveness_reward,
    point_visibility,
    ranking_reward,
    trajectory_reward,
)

VISIBLE = torch.ones(1, 1, dtype=torch.bool)


def test_ranking_is_the_share_of_the_surroundings_below() -> None:
    logits = torch.arange(25.0).reshape(1, 5, 5)
    # Around (2, 2) with the value 12: 6 7 8 11 | 13 16 17 18, half of them below: (0.5 - 0.2) / 0.8.
    assert float(ranking_reward(logits, torch.tensor([[[2.0, 2.0]]]), VISIBLE, 3)) == pytest.approx(0.375)
    # The corner (4, 4) has three neighbours inside, all below.
    assert float(ranking_reward(logits, torch.tensor([[[4.3, 3.8]]]), VISIBLE, 3)) == pytest.approx(1.0)
    # The corner (0, 0) is below all: the share 0 is under the floor.
    assert float(ranking_reward(logits, torch.tensor([[[0.0, 0.0]]]), VISIBLE, 3)) == 0
    assert float(ranking_reward(logits, torch.tensor([[[4.0, 4.0]]]), ~VISIBLE, 3)) == 0


def test_ranking_looks_at_its_window_alone_and_an_even_one_reaches_half_to_each_side() -> None:
    logits = torch.zeros(1, 9, 9)
    logits[0, 4, 4] = 1.0
    logits[0, 4, 7] = 2.0
    point = torch.tensor([[[4.0, 4.0]]])
    assert float(ranking_reward(logits, point, VISIBLE, 4)) == 1.0
    share = 47 / 48
    assert float(ranking_reward(logits, point, VISIBLE, 6)) == pytest.approx((share - 0.2) / 0.8)


def unit(degrees: list[float]) -> torch.Tensor:
    angle = torch.tensor([degrees]).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], -1)


def test_distinctiveness_compares_the_own_projection_with_the_nearest_other() -> None:
    reference, target = unit([0.0, 90.0, 180.0]), unit([10.0, 60.0, 300.0])
    visible = torch.tensor([[True, True, True]])

    def chord(angle: float) -> float:
        return 2 * float(torch.tensor(angle / 2).deg2rad().sin())

    # Point 0: 10 degrees to its own, 60 to the others (at 60 and at 300). Point 1: 30 against 80.
    # Point 2: 120 against 120, the ratio 1 is above 0.85.
    expected = [(0.85 - chord(10) / chord(60)) / 0.85, (0.85 - chord(30) / chord(80)) / 0.85, 0.0]
    reward = distinctiveness_reward(reference, target, visible)
    torch.testing.assert_close(reward, torch.tensor([expected]), atol=1e-4, rtol=0)
    # What is not visible is no rival, and has no reward.
    hidden = distinctiveness_reward(reference, target, torch.tensor([[True, False, True]]))
    assert hidden[0, 1] == 0 and hidden[0, 0] == pytest.approx(expected[0], abs=1e-4)
    alone = distinctiveness_reward(reference, target, torch.tensor([[True, False, False]]))
    assert not alone.any()


def test_a_point_is_worth_the_mean_over_the_frames_that_see_it() -> None:
    rewards = [torch.tensor([[1.0, 0.5, 9.0]]), torch.tensor([[0.0, 9.0, 9.0]])]
    visible = [torch.tensor([[True, True, False]]), torch.tensor([[True, False, False]])]
    value, seen = trajectory_reward(rewards, visible)
    assert value.tolist() == [[0.5, 0.5, 0.0]] and seen.tolist() == [[True, True, False]]


def test_visibility_may_ask_for_agreeing_descriptors() -> None:
    reference, target = unit([0.0, 0.0, 0.0]), unit([50.0, 70.0, 0.0])
    visible = torch.tensor([[True, True, False]])
    assert point_visibility(visible, reference, target).tolist() == [[True, True, False]]
    assert point_visibility(visible, reference, target, 0.5).tolist() == [[True, False, False]]
    assert F.cosine_similarity(reference, target, dim=-1)[0, 0] > 0.5
