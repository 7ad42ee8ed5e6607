from __future__ import annotations

import numpy as np
import pytest

from kp_ros.simulation import Trajectory, drive, orbit


@pytest.mark.parametrize("trajectory", [drive(), orbit()], ids=["drive", "orbit"])
def test_poses_are_rigid_and_smooth(trajectory: Trajectory) -> None:
    rotations = trajectory.poses[:, :3, :3]
    np.testing.assert_allclose(
        rotations @ np.swapaxes(rotations, 1, 2), np.tile(np.eye(3), (len(trajectory), 1, 1)), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    accelerations = np.diff(trajectory.poses[:, :3, 3], 2, axis=0) * 30.0**2
    assert np.linalg.norm(accelerations, axis=1).max() < 6.0


def test_a_drive_starts_at_rest_and_keeps_its_speed() -> None:
    trajectory = drive(seconds=6.0, rate=20.0, speed=4.0)
    speeds = np.linalg.norm(np.diff(trajectory.poses[:, :2, 3], axis=0), axis=1) * 20.0
    assert speeds[0] < 0.1
    np.testing.assert_allclose(speeds[50:], 4.0, rtol=0.01)
    np.testing.assert_array_equal(np.unique(np.diff(trajectory.stamps_ns)), [50_000_000])


def test_a_drive_turns_as_told() -> None:
    trajectory = drive(seconds=10.0, turns=((5.0, 20.0, 90.0),))
    start, end = trajectory.poses[0, :3, 2], trajectory.poses[-1, :3, 2]
    np.testing.assert_allclose(start, [1, 0, 0], atol=1e-9)
    # To the left of east is north; what is left is the rocking.
    np.testing.assert_allclose(end, [0, 1, 0], atol=0.02)


def test_poses_between_frames() -> None:
    trajectory = drive(seconds=8.0)
    stamps = trajectory.stamps_ns
    np.testing.assert_allclose(trajectory.pose(int(stamps[70])), trajectory.poses[70], atol=1e-9)
    half = trajectory.pose(int(stamps[100] + stamps[101]) // 2)
    np.testing.assert_allclose(half[:3, 3], trajectory.poses[100:102, :3, 3].mean(0), atol=1e-6)
    np.testing.assert_allclose(half[:3, :3], trajectory.poses[100:102, :3, :3].mean(0), atol=1e-3)
    np.testing.assert_array_equal(trajectory.pose(0), trajectory.poses[0])
