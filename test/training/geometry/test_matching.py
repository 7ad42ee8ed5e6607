import torch
import torch.nn.functional as F

from training.geometry.matching import distances, mutual_matches

#: Points 0 and 1 agree with columns 1 and 0; row 2's nearest is column 0, which prefers row 1.
DISTANCE = torch.tensor([[[0.9, 0.1, 0.8], [0.2, 0.9, 0.7], [0.3, 0.9, 0.9]]])


def test_only_mutual_neighbours_match() -> None:
    matches = mutual_matches(DISTANCE)
    assert matches.matched.tolist() == [[True, True, False]]
    assert matches.partner[0, :2].tolist() == [1, 0]


def test_points_that_take_no_part_are_no_neighbours() -> None:
    matches = mutual_matches(DISTANCE, torch.tensor([[True, False, True]]), torch.tensor([[True, False, True]]))
    # Without row 1 and column 1: rows 0 and 2, columns 0 and 2.
    assert matches.matched.tolist() == [[True, False, True]]
    assert matches.partner[0, [0, 2]].tolist() == [2, 0]
    nobody = mutual_matches(DISTANCE, torch.zeros(1, 3, dtype=torch.bool))
    assert not nobody.matched.any()


def test_the_ratio_test_drops_the_ambiguous() -> None:
    # Row 0: 0.1 / 0.8, row 1: 0.2 / 0.7.
    assert mutual_matches(DISTANCE, ratio=0.2).matched.tolist() == [[True, False, False]]


def test_distances_are_euclidean_with_a_finite_gradient_at_zero() -> None:
    first = F.normalize(torch.randn(2, 5, 8), dim=-1).requires_grad_()
    second = F.normalize(torch.randn(2, 7, 8), dim=-1)
    torch.testing.assert_close(distances(first, second), torch.cdist(first, second), atol=1e-4, rtol=1e-4)
    distances(first, first.detach()).sum().backward()
    assert first.grad is not None and first.grad.isfinite().all()
