import cv2
import numpy as np
import pytest
import torch

from training.frame_batch import FrameBatch
from training.geometry.camera import (
    View,
    distort,
    pixels_of,
    project,
    rays_of,
    relative_pose,
    transform,
    undistort,
    view_of,
)
from training.geometry.image_plane import inside

K = np.array([[400.0, 0, 320], [0, 410, 240], [0, 0, 1]])
LENSES = {
    "TUM fr1": [0.2624, -0.9531, -0.0054, 0.0026, 1.1633, 0, 0, 0],
    "EuRoC": [-0.2834, 0.0740, 0.0002, 1.76e-05, 0, 0, 0, 0],
    "rational": [0.5, 0.1, 0.001, -0.0005, 0.01, 0.8, 0.2, 0.02],
}


def view(lens: str | None = None) -> View:
    coefficients = None if lens is None else torch.tensor([LENSES[lens]], dtype=torch.float32)
    return View(torch.tensor(K, dtype=torch.float32)[None], torch.eye(4)[None], (480, 640), None, coefficients)


@pytest.mark.parametrize("lens", LENSES)
def test_projection_is_opencvs(lens: str) -> None:
    points = np.random.default_rng(0).uniform([-1.2, -0.9, 2], [1.2, 0.9, 4], (50, 3))
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(LENSES[lens]))[0][:, 0]
    pixels, depth = project(torch.tensor(points, dtype=torch.float32)[None], view(lens))
    np.testing.assert_allclose(pixels[0].numpy(), expected, atol=2e-3)
    np.testing.assert_allclose(depth[0].numpy(), points[:, 2], rtol=1e-6)


@pytest.mark.parametrize("lens", LENSES)
def test_undistortion_inverts_distortion(lens: str) -> None:
    rays = torch.from_numpy(np.random.default_rng(1).uniform(-0.5, 0.5, (1, 60, 2)).astype(np.float32))
    coefficients = torch.tensor([LENSES[lens]])
    torch.testing.assert_close(undistort(distort(rays, coefficients), coefficients), rays, atol=2e-5, rtol=0)
    there_and_back = pixels_of(rays_of(pixels_of(rays, view(lens)), view(lens)), view(lens))
    torch.testing.assert_close(there_and_back, pixels_of(rays, view(lens)), atol=1e-2, rtol=0)


def test_what_the_lens_would_fold_back_into_the_image_is_outside() -> None:
    # x (1 - 0.28 x^2 + 0.07 x^4) turns back: a ray at 80 degrees would land in the image.
    steep = torch.tensor([[[0.2, 0.0, 1.0], [2.0, 0.5, 1.0]]])
    folded = distort(steep[..., :2], torch.tensor([[-0.28, 0.0, 0, 0, 0, 0, 0, 0]]))
    assert folded[0, 1].abs().max() < 0.8
    camera = view("EuRoC")
    camera = View(camera.intrinsics, camera.pose, camera.size, None, torch.tensor([[-0.28, 0.0, 0, 0, 0, 0, 0, 0]]))
    assert inside(project(steep, camera)[0], 480, 640).tolist() == [[True, False]]


def test_points_behind_the_camera_are_outside() -> None:
    pixels, _ = project(torch.tensor([[[0.0, 0, 1], [0, 0, -1], [0, 0, 0]]]), view())
    assert inside(pixels, 480, 640).tolist() == [[True, False, False]]


def test_a_relative_pose_takes_points_from_one_camera_to_the_other() -> None:
    rng = np.random.default_rng(2)

    def pose() -> torch.Tensor:
        matrix = np.eye(4)
        matrix[:3, :3] = cv2.Rodrigues(rng.normal(size=3))[0]
        matrix[:3, 3] = rng.normal(size=3)
        return torch.tensor(matrix)[None]

    first, second = pose(), pose()
    world = torch.tensor(rng.normal(size=(1, 9, 3)))
    moved = transform(transform(world, first), relative_pose(first, second))
    torch.testing.assert_close(moved, transform(world, second))


def test_a_batch_without_poses_says_so() -> None:
    batch = FrameBatch(
        torch.zeros(1, 2, 1, 4, 4), torch.ones(1, 2, 4, 4, dtype=torch.bool), torch.ones(1, dtype=torch.int64)
    )
    with pytest.raises(ValueError, match="intrinsics and poses"):
        view_of(batch, 0)


def test_the_lens_is_asked_only_in_batches_that_a_lens_bends() -> None:
    bent = torch.tensor(LENSES["TUM fr1"])
    batch = FrameBatch(
        torch.zeros(1, 2, 1, 480, 640),
        torch.ones(1, 2, 480, 640, dtype=torch.bool),
        torch.ones(1, dtype=torch.int64),
        torch.tensor(K, dtype=torch.float32).expand(1, 2, 3, 3),
        torch.eye(4).expand(1, 2, 4, 4),
        distortion=torch.stack([torch.zeros(8), bent])[None],
    )
    straight, other = view_of(batch, 0), view_of(batch, 1)
    assert straight.distortion is None and other.distortion is not None
    # Coefficients of 0 say the same as none.
    pixels = torch.tensor([[[3.0, 5.0], [600.0, 400.0]]])
    zeros = View(straight.intrinsics, straight.pose, straight.size, None, torch.zeros(1, 8))
    torch.testing.assert_close(rays_of(pixels, straight), rays_of(pixels, zeros))
