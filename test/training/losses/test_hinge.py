import torch

from training.geometry.matching import Matches
from training.losses.hinge import match_hinge

DISTANCE = torch.tensor([[[0.3, 0.4, 1.0], [0.9, 0.1, 0.8]]])
MATCHES = Matches(torch.tensor([[0, 1]]), torch.tensor([[True, True]]))
FIRST, SECOND = torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 3, dtype=torch.bool)
SAME, ANOTHER = torch.tensor([1]), torch.tensor([-1])


def test_the_same_scene_asks_for_a_margin_to_the_second_nearest() -> None:
    # 0.2 + 0.3 - 0.4 = 0.1 and max(0, 0.2 + 0.1 - 0.8) = 0.
    loss = match_hinge(DISTANCE, MATCHES, FIRST, SAME, FIRST, SECOND)
    torch.testing.assert_close(loss, torch.tensor(0.05))
    # Without column 1 the second-nearest of row 0 is 1.0 away.
    without = torch.tensor([[True, False, True]])
    assert float(match_hinge(DISTANCE, MATCHES, torch.tensor([[True, False]]), SAME, FIRST, without)) == 0


def test_another_scene_asks_for_a_distance() -> None:
    # max(0, 0.2 - 0.3) = 0 and 0.2 - 0.1.
    loss = match_hinge(DISTANCE, MATCHES, FIRST, ANOTHER, FIRST, SECOND)
    torch.testing.assert_close(loss, torch.tensor(0.05))


def test_no_matches_and_no_rivals_cost_nothing_and_have_a_finite_gradient() -> None:
    distance = DISTANCE.clone().requires_grad_()
    none = torch.zeros(1, 2, dtype=torch.bool)
    lonely = torch.tensor([[True, False, False]])
    loss = match_hinge(distance, MATCHES, none, SAME, FIRST, SECOND)
    loss = loss + match_hinge(distance, MATCHES, FIRST, SAME, FIRST, lonely)
    loss.backward()
    assert distance.grad is not None and distance.grad.isfinite().all()
