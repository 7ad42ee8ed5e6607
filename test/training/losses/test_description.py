import numpy as np
import torch

from training.losses.description import assignment_loss

FAR = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
ONE_PAIR = torch.tensor([0, 0])


def test_two_points_by_hand() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    second = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    loss, right = assignment_loss(first, second, FAR, ONE_PAIR, torch.tensor(0.5))
    # Similarities over the temperature: [[2, 1.2], [0, 1.6]].
    rows = np.log(1 + np.exp(1.2 - 2)) + np.log(1 + np.exp(0 - 1.6))
    columns = np.log(1 + np.exp(0 - 2)) + np.log(1 + np.exp(1.2 - 1.6))
    assert np.isclose(float(loss), (rows + columns) / 4, atol=1e-6)
    assert float(right) == 1.0


def test_points_beside_the_partner_are_no_negatives() -> None:
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    near = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    loss, _ = assignment_loss(first, first, near, ONE_PAIR, torch.tensor(0.1))
    assert float(loss) == 0.0
    loss, _ = assignment_loss(first, first, near, torch.tensor([0, 1]), torch.tensor(0.1))
    assert np.isclose(float(loss), np.log(2), atol=1e-6)
