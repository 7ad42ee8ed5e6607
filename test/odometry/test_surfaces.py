"""Depth images of rooms made of planes, laid on each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sequences import estimate, read, steps_wrong, track

from kp_ros.camera import Camera
from kp_ros.detectors import Detector, load_detector
from kp_ros.features import Float32
from kp_ros.odometry import Mode, OdometryOptions
from kp_ros.odometry.base import Float64
from kp_ros.odometry.lens import Lens
from kp_ros.odometry.rigid_motion import change_between, moved, pose_of, rotation
from kp_ros.odometry.surfaces import Surfaces

STILL = np.zeros(6)
OPTIONS = OdometryOptions()
MATRIX = np.array([[260.0, 0, 159.5], [0, 260, 119.5], [0, 0, 1]])
CAMERA = Camera(320, 240, MATRIX, np.zeros(0))
FISHEYE = Camera(320, 240, MATRIX, np.array([-0.02, 0.01, 0.0, 0.0]), "equidistant")
#: Planes of a corner: normal and distance from the origin, metres. A slope below, a wall to the right, one ahead.
CORNER = [(np.array([0.0, 0.8, 0.6]), 1.6), (np.array([0.8, 0, 0.6]), 2.0), (np.array([-0.4, 0, 0.9]), 2.5)]
START = pose_of(rotation(np.array([0.1, -0.05, 0.02])), np.array([0.1, -0.2, 0.1]))
STEP = np.array([0.004, -0.006, 0.008, 0.003, -0.002, 0.004])


def depth_of(
    camera: Camera, pose: Float64, planes: list[tuple[NDArray[np.float64], float]], noise: float = 0.0, seed: int = 0
) -> Float32:
    """What a depth camera sees of planes; noise as the options have it, times a factor."""
    y, x = np.mgrid[: camera.height, : camera.width]
    rays = camera.rays(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)).astype(np.float64)
    directions = rays @ pose[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = [(far - normal @ pose[:3, 3]) / (directions @ normal) for normal, far in planes]
    depth = np.where(np.array(distances) > 0, distances, np.inf).min(0)
    deviation = OPTIONS.depth_constant + OPTIONS.depth_quadratic * np.minimum(depth, 20) ** 2
    depth = depth + noise * deviation * np.random.default_rng(seed).standard_normal(depth.shape)
    return depth.reshape(camera.height, camera.width).astype(np.float32)


def change_told(camera: Camera, before: Float32, now: Float32, guess: Float64) -> tuple[Float64, Float64]:
    """The change of a guess that surfaces ask for, and their information."""
    surfaces = Surfaces.of(before, Lens(camera), START, STILL, OPTIONS)
    told = surfaces.pull(now, camera, guess, STILL, OPTIONS, 1.0)
    return np.linalg.solve(told.information, told.vector), told.information


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    detector = load_detector(max_keypoints=600)
    yield detector
    detector.close()


@pytest.mark.parametrize("camera", [CAMERA, FISHEYE])
def test_a_corner_tells_the_whole_motion(camera: Camera) -> None:
    pose = moved(START, STEP)
    change, _ = change_told(camera, depth_of(camera, START, CORNER), depth_of(camera, pose, CORNER), START)
    # Planes over a crease are bent a little.
    np.testing.assert_allclose(change, STEP, atol=8e-4)


def test_a_wall_tells_only_what_moves_across_it() -> None:
    wall = [(np.array([0.0, 0, 1.0]), 2.0)]
    depth = depth_of(CAMERA, np.eye(4), wall)
    told = Surfaces.of(depth, Lens(CAMERA), np.eye(4), STILL, OPTIONS).pull(
        depth, CAMERA, np.eye(4), STILL, OPTIONS, 1.0
    )
    strength = np.diag(told.information)
    # Towards it and two tilts are told; along it, and about its normal, nothing is.
    assert (strength[[2, 3, 4]] > 1e6).all()
    np.testing.assert_allclose(strength[[0, 1, 5]], 0, atol=1.0)
    np.testing.assert_allclose(told.vector / np.sqrt(strength[2]), 0, atol=1e-2)


def test_what_passes_before_the_corner_carries_nothing_away() -> None:
    pose = moved(START, STEP)
    now = depth_of(CAMERA, pose, CORNER)
    now[60:200, 100:190] = 1.0
    change, _ = change_told(CAMERA, depth_of(CAMERA, START, CORNER), now, START)
    np.testing.assert_allclose(change, change_between(START, pose), atol=6e-4)


def test_errors_are_as_large_as_the_information_says() -> None:
    """Over draws of noise, the mean normalised error squared is 6; somewhat more, for neighbours share pixels."""
    squared = []
    for seed in range(40):
        before, now = (depth_of(CAMERA, START, CORNER, 1.0, 2 * seed + part) for part in (0, 1))
        change, information = change_told(CAMERA, before, now, START)
        squared.append(change @ information @ change)
    assert 6 * 0.8 < np.mean(squared) < 6 * 1.6


def test_where_the_camera_moves_otherwise_its_depth_may_be_of_another_moment() -> None:
    depth = depth_of(CAMERA, START, CORNER)
    before, now = np.array([0.1, 0.2, 0, 0, 0.3, 0]), np.array([0.3, 0, 0.1, 0.5, 0, 0])
    surfaces = Surfaces.of(depth, Lens(CAMERA), START, before, OPTIONS)
    same, other = (surfaces.pull(depth, CAMERA, START, speed, OPTIONS, 1.0) for speed in (before, now))
    # Along the change of the velocity the covariance has grown by the square of 20 ms of it; across it nothing has.
    grown = np.linalg.inv(other.information) - np.linalg.inv(same.information)
    np.testing.assert_allclose(grown, 0.02**2 * np.outer(now - before, now - before), atol=1e-9)


def test_depth_that_comes_late_by_the_same_each_time_misleads_little(shared_data: Path, detector: Detector) -> None:
    """33 ms late: what a tracked point's depth is wrong by is not ours to mend, but surfaces must not make it worse."""
    recording = read(shared_data / "hololens", slice(60, 100), Mode.RGBD)
    late = replace(recording, extras=[recording.extras[0], *recording.extras[:-1]])
    frames = track(late, detector, 30)
    wrong = [
        steps_wrong(estimate(frames, Mode.RGBD, surface_points=points), late.truth, 0.05, 2.0)
        for points in (0, OPTIONS.surface_points)
    ]
    assert len(wrong[1]) <= len(wrong[0])


@pytest.mark.parametrize("unknown", [0.0, np.nan, np.inf])
def test_without_depth_nothing_is_told(unknown: float) -> None:
    depth = depth_of(CAMERA, START, CORNER)
    nothing = np.full_like(depth, unknown)
    lens = Lens(CAMERA)
    assert len(Surfaces.of(nothing, lens, START, STILL, OPTIONS)) == 0
    for before, now in ((nothing, depth), (depth, nothing)):
        told = Surfaces.of(before, lens, START, STILL, OPTIONS).pull(now, CAMERA, START, STILL, OPTIONS, 1.0)
        assert not told.information.any()
        assert not told.vector.any()


def test_there_are_no_more_than_asked_for_and_they_are_all_over_the_image() -> None:
    few = OdometryOptions(surface_points=100)
    surfaces = Surfaces.of(depth_of(CAMERA, START, CORNER), Lens(CAMERA), START, STILL, few)
    assert 80 <= len(surfaces) <= 100
    local = START[:3, :3].T @ (surfaces.points - START[:3, 3:])
    pixels = CAMERA.project(local.T)
    assert (np.ptp(pixels, axis=0) > [280, 200]).all()
    np.testing.assert_allclose(np.linalg.norm(surfaces.normals, axis=0), 1)


def test_a_hand_held_way_is_nearer_the_truth_with_surfaces(shared_data: Path, detector: Detector) -> None:
    recording = read(shared_data / "hololens", slice(0, 40), Mode.RGBD)
    frames = track(recording, detector, 30)
    errors = []
    true = steps(recording.truth)
    for points in (0, OPTIONS.surface_points):
        mine = steps([result.pose for result in estimate(frames, Mode.RGBD, surface_points=points)])
        wrong = [change_between(one, other)[:3] for one, other in zip(mine, true, strict=True)]
        errors.append(np.linalg.norm(wrong, axis=1).mean())
    assert errors[1] < 0.85 * errors[0]


def steps(poses: list[Float64]) -> list[Float64]:
    return [np.linalg.inv(before) @ after for before, after in itertools.pairwise(poses)]
