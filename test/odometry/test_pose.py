"""Projection, pose and depth filter: derivatives by finite differences, values by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kp_ros.odometry.base import Float64
from kp_ros.odometry.depth_filter import trust, update_depths
from kp_ros.odometry.landmarks import LandmarkTable, Points, begin
from kp_ros.odometry.observations import Depths, Observations
from kp_ros.odometry.pose import Prior, assess, fit_pose, sample_pose
from kp_ros.odometry.projection import chi_square, linearise
from kp_ros.odometry.rigid_motion import change_between, moved, pose_of, rotation
from kp_ros.odometry.triangulation import inverse_depths, parallax, triangulate

FOCAL = 500.0
LOOSE = Prior(np.eye(4), np.eye(6) * 1e-6)


def scene(count: int, seed: int = 0) -> tuple[Points, Float64]:
    """Points anchored at the origin, and a pose that sees them."""
    random = np.random.default_rng(seed)
    rays = np.concatenate([random.uniform(-0.6, 0.6, (count, 2)), np.ones((count, 1))], axis=1)
    points = Points(np.zeros((count, 3)), rays, 1 / random.uniform(2, 10, count), np.full(count, 1e-8))
    return points, pose_of(rotation(np.array([0.02, -0.05, 0.03])), np.array([0.2, -0.1, 0.3]))


def observed(points: Points, pose: Float64, pixels: float, seed: int = 1, depth: float | None = None) -> Observations:
    """What a camera of this pose sees of the points, with noise."""
    random = np.random.default_rng(seed)
    local = (points.places() - pose[:3, 3]) @ pose[:3, :3]
    count = len(points)
    rays = local / local[:, 2:]
    rays[:, :2] += random.normal(0, pixels / FOCAL, (count, 2))
    depths = Depths.unknown(count)
    if depth is not None:
        depths = Depths(1 / local[:, 2] + random.normal(0, depth, count), np.full(count, depth))
    white = np.broadcast_to(np.eye(2) * FOCAL / 0.5, (count, 2, 2)).copy()
    return Observations(np.arange(count, dtype=np.uint32), rays, white, depths, np.zeros(count))


def test_derivatives_are_those_of_finite_differences() -> None:
    points, pose = scene(20)
    seen = observed(points, pose, 1.0, depth=0.01)
    linear = linearise(pose, points, seen)
    for axis, unit in enumerate(np.eye(6)):
        ahead, behind = (linearise(moved(pose, sign * 1e-6 * unit), points, seen).error for sign in (1, -1))
        np.testing.assert_allclose(linear.by_pose[axis], (behind - ahead) / 2e-6, rtol=1e-5, atol=1e-3)
    nearer, farther = (
        linearise(pose, replace(points, inverse_depth=points.inverse_depth + sign * 1e-7), seen).error
        for sign in (1, -1)
    )
    np.testing.assert_allclose(linear.by_depth, (farther - nearer) / 2e-7, rtol=1e-5, atol=1e-3)


def test_a_point_one_pixel_off_has_a_squared_error_of_four_at_half_a_pixel() -> None:
    points = Points(np.zeros((1, 3)), np.array([[0.0, 0, 1]]), np.array([0.5]), np.zeros(1))
    seen = observed(points, np.eye(4), 0.0)
    seen.rays[0, 0] += 1 / FOCAL
    assert chi_square(linearise(np.eye(4), points, seen), points.variance)[0] == pytest.approx(4.0)


def test_errors_along_an_uncertain_depth_do_not_count() -> None:
    """Seen from one metre to the right, a point's depth moves it along x: errors there may be the depth's."""
    pose = pose_of(np.eye(3), np.array([1.0, 0, 0]))
    points = Points(np.zeros((1, 3)), np.array([[0.0, 0, 1]]), np.array([0.2]), np.array([1.0]))
    for axis, expected in ((0, 0.0), (1, 100.0)):
        seen = observed(points, pose, 0.0)
        seen.rays[0, axis] += 5 / FOCAL
        assert chi_square(linearise(pose, points, seen), points.variance)[0] == pytest.approx(expected, abs=1e-3)


def test_points_behind_the_camera_tell_nothing() -> None:
    points = Points(np.zeros((1, 3)), np.array([[0.0, 0, 1]]), np.array([0.5]), np.zeros(1))
    linear = linearise(pose_of(np.eye(3), np.array([0, 0, 5.0])), points, observed(points, np.eye(4), 0.0))
    assert not linear.valid[0]
    assert not linear.error.any()
    assert not linear.by_pose.any()


def test_a_pose_is_found_amid_outliers() -> None:
    points, pose = scene(300)
    seen = observed(points, pose, 0.5)
    bad = np.arange(300) % 3 == 0
    seen.rays[bad, :2] += np.random.default_rng(3).uniform(-0.2, 0.2, (100, 2))
    fit = fit_pose(points, seen, np.eye(4), np.ones(300), LOOSE)
    assert np.linalg.norm(change_between(pose, fit.pose)[:3]) < 0.01
    assert fit.inliers[~bad].mean() > 0.97
    assert fit.inliers[bad].mean() < 0.05


def test_the_poses_covariance_is_that_of_its_errors() -> None:
    """Over draws of noise, the mean normalised error squared is 6 (Bar-Shalom, Estimation, 2001, section 5.4).

    It is somewhat less, for the robust weights take a part of the good points' information as well.
    """
    points, pose = scene(60)
    squared = []
    for seed in range(150):
        seen = observed(points, pose, 0.5, seed + 10, depth=0.005)
        fit = fit_pose(points, seen, pose, np.ones(60), LOOSE)
        error = change_between(fit.pose, pose)
        squared.append(error @ np.linalg.solve(fit.covariance, error))
    assert 6 * 0.5 < np.mean(squared) < 6 * 1.25


def test_uncertain_depths_do_not_shrink_the_shift() -> None:
    """Noise in the depths must not pull the shift towards nothing, as regression on noisy values does."""
    points, _ = scene(400)
    pose = pose_of(np.eye(3), np.array([0.3, 0, 0]))
    seen = observed(points, pose, 0.1)
    noise = np.random.default_rng(5).normal(0, 0.1, 400)
    noisy = replace(points, inverse_depth=points.inverse_depth + noise, variance=np.full(400, 0.01))
    noisy = noisy[noisy.inverse_depth > 0.02]
    fit = fit_pose(noisy, seen[noise > 0.02 - points.inverse_depth], np.eye(4), np.ones(len(noisy)), LOOSE)
    assert fit.pose[0, 3] == pytest.approx(0.3, rel=0.05)


def test_sampling_finds_a_pose_from_nowhere() -> None:
    points, pose = scene(200)
    seen = observed(points, pose, 0.5)
    seen.rays[::2, :2] = np.random.default_rng(3).uniform(-0.6, 0.6, (100, 2))
    found = sample_pose(points.places(), seen.rays, FOCAL, 2.0)
    assert found is not None
    assert np.linalg.norm(change_between(pose, found[0])) < 0.05
    assert found[1][1::2].mean() > 0.95
    assert sample_pose(points.places()[:3], seen.rays[:3], FOCAL, 2.0) is None


def table(points: Points) -> LandmarkTable:
    count = len(points)
    return begin(np.arange(count, dtype=np.uint32), 0, points.direction, points.inverse_depth, np.sqrt(points.variance))


def test_further_images_make_depths_certain_and_right() -> None:
    points, _ = scene(100)
    landmarks = table(replace(points, inverse_depth=np.full(100, 0.25), variance=np.full(100, 0.04)))
    begun = np.abs(landmarks.inverse_depth - points.inverse_depth)
    for number in range(1, 12):
        pose = pose_of(np.eye(3), np.array([0.1 * number, 0, 0]))
        now = Points(np.zeros((100, 3)), points.direction, landmarks.inverse_depth, landmarks.variance)
        fit = assess(now, observed(points, pose, 0.3, number), pose, np.ones(100), Prior(pose, np.eye(6) * 1e8))
        landmarks = update_depths(landmarks, fit)
    error = np.abs(landmarks.inverse_depth - points.inverse_depth)
    assert np.median(error) < 0.05 * np.median(begun)
    assert np.sqrt(landmarks.variance).max() < 0.01
    assert (error < 4 * np.sqrt(landmarks.variance)).mean() > 0.97
    assert landmarks.agreed.min() >= 9


def test_trust_is_earned() -> None:
    points, _ = scene(4)
    landmarks = replace(table(points), agreed=np.array([0, 10, 0, 10]), disagreed=np.array([0, 0, 10, 10]))
    fresh, right, wrong, mixed = trust(landmarks)
    assert wrong < mixed < fresh < right


def test_depth_from_two_rays() -> None:
    """A point 4 metres ahead, seen from 1 metre to the right: a quarter, and its deviation by the noise of both."""
    first = Observations(
        np.zeros(1, np.uint32),
        np.array([[0.0, 0, 1]]),
        np.array([np.eye(2) * 1000.0]),
        Depths.unknown(1),
        np.zeros(1),
    )
    second = replace(first, rays=np.array([[-0.25, 0, 1]]))
    pose = pose_of(np.eye(3), np.array([1.0, 0, 0]))
    assert inverse_depths(first.rays, second.rays, pose)[0] == pytest.approx(0.25)
    depth, variance, squared = triangulate(first, second, pose)
    assert depth[0] == pytest.approx(0.25)
    assert np.sqrt(variance[0]) == pytest.approx(np.sqrt(2) / 1000)
    assert squared[0] == pytest.approx(0, abs=1e-9)
    assert parallax(first.rays, second.rays, np.eye(3))[0] == pytest.approx(np.arctan(0.25))
