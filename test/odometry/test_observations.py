from __future__ import annotations

import numpy as np

from kp_ros.camera import Camera
from kp_ros.features import Tracks
from kp_ros.odometry.base import OdometryFrame
from kp_ros.odometry.lens import Lens
from kp_ros.odometry.observations import Depths, deviations_by_score, observe, whitening

PLAIN = Camera(640, 480, np.array([[500.0, 0, 320], [0, 400, 240], [0, 0, 1]]), np.zeros(0))
BENT = Camera(640, 480, PLAIN.matrix, np.array([0.26, -0.95, -0.005, 0.003, 1.16]))
FISHEYE = Camera(
    848,
    800,
    np.array([[286.0, 0, 420], [0, 286, 400], [0, 0, 1]]),
    np.array([-0.01, 0.04, -0.04, 0.007]),
    "equidistant",
)


def test_without_distortion_the_scale_is_the_focal_length() -> None:
    rays, scales = Lens(PLAIN)(np.array([[320, 240], [420, 280]], np.float32))
    np.testing.assert_allclose(rays, [[0, 0, 1], [0.2, 0.1, 1]], atol=1e-6)
    np.testing.assert_array_equal(scales, [PLAIN.matrix[:2, :2]] * 2)


def test_with_any_lens_the_scale_turns_small_errors_of_rays_into_pixels() -> None:
    random = np.random.default_rng(0)
    for camera, reach in ((BENT, 1.0), (FISHEYE, 0.5)):
        size = np.array([camera.width, camera.height])
        keypoints = ((random.uniform(-0.5, 0.5, (200, 2)) * reach + 0.5) * (size - 1)).astype(np.float32)
        shift = random.normal(0, 0.5, (200, 2)).astype(np.float32)
        rays, scales = Lens(camera)(keypoints)
        np.testing.assert_allclose(rays, camera.rays(keypoints), atol=1e-6)
        moved = camera.rays(keypoints + shift).astype(float) - camera.rays(keypoints)
        pixels = np.einsum("nij,nj->ni", scales, moved[:, :2])
        np.testing.assert_allclose(pixels, shift, atol=0.06)


def test_rays_near_the_plane_of_the_camera_are_not_used() -> None:
    x, y = np.meshgrid(np.arange(0, 848, 20), np.arange(0, 800, 20))
    keypoints = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    wide = ~(np.linalg.norm(FISHEYE.rays(keypoints)[:, :2], axis=1) < 5)
    assert wide.any()
    np.testing.assert_array_equal(np.isnan(Lens(FISHEYE)(keypoints)[0]).any(1), wide)


def test_better_scores_weigh_more_by_their_rank_alone() -> None:
    scores = np.array([0.2, 0.9, 0.5], np.float32)
    deviations = deviations_by_score(scores, 0.5)
    assert deviations[1] < deviations[2] < deviations[0]
    assert deviations[2] == 0.5
    np.testing.assert_array_equal(deviations_by_score(scores * 1000, 0.5), deviations)
    np.testing.assert_array_equal(deviations_by_score(scores[:1], 0.5), [0.5])


def test_whitening_gives_unit_variance() -> None:
    scales = np.array([[[500.0, 0], [0, 400]]])
    # One pixel off, of a deviation of half a pixel, is two deviations.
    white = whitening(scales, np.ones(1, np.float32), 0.5, None)[0]
    np.testing.assert_allclose(white @ [1 / 500, 0], [2, 0])
    covariance = np.array([[[4.0, 1], [1, 2]]])
    white = whitening(scales, np.ones(1, np.float32), 0.5, covariance)[0]
    on_plane = np.diag([1 / 500, 1 / 400]) @ covariance[0] @ np.diag([1 / 500, 1 / 400])
    np.testing.assert_allclose(white @ on_plane @ white.T, np.eye(2), atol=1e-12)


def test_observations_are_sorted_and_have_rays() -> None:
    tracks = Tracks(
        np.array([7, 3, 5], np.uint32),
        np.ones(3, np.uint32),
        np.array([[320, 240], [np.nan, 0], [420, 240]], np.float32),
        np.zeros((3, 2), np.float32),
        np.ones(3, np.float32),
        np.zeros((3, 0), np.float32),
    )
    frame = OdometryFrame(1, np.zeros((480, 640), np.uint8), PLAIN, tracks)
    depths = Depths(np.array([0.7, 0.3, 0.5]), np.full(3, 0.1))
    found = observe(frame, Lens(PLAIN), depths, 0.5)
    assert found.track_id.tolist() == [5, 7]
    assert found.depths.inverse.tolist() == [0.5, 0.7]
    np.testing.assert_allclose(found.rays[0], [0.2, 0, 1], atol=1e-6)
