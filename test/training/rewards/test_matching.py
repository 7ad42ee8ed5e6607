import torch
from planes import wall

from training.rewards.matching import match_reward


def test_matches_on_a_wall_are_right_wrong_or_undecided() -> None:
    # 1 m to the right: everything moves 10 px to the left, and epipolar lines are rows.
    first = torch.tensor([[[30.0, 20], [40, 10]]])
    second = torch.tensor([[[20.0, 21], [25, 20], [30, 12], [30, 25]]])
    reward = match_reward(first, second, wall(), wall(x=1.0))
    # (30, 20) is at (20, 20): 1 px off is right, 5 px along the line is undecided, off the line is wrong.
    # (40, 10) is at (30, 10): 2 px off the line is wrong.
    assert reward.tolist() == [[[1.0, 0.0, -0.25, -0.25], [-0.25, -0.25, -0.25, -0.25]]]


def test_without_depth_a_match_on_the_line_is_undecided() -> None:
    source = wall()
    assert source.depth is not None
    source.depth.zero_()
    reward = match_reward(torch.tensor([[[30.0, 20]]]), torch.tensor([[[20.0, 20], [20, 30]]]), source, wall(x=1.0))
    assert reward.tolist() == [[[0.0, -0.25]]]
