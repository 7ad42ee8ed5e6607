import torch

from training.geometry.camera import View, project, transform
from training.geometry.epipolar import epipolar_distance, essential_matrix, homogeneous, skew


def camera(x: float, y: float, angle: float = 0.0) -> View:
    pose = torch.eye(4)
    cosine, sine = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
    pose[:3, :3] = torch.tensor([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    pose[:3, 3] = -pose[:3, :3] @ torch.tensor([x, y, 0.0])
    return View(torch.tensor([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]])[None], pose[None], (80, 100))


def test_skew_is_the_cross_product() -> None:
    a, b = torch.tensor([[1.0, 2, 3]]), torch.tensor([[-2.0, 0.5, 4]])
    torch.testing.assert_close((skew(a) @ b[..., None])[..., 0], torch.linalg.cross(a, b))


def test_projections_of_one_point_satisfy_the_essential_matrix() -> None:
    source, target = camera(0, 0), camera(0.5, -0.2, 0.3)
    points = torch.rand(1, 20, 3) + torch.tensor([0.0, 0, 3])
    first, second = (transform(points, view.pose) for view in (source, target))
    p, q = (homogeneous(x[..., :2] / x[..., 2:]) for x in (first, second))
    residual = (q @ essential_matrix(source, target) * p).sum(-1)
    assert residual.abs().max() < 1e-6


def test_sideways_motion_makes_rows_the_epipolar_lines() -> None:
    source, target = camera(0, 0), camera(0.5, 0)
    first = torch.tensor([[[10.0, 20], [60, 45]]])
    second = torch.tensor([[[3.0, 20], [99, 25]]])
    distance = epipolar_distance(first, second, source, target)
    torch.testing.assert_close(distance, torch.tensor([[[0.0, 5], [25, 20]]]), atol=1e-4, rtol=0)


def test_the_distance_knows_the_distortion() -> None:
    source, target = camera(0, 0), camera(0.5, 0.1, 0.2)
    lens = torch.tensor([[-0.3, 0.1, 0.001, 0, 0, 0, 0, 0]])
    views = [View(v.intrinsics, v.pose, v.size, None, lens) for v in (source, target)]
    points = torch.tensor([[[0.3, -0.2, 3.0], [0.6, 0.4, 4.0]]])
    first, second = (project(transform(points, view.pose), view)[0] for view in views)
    distance = epipolar_distance(first, second, *views)
    assert distance[0].diagonal().max() < 0.01 and distance[0, 0, 1] > 5
