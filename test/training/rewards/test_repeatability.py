import pytest
import torch
from planes import wall

from training.geometry.reprojection import reproject
from training.rewards.repeatability import hit_radius, repeatability, rewards_over_hit_rate


def test_points_of_a_wall_that_the_other_view_has_too_are_hits() -> None:
    # A step of 1 m to the right moves the wall by 10 px to the left.
    first = torch.tensor([[[30.0, 20], [40, 10], [50, 30], [5, 5]]])
    second = torch.tensor([[[20.0, 21], [30, 12], [7, 7]]])
    seen = reproject(first, wall(), wall(x=1.0))
    found = repeatability(seen.points, seen.visible, second, torch.tensor([[True, True, True]]), 1.6)
    # 1 px off: hit; 2 px off: miss; nothing near: miss; out of the other view: no question.
    assert found.hit.tolist() == [[True, False, False, False]]
    assert found.valid.tolist() == [[True, True, True, False]]
    hidden = repeatability(seen.points, seen.visible, second, torch.tensor([[False, True, True]]), 1.6)
    assert not hidden.hit.any()


def test_rewards_are_divided_by_the_hit_rate_of_both_views() -> None:
    one = repeatability(*_points([True, True, True, True]), radius=1.0)
    two = repeatability(*_points([True, True, False, False]), radius=1.0)
    # 2 hits of 4 and 2 of 2: 4 of 6.
    first, second = rewards_over_hit_rate([one, two])
    worth = 1 / (4 / 6 + 0.01)
    assert first[0].tolist() == pytest.approx([worth, worth, 0, 0])
    assert second[0].tolist() == pytest.approx([worth, worth, 0, 0])


def test_no_hit_and_no_valid_point_give_no_reward() -> None:
    nothing = repeatability(*_points([False] * 4), radius=1.0)
    assert not rewards_over_hit_rate([nothing])[0].any()


def test_the_threshold_is_the_papers() -> None:
    assert hit_radius(640, 640) == pytest.approx(1.6)


def _points(visible: list[bool]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Four points, of which the first two are found again."""
    warped = torch.tensor([[[0.0, 0], [10, 0], [20, 0], [30, 0]]])
    return warped, torch.tensor([visible]), torch.tensor([[[0.0, 0.5], [10, 0]]]), torch.ones(1, 2, dtype=torch.bool)
