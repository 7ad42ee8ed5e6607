import torch

from training.geometry.matching import Matches
from training.rewards.epipolar import enough_points, epipolar_reward

#: Point 0 matches 2 (an inlier), point 1 matches 0 (an outlier), point 2 has no match.
MATCHES = Matches(torch.tensor([[2, 0, 1]] * 3), torch.tensor([[True, True, False]] * 3))
INLIERS = torch.tensor([[True, False, False]] * 3)
LABEL = torch.tensor([1, -1, 1])
ENOUGH = torch.tensor([True, True, False])


def test_inliers_get_the_label_and_all_else_nothing() -> None:
    matrix = epipolar_reward(MATCHES, INLIERS, LABEL, ENOUGH).matrix(4)
    assert matrix.shape == (3, 3, 4)
    assert matrix[0].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert matrix[1].tolist() == [[0, 0, -1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert not matrix[2].any()


def test_the_released_codes_constant_is_opposite_to_the_label() -> None:
    matrix = epipolar_reward(MATCHES, INLIERS, LABEL, ENOUGH, others=0.25).matrix(3)
    assert matrix[0].tolist() == [[-0.25, -0.25, 1], [-0.25, -0.25, -0.25], [-0.25, -0.25, -0.25]]
    assert matrix[1].tolist() == [[0.25, 0.25, -1], [0.25, 0.25, 0.25], [0.25, 0.25, 0.25]]
    assert not matrix[2].any()


def test_ripe_plus_plus_punishes_outlier_matches() -> None:
    matrix = epipolar_reward(MATCHES, INLIERS, LABEL, ENOUGH, outlier=-0.5).matrix(3)
    assert matrix[0].tolist() == [[0, 0, 1], [-0.5, 0, 0], [0, 0, 0]]


def test_both_images_need_enough_points() -> None:
    first = torch.arange(20)[None] < torch.tensor([[16], [16], [15]])
    second = torch.arange(20)[None] < torch.tensor([[16], [15], [20]])
    assert enough_points(first, second).tolist() == [True, False, False]
