import numpy as np
import torch

from training.filters import local_maxima
from training.losses.detection import (
    cell_cross_entropy,
    corner_response,
    detection_loss,
    propose_labels,
    refine,
    splat,
)


def chessboard(size: int = 64, square: int = 16) -> torch.Tensor:
    y, x = np.mgrid[:size, :size]
    return torch.from_numpy((((x // square + y // square) % 2) * 200.0 + 20).astype(np.float32))[None, None]


def test_corner_response_peaks_at_the_corners_of_a_chessboard() -> None:
    response = corner_response(chessboard())
    response[..., :6, :] = response[..., -6:, :] = response[..., :6] = response[..., -6:] = 0
    peaks = local_maxima(response, 5)[0, 0]
    found = {(round(x / 16), round(y / 16)) for y, x in torch.nonzero(peaks > 0.8 * peaks.max()).tolist()}
    assert found == {(x, y) for x in (1, 2, 3) for y in (1, 2, 3)}


def test_refinement_is_the_centre_of_mass() -> None:
    response = torch.zeros(1, 1, 5, 5)
    response[0, 0, 2, 2], response[0, 0, 2, 3] = 3.0, 1.0
    assert torch.allclose(refine(response, torch.tensor([[[2, 2]]])), torch.tensor([[[2.25, 2.0]]]))


def test_splat_has_mass_one_around_the_point() -> None:
    points = torch.tensor([[[10.3, 7.8], [5.0, 5.0]]])
    heat = splat(points, torch.tensor([[True, False]]), 16, 24)[0, 0]
    assert torch.isclose(heat.sum(), torch.tensor(1.0))
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(24.0), indexing="ij")
    assert torch.allclose(torch.stack([(heat * x).sum(), (heat * y).sum()]), points[0, 0], atol=0.03)


def test_cross_entropy_is_the_hand_computed_one() -> None:
    logits = torch.zeros(1, 1, 8, 16)
    logits[0, 0, 1, 1] = 2.0
    heat = torch.zeros(1, 1, 8, 16)
    heat[0, 0, 1, 1] = 0.5
    visible = torch.ones(1, 1, 8, 16, dtype=torch.bool)
    norm = np.log(np.exp(2.0) + 63 + 1)
    first = 0.5 * (norm - 2.0) + 0.5 * norm
    second = np.log(65.0)
    loss = cell_cross_entropy(logits, heat, visible)
    assert np.isclose(float(loss), (first + second) / 2, atol=1e-5)
    visible[0, 0, 3, 12] = False
    assert np.isclose(float(cell_cross_entropy(logits, heat, visible)), first, atol=1e-5)


def test_labels_are_the_points_that_both_views_fire_on() -> None:
    reference, target = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    reference[0, 0, 20, 30] = target[0, 0, 24, 25] = 1.0  # moved by (-5, 4), in both
    reference[0, 0, 40, 40] = 1.0  # in the reference alone
    target[0, 0, 50, 50] = 1.0  # in the target alone
    homography = torch.tensor([[[1.0, 0, -5], [0, 1, 4], [0, 0, 1]]])
    labels = propose_labels(reference, target, torch.zeros(1, 1, 64, 64), homography, 0.0, 1 / 256)
    assert labels.valid.sum() == 1
    assert torch.allclose(labels.points[labels.valid], torch.tensor([[30.0, 20.0]]), atol=1e-3)
    assert torch.allclose(labels.warped[labels.valid], torch.tensor([[25.0, 24.0]]), atol=1e-3)


def test_the_loss_is_overfitted_to_the_labels() -> None:
    torch.manual_seed(0)
    points = torch.tensor([[[10.4, 9.0], [27.0, 20.2], [50.0, 41.0]]])
    valid = torch.tensor([[True, True, True]])
    visible = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    logits = torch.randn(1, 1, 64, 64, requires_grad=True)
    optimiser = torch.optim.Adam([logits], 0.3)
    for _ in range(200):
        loss = detection_loss(logits, points, valid, visible)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    best = logits.detach().flatten().topk(3).indices
    assert {(int(i % 64), int(i // 64)) for i in best} <= {(10, 9), (27, 20), (50, 41)}
