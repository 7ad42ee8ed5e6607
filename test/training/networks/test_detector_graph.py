import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training.networks.detector_graph import DetectorGraph, sample_descriptors
from training.networks.keypoint_network import KeypointNetwork


@pytest.fixture
def graph() -> DetectorGraph:
    return DetectorGraph(KeypointNetwork(), max_keypoints=20, radius=2, border=4).eval()


def test_selection_is_the_plain_non_maximum_suppression(graph: DetectorGraph) -> None:
    logits = torch.randn(1, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    values, pixels = graph.select(logits)
    plane = logits[0, 0].numpy()
    expected = [
        (plane[y, x], x, y)
        for y in range(4, 60)
        for x in range(4, 92)
        if plane[y, x] == plane[y - 2 : y + 3, x - 2 : x + 3].max()
    ]
    best = sorted(expected, reverse=True)[:20]
    assert [tuple(p) for p in pixels.tolist()] == [(x, y) for _, x, y in best]
    np.testing.assert_allclose(values.numpy(), [v for v, _, _ in best])


def test_the_sub_pixel_step_recovers_the_labels_centre(graph: DetectorGraph) -> None:
    y, x = np.mgrid[:64, :96]
    centre = np.array([40.3, 21.6])
    likelihood = -((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 0.6**2)
    logits = torch.from_numpy(likelihood.astype(np.float32))[None, None]
    refined = graph.refine(logits, torch.tensor([[40, 22]]))
    np.testing.assert_allclose(refined[0].numpy(), centre, atol=0.03)


def test_four_gathers_are_bilinear_interpolation() -> None:
    generator = torch.Generator().manual_seed(1)
    descriptors = torch.randn(1, 16, 6, 9, generator=generator)
    keypoints = torch.rand(50, 2, generator=generator) * torch.tensor([71.0, 47.0])
    grid = 2 * (keypoints + 0.5) / torch.tensor([72.0, 48.0]) - 1
    expected = F.grid_sample(descriptors, grid[None, None], align_corners=False, padding_mode="border")[0, :, 0].T
    torch.testing.assert_close(sample_descriptors(descriptors, keypoints), F.normalize(expected, dim=1))


def test_keypoints_keep_off_the_border_and_come_best_first(graph: DetectorGraph) -> None:
    image = torch.randint(0, 255, (1, 1, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        keypoints, scores, descriptors = graph(image)
    assert (scores.diff() <= 0).all()
    assert (keypoints.min() >= 2) and (keypoints[:, 0].max() <= 93) and (keypoints[:, 1].max() <= 61)
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(20))


def test_a_border_without_room_for_the_sub_pixel_step_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        DetectorGraph(KeypointNetwork(), border=1)
