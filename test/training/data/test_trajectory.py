from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from training.data.sequence import pose_matrices
from training.data.trajectory import Trajectory, in_order, interpolate, nearest


def quarter_turn() -> Trajectory:
    """From the origin to (2, 0, 0) in one second, turning a quarter about z."""
    return Trajectory(
        np.array([0, 1_000_000_000], np.int64),
        pose_matrices(
            np.array([[0.0, 0, 0], [2, 0, 0]]), Rotation.from_euler("z", [[0], [90]], degrees=True).as_quat()
        ),
    )


def test_half_of_the_time_is_half_of_the_way_and_of_the_turn() -> None:
    (pose,) = interpolate(quarter_turn(), np.array([500_000_000]), 2_000_000_000)
    np.testing.assert_allclose(pose[:3, 3], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3], Rotation.from_euler("z", 45.0, degrees=True).as_matrix(), atol=1e-12)


def test_a_recorded_time_gives_the_recorded_pose_whatever_the_gap() -> None:
    trajectory = quarter_turn()
    np.testing.assert_allclose(interpolate(trajectory, trajectory.stamps_ns, 1), trajectory.poses, atol=1e-12)


def test_nothing_is_known_in_long_gaps_nor_outside() -> None:
    at = np.array([-2_000_000, -1_000_000, 500_000_000, 1_000_900_000, 1_300_000_000])
    short = interpolate(quarter_turn(), at, 500_000_000)
    assert np.isnan(short[:, 0, 0]).tolist() == [True, False, True, False, True]
    np.testing.assert_allclose(short[3, :3, 3], [2, 0, 0], atol=1e-12)


def test_one_pose_and_none() -> None:
    trajectory = Trajectory(np.array([5], np.int64), np.eye(4)[None])
    assert np.isnan(interpolate(trajectory, np.array([5, 2_000_000]), 10)[:, 0, 0]).tolist() == [False, True]
    empty = Trajectory(np.zeros(0, np.int64), np.zeros((0, 4, 4)))
    assert np.isnan(interpolate(empty, np.array([5]), 10)).all()


def test_poses_are_sorted_and_doubles_dropped() -> None:
    poses = np.stack([np.eye(4) * factor for factor in (1, 2, 3)])
    trajectory = in_order(np.array([7, 3, 7], np.int64), poses)
    assert trajectory.stamps_ns.tolist() == [3, 7]
    assert trajectory.poses[:, 0, 0].tolist() == [2, 1]


def test_the_nearest_within_the_tolerance() -> None:
    stamps = np.array([0, 100, 200], np.int64)
    assert nearest(stamps, np.array([-20, 40, 50, 51, 260]), 50).tolist() == [0, 0, 0, 1, -1]
    assert nearest(np.zeros(0, np.int64), np.array([1]), 5).tolist() == [-1]
