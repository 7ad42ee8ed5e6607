"""The whole of odometry: accuracy, agreement with itself, and what it says of its errors."""

from __future__ import annotations

import builtins
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sequences import Drive, Recording, drive, estimate, forward, has_pose, read, track, trajectory_error

from kp_ros.detectors import Detector, load_detector
from kp_ros.errors import UserError
from kp_ros.odometry import Mode, Odometry, OdometryOptions, State, make_odometry
from kp_ros.odometry import odometry as odometry_module
from kp_ros.odometry import window as window_module
from kp_ros.odometry.odometry import VisualOdometry


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    loaded = load_detector(max_keypoints=600, threads=1)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def ride() -> Drive:
    return drive(forward(30, 0.25, 0.004), depth_noise=0.01)


@pytest.fixture(scope="module")
def road(shared_data: Path, detector: Detector) -> tuple[Recording, list[Any]]:
    recording = read(shared_data / "kitti_06", slice(0, 14), Mode.STEREO)
    return recording, track(recording, detector, 10)


def test_rgbd_on_a_rendered_room_is_within_5_mm(shared_data: Path, detector: Detector) -> None:
    recording = read(shared_data / "icl_kt3", slice(0, 60, 3), Mode.RGBD)
    results = estimate(track(recording, detector, 10), Mode.RGBD)
    assert all(result.state is State.GOOD for result in results)
    assert trajectory_error(results, recording.truth, False) < 0.005


def test_rgbd_in_a_hand_is_tracked_throughout(shared_data: Path, detector: Detector) -> None:
    recording = read(shared_data / "hololens", slice(0, 20), Mode.RGBD)
    results = estimate(track(recording, detector, 30), Mode.RGBD)
    assert all(has_pose(result) for result in results)
    assert trajectory_error(results, recording.truth, False) < 0.04


def test_stereo_on_a_road(road: tuple[Recording, list[Any]]) -> None:
    recording, frames = road
    results = estimate(frames, Mode.STEREO)
    assert all(result.state is State.GOOD for result in results)
    assert trajectory_error(results, recording.truth, False) < 0.1
    mine = np.linalg.norm(results[-1].pose[:3, 3])
    true = np.linalg.norm((np.linalg.inv(recording.truth[0]) @ recording.truth[-1])[:3, 3])
    assert mine == pytest.approx(true, rel=0.01)


def test_mono_on_a_road_begins_soon_and_keeps_its_unit(road: tuple[Recording, list[Any]]) -> None:
    recording, frames = road
    results = estimate(frames, Mode.MONO)
    begun = next(number for number, result in enumerate(results) if has_pose(result))
    assert begun <= 5
    assert all(result.state is State.GOOD for result in results[begun:])
    assert trajectory_error(results, recording.truth, True) < 0.1


def test_velocity_and_landmarks_are_metric(ride: Drive) -> None:
    odometry = make_odometry(Mode.RGBD)
    results = [odometry.process(frame) for frame in ride.frames]
    found = odometry.landmarks()
    odometry.close()
    # 0.25 metres and 0.004 radians to the right in a thirtieth of a second.
    np.testing.assert_allclose(results[-1].velocity, [0, 0, 7.5, 0, 0.12, 0], atol=0.5)
    assert len(found.track_id) > 200
    np.testing.assert_array_equal(np.isin(found.track_id, ride.frames[-1].tracks.track_id), True)
    # The street: its floor 1.6 metres below the camera, its fronts 7 metres to the side; in front of the camera.
    local = (found.points - results[-1].pose[:3, 3]) @ results[-1].pose[:3, :3]
    near = local[local[:, 2] < 25]
    assert len(near) > 50
    on_floor, at_fronts = np.abs(near[:, 1] - 1.6) < 0.3, np.abs(near[:, 0]) > 4
    assert on_floor.mean() > 0.2
    assert (on_floor | at_fronts).mean() > 0.9
    assert (local[:, 2] > 0).all()


def test_without_the_window_poses_differ_little(ride: Drive) -> None:
    with_it, without = estimate(ride.frames, Mode.MONO), estimate(ride.frames, Mode.MONO, window_landmarks=0)
    moved = [np.linalg.norm(a.pose[:3, 3] - b.pose[:3, 3]) for a, b in zip(with_it, without, strict=True)]
    # The unit is the scene's depth, and the way is about half as long.
    assert 0 < max(moved) < 0.02


def test_where_depth_is_measured_there_is_no_window(ride: Drive) -> None:
    with_it, without = estimate(ride.frames[:12], Mode.RGBD), estimate(ride.frames[:12], Mode.RGBD, window_landmarks=0)
    assert [one.pose.tobytes() for one in with_it] == [one.pose.tobytes() for one in without]


def test_how_fast_the_window_is_does_not_matter(ride: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = estimate(ride.frames, Mode.MONO)
    add = window_module.Window.add

    def slow(self: window_module.Window, problem: window_module.WindowProblem) -> Any:
        time.sleep(0.05)
        return add(self, problem)

    monkeypatch.setattr(window_module.Window, "add", slow)
    late = estimate(ride.frames, Mode.MONO)
    for a, b in zip(quick, late, strict=True):
        assert a.pose.tobytes() == b.pose.tobytes()
        assert a.covariance.tobytes() == b.covariance.tobytes()
        assert a.health == b.health


def test_a_window_that_slides_away_does_not_carry_the_pose_along(monkeypatch: pytest.MonkeyPatch) -> None:
    ride = drive(forward(45, 0.25, 0.004))
    add = window_module.Window.add
    results = []

    def sliding(self: window_module.Window, problem: window_module.WindowProblem) -> Any:
        result = add(self, problem)
        if result is None:
            return None
        results.append(result)
        if len(results) != 1:
            return result
        aside = np.eye(4)
        aside[0, 3] = 2.0
        poses = {number: aside @ pose for number, pose in result.poses.items()}
        return replace(result, poses=poses, places=result.places + np.array([2.0, 0, 0]))

    monkeypatch.setattr(window_module.Window, "add", sliding)
    estimates = estimate(ride.frames, Mode.MONO)
    # It is begun anew and adjusted again; the last adjustment goes on in its thread when the images have ended.
    deadline = time.monotonic() + 60
    while len(results) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(results) > 1
    assert trajectory_error(estimates, ride.truth, scaled=True) < 0.05
    assert all(result.state is State.GOOD for result in estimates if has_pose(result))


def test_landmarks_begin_anew_as_the_view_moves_on_and_not_while_it_stands_still(ride: Drive) -> None:
    still = drive(forward(20, 0.0, 0.0), depth_noise=0.01)
    ages = []
    # While it stands still, tracks that end by chance make no keyframe here.
    for frames, survival in ((ride.frames[:20], 0.7), (still.frames, 0.01)):
        odometry = VisualOdometry(Mode.RGBD, OdometryOptions(keyframe_survival=survival))
        for frame in frames:
            odometry.process(frame)
        odometry.close()
        ages.append(20 - odometry._table.anchor)
    # A keyframe every few images, after which all whose depth is measured have their turn within four.
    assert np.percentile(ages[0], 95) <= 10
    # The first image is a keyframe: they had their turn once.
    assert np.median(ages[1]) >= 15


def test_a_way_is_straighter_with_landmarks_that_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    ride = drive(forward(40, 0.25, 0.004), depth_noise=0.01)
    error = trajectory_error(estimate(ride.frames, Mode.RGBD), ride.truth, scaled=False)
    # Hardly any has its turn.
    monkeypatch.setattr(odometry_module, "_RENEWED", 1 << 30)
    held = trajectory_error(estimate(ride.frames, Mode.RGBD), ride.truth, scaled=False)
    assert error < 0.8 * held


def test_a_reset_begins_anew(ride: Drive) -> None:
    odometry = make_odometry(Mode.RGBD)
    first = [odometry.process(frame) for frame in ride.frames[:12]]
    odometry.reset()
    again = [odometry.process(frame) for frame in ride.frames[:12]]
    odometry.close()
    for a, b in zip(first, again, strict=True):
        assert a.pose.tobytes() == b.pose.tobytes()
        assert (a.segment, a.state, a.keyframe) == (b.segment, b.state, b.keyframe)


@pytest.mark.parametrize("mode", [Mode.RGBD, Mode.MONO])
def test_covariances_are_symmetric_and_positive_and_grow(ride: Drive, mode: Mode) -> None:
    results = estimate(ride.frames, mode)
    for result in results:
        for covariance in (result.covariance, result.velocity_covariance):
            np.testing.assert_array_equal(covariance, covariance.T)
            assert np.linalg.eigvalsh(covariance).min() > 0
    known = [result for result in results if has_pose(result)]
    assert np.trace(known[-1].covariance) > np.trace(known[1].covariance)


def test_errors_are_as_large_as_the_covariance_says() -> None:
    """The normalised error squared is 6 on average; points' errors are independent here, so it may be less."""
    squared, of_steps = [], []
    for seed in range(4):
        scene = drive(forward(16, 0.25, 0.01), noise=0.5, depth_noise=0.01, count=120, seed=seed)
        results = estimate(scene.frames, Mode.RGBD)
        error = results[-1].pose[:3, 3] - scene.truth[-1][:3, 3]
        squared.append(error @ np.linalg.solve(results[-1].covariance[:3, :3], error))
        for result in results[2:]:
            off = result.velocity[:3] - [0, 0, 7.5]
            of_steps.append(off @ np.linalg.solve(result.velocity_covariance[:3, :3], off))
    assert np.mean(squared) < 3 * 2
    assert 0.1 < np.mean(of_steps) < 3 * 2


def test_a_gyroscope_predicts_the_turn() -> None:
    """A turn that begins at once, far beyond what the last motion tells: the prediction alone must bring it close."""
    straight = forward(10)
    poses = [*straight, straight[-1] @ forward(2, 0.25, 0.25)[1]]
    scene = drive(poses, depth_noise=0.01)
    measured = replace(scene.frames[-1], angular_velocity=np.array([0, 0.25 * 30, 0]))
    results = estimate([*scene.frames[:-1], measured], Mode.RGBD)
    error = np.linalg.inv(results[-1].pose) @ poses[-1]
    assert results[-1].state is State.GOOD
    assert np.linalg.norm(error[:3, 3]) < 0.05


def test_points_agree_within_the_covariance_that_a_model_gives(ride: Drive) -> None:
    random = np.random.default_rng(0)
    spoilt, told = [], []
    for number, frame in enumerate(ride.frames[:8]):
        bad = np.arange(len(frame.tracks)) % 2 == 0
        noise = random.normal(0, 3 * (number > 0), (len(bad), 2)) * bad[:, None]
        keypoints = (frame.tracks.keypoints + noise).astype(np.float32)
        covariance = np.eye(2) * np.where(bad, 9.0, 0.06)[:, None, None]
        spoilt.append(replace(frame, tracks=replace(frame.tracks, keypoints=keypoints)))
        told.append(replace(spoilt[-1], keypoint_covariance=covariance))
    without, with_it = estimate(spoilt, Mode.RGBD), estimate(told, Mode.RGBD)
    assert without[1].health.inlier_ratio < 0.75 < 0.9 < with_it[1].health.inlier_ratio


def test_a_missing_second_image_is_said() -> None:
    frame = drive(forward(1)).frames[0]
    cases = [
        (Mode.RGBD, {}, "depth image"),
        (Mode.RGBD, {"depth": np.ones((10, 20), np.float32)}, "20 x 10"),
        (Mode.STEREO, {}, "right image"),
        (Mode.STEREO, {"right": np.zeros((10, 20), np.uint8), "baseline": 0.1}, "20 x 10"),
        (Mode.STEREO, {"right": frame.image, "baseline": 0.0}, "baseline is 0.0"),
    ]
    for mode, extra, text in cases:
        odometry = make_odometry(mode)
        with pytest.raises(UserError, match=text):
            odometry.process(replace(frame, **extra))
        odometry.close()


def forbid(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = builtins.__import__

    def refuse(module: str, *rest: Any, **more: Any) -> Any:
        if module == name:
            raise ImportError(module)
        return real(module, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_without_poselib_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "poselib")
    with pytest.raises(UserError, match=r'pip install "kp_ros\[odometry\]"'):
        make_odometry(Mode.RGBD)


def test_without_gtsam_odometry_goes_without_its_window(
    ride: Drive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without = estimate(ride.frames[:10], Mode.MONO, window_landmarks=0)
    forbid(monkeypatch, "gtsam")
    with caplog.at_level(logging.WARNING):
        odometry: Odometry = make_odometry(Mode.MONO, OdometryOptions())
    results = [odometry.process(frame) for frame in ride.frames[:10]]
    odometry.close()
    assert 'pip install "kp_ros[odometry]"' in caplog.text
    assert results[-1].pose.tobytes() == without[-1].pose.tobytes()
