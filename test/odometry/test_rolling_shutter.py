from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sequences import drive, estimate, steps_wrong, trajectory_error
from test_pose import LOOSE, observed, scene

from kp_ros.odometry import Mode, OdometryOptions
from kp_ros.odometry.base import Float64
from kp_ros.odometry.odometry import VisualOdometry
from kp_ros.odometry.pose import fit_pose
from kp_ros.odometry.projection import linearise
from kp_ros.odometry.readout import Readout
from kp_ros.odometry.rigid_motion import change_between, moved, pose_of, rotation
from kp_ros.odometry.rolling_shutter import RowMotion, image_motion

#: Seconds from image to image.
PERIOD = 1 / 30


def shaken(frames: int) -> list[Float64]:
    """Poses of a camera in a hand that walks: it nods and looks about, by up to 5 degrees an image."""
    times = np.arange(frames)
    return [
        pose_of(
            rotation(np.array([0.15 * np.sin(0.55 * time), 0.12 * np.sin(0.4 * time + 1), 0.0])),
            np.array([0.1 * np.sin(0.5 * time), 0.0, 0.1 * time]),
        )
        for time in times
    ]


def learnt(readout: float) -> Readout:
    sequence = drive(shaken(40), depth_noise=0.01, readout=readout)
    odometry = VisualOdometry(Mode.RGBD, OdometryOptions(window_landmarks=0))
    try:
        for frame in sequence.frames:
            odometry.process(frame)
        return odometry._readout
    finally:
        odometry.close()


def test_the_motion_in_the_image_is_that_of_a_small_step() -> None:
    points, pose = scene(50)
    step = np.array([0.01, -0.02, 0.03, 0.004, -0.003, 0.002])
    before, after = (observed(points, place, 0.0) for place in (pose, moved(pose, step * 1e-3)))
    local = (points.places() - pose[:3, 3]) @ pose[:3, :3]
    motion = image_motion(before.rays, 1 / local[:, 2], step)
    np.testing.assert_allclose((after.rays - before.rays)[:, :2].T * 1e3, motion, atol=1e-6)


def test_a_pose_is_found_from_rows_that_were_read_one_after_the_other() -> None:
    points, last = scene(200)
    step = np.array([0.05, -0.02, 0.1, 0.06, -0.04, 0.01])
    pose = moved(last, step)
    straight = observed(points, pose, 0.0)
    rows = straight.rays[:, 1] / 1.2
    bent = straight.rays.copy()
    for point, row in enumerate(rows):
        bent[point] = observed(points[point : point + 1], moved(pose, 0.6 * row * step), 0.0).rays[0]
    seen = replace(straight, rays=bent, rows=rows)
    moving = RowMotion(0.6 * PERIOD * rows, np.zeros(len(rows)), last, PERIOD)
    trust = np.ones(len(points))
    wrong = fit_pose(points, seen, last, trust, LOOSE)
    fit = fit_pose(points, seen, last, trust, LOOSE, moving)
    left, before = (np.abs(change_between(pose, one.pose)).max() for one in (fit, wrong))
    assert left < 0.004 < before / 5
    nearness = 1 / ((points.places() - pose[:3, 3]) @ pose[:3, :3])[:, 2]
    found = moving.straightened(seen, pose, nearness)
    assert np.abs(found.rays - straight.rays).max() < np.abs(bent - straight.rays).max() / 10


def test_rows_whose_time_is_uncertain_count_less_the_faster_points_move() -> None:
    """A point that moves by 100 deviations a second is as uncertain by 10 ms as by its place."""
    points, last = scene(50)
    pose = moved(last, np.array([0.0, 0, 0, 0, 0.01, 0]))
    seen = observed(points, pose, 0.3)
    sure, unsure = (
        RowMotion(np.zeros(50), np.full(50, deviation), last, PERIOD).seen_by_row(linearise(pose, points, seen), pose)
        for deviation in (0.0, 0.01)
    )
    speed = np.linalg.norm(np.einsum("knm,k->nm", sure.by_pose[:, :2], [0, 0, 0, 0, 0.01 / PERIOD, 0]), axis=0)
    factor = 1 / np.hypot(1, 0.01 * speed)
    for name in ("error", "by_depth", "by_pose"):
        np.testing.assert_allclose(getattr(unsure, name)[..., :2, :], getattr(sure, name)[..., :2, :] * factor)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9, -0.5])
def test_the_readout_is_learnt(share: float) -> None:
    readout = learnt(share)
    assert readout.seconds == pytest.approx(share * PERIOD, abs=0.1 * PERIOD)
    assert readout.variance**0.5 < 0.1 * PERIOD


def test_a_rolling_shutter_carries_no_pose_away() -> None:
    sequence = drive(shaken(40), depth_noise=0.01, readout=0.6)
    results = estimate(sequence.frames, Mode.RGBD)
    assert trajectory_error(results[10:], sequence.truth[10:], False) < 0.03
    assert not steps_wrong(results[10:], sequence.truth[10:], 0.05, 0.5)


def test_without_motion_nothing_is_learnt() -> None:
    sequence = drive([np.eye(4)] * 12, depth_noise=0.01, readout=0.6)
    odometry = VisualOdometry(Mode.RGBD, OdometryOptions(window_landmarks=0))
    for frame in sequence.frames:
        odometry.process(frame)
    odometry.close()
    assert odometry._readout.seconds == pytest.approx(0, abs=0.002)
    assert odometry._readout.variance**0.5 > 0.009
