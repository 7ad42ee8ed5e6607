"""The window of keyframes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kp_ros.odometry import OdometryOptions
from kp_ros.odometry.base import Float64
from kp_ros.odometry.frame_poses import FramePoses
from kp_ros.odometry.landmarks import among, begin, shared
from kp_ros.odometry.observations import Depths, Observations
from kp_ros.odometry.rigid_motion import change_between, inverse, moved, pose_of
from kp_ros.odometry.window import Keyframe, Window, WindowProblem, WindowResult

FOCAL = 500.0


def slide(keyframes: int = 14) -> tuple[list[Float64], list[WindowResult], list[Float64]]:
    """Keyframes to the right along a wall, whose poses and landmarks come with errors: truth, results, what came."""
    random = np.random.default_rng(0)
    places = np.stack([random.uniform(-3, 12, 900), random.uniform(-2, 2, 900), random.uniform(3, 8, 900)], axis=1)
    window = Window(OdometryOptions())
    truth = [pose_of(np.eye(3), np.array([0.4 * number, 0, 0])) for number in range(keyframes)]
    came: list[Float64] = []
    results = []
    for number, pose in enumerate(truth):
        local = places - pose[:3, 3]
        visible = np.flatnonzero((np.abs(local[:, :2] / local[:, 2:]) < 0.6).all(1))
        rays = local[visible] / local[visible, 2:]
        rays[:, :2] += random.normal(0, 0.4 / FOCAL, (len(visible), 2))
        white = np.broadcast_to(np.eye(2) * FOCAL / 0.5, (len(visible), 2, 2)).copy()
        unknown, rows = Depths.unknown(len(visible)), np.zeros(len(visible))
        observed = Observations(visible.astype(np.uint32), rays, white, unknown, rows)
        # A new keyframe comes with a step that is 2 % too long, from where the window has put the last one.
        spread = np.diag([0.05**2] * 3 + [0.01**2] * 3)
        last = came[-1] if came else truth[0]
        if results:
            last = results[-1].poses.get(number - 1, last)
        step = np.eye(4) if number == 0 else pose_of(np.eye(3), np.array([0.408, 0, 0.01]))
        estimate = last @ step
        came.append(estimate)
        guess = places[visible] + random.normal(0, 0.1, (len(visible), 3))
        keyframe = Keyframe(10 * number, estimate, observed, step, spread)
        problem = WindowProblem(keyframe, observed.track_id, guess, 5.0)
        result = window.add(problem)
        if result is not None:
            results.append(WindowResult({k // 10: p for k, p in result.poses.items()}, result.track_id, result.places))
    return truth, results, came


def test_the_window_brings_keyframes_to_where_they_are() -> None:
    truth, results, came = slide()
    # The first step's length is the unit.
    unit = 0.4 / np.linalg.norm(came[1][:3, 3])
    number = len(truth) - 1
    error = np.linalg.norm(results[-1].poses[number][:3, 3] * unit - truth[number][:3, 3])
    assert error < 0.03
    assert len(results[-1].poses) == OdometryOptions().window_keyframes
    assert len(results[-1].track_id) <= OdometryOptions().window_landmarks


def test_what_was_marginalised_still_holds_the_world() -> None:
    """The first keyframes define the world; long after they have left, the others must still lie in it."""
    truth, results, _ = slide(18)
    errors = [np.linalg.norm(change_between(pose, truth[number])[3:]) for number, pose in results[-1].poses.items()]
    assert min(results[-1].poses) == 11
    assert np.degrees(max(errors)) < 0.3


def test_equations_that_cannot_be_solved_cost_the_window_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    marginalise, calls = Window._marginalise, iter(range(100))

    def fail_once(self: Window, values: Any, rows: Any) -> None:
        if next(calls) == 2:
            raise RuntimeError("Indeterminate linear system")
        marginalise(self, values, rows)

    monkeypatch.setattr(Window, "_marginalise", fail_once)
    truth, results, came = slide()
    assert "begins anew" in caplog.text
    # Of 14 keyframes, the first gave no result, nor did the one at which the window began anew.
    assert len(results) == 12
    unit = 0.4 / np.linalg.norm(came[1][:3, 3])
    assert np.linalg.norm(results[-1].poses[13][:3, 3] * unit - truth[13][:3, 3]) < 0.05


def test_frames_move_with_their_keyframe_and_landmarks_with_their_frames() -> None:
    poses = FramePoses()
    poses.add(1, np.eye(4), 1)
    poses.add(2, pose_of(np.eye(3), np.array([1.0, 0, 0])), 1)
    poses.add(3, pose_of(np.eye(3), np.array([2.0, 0, 0])), 3)
    none = np.zeros(1)
    landmark = begin(np.zeros(1, np.uint32), 2, np.array([[0.0, 0, 1]]), np.array([0.25]), none)
    np.testing.assert_allclose(poses.points(landmark).places(), [[1, 0, 4]])
    poses.correct({1: pose_of(np.eye(3), np.array([0, 0.5, 0]))})
    np.testing.assert_allclose(poses[2][:3, 3], [1, 0.5, 0])
    np.testing.assert_allclose(poses[3][:3, 3], [2, 0, 0])
    np.testing.assert_allclose(poses.points(landmark).places(), [[1, 0.5, 4]])
    again = poses.placed(landmark, np.array([0]), np.array([[3.0, 0.5, 4]]))
    np.testing.assert_allclose(poses.points(again).places(), [[3, 0.5, 4]])
    assert poses.last_keyframes(5) == [1, 3]
    poses.keep(np.array([2]))
    np.testing.assert_allclose(poses[2][:3, 3], [1, 0.5, 0])


def test_ids_in_both_columns_are_found() -> None:
    first, second = np.array([1, 4, 6, 9], np.uint32), np.array([0, 4, 9], np.uint32)
    mine, theirs = shared(first, second)
    assert mine.tolist() == [1, 3]
    assert theirs.tolist() == [1, 2]
    assert shared(first, second[:0])[0].tolist() == []
    assert among(np.array([9, 1, 4, 12], np.uint32), second).tolist() == [True, False, True, False]
    assert among(first, second[:0]).tolist() == [False] * 4


def test_moving_there_and_back_is_no_motion() -> None:
    pose = moved(np.eye(4), np.array([1.0, 2, 3, 0.1, 0.2, 0.3]))
    np.testing.assert_allclose(inverse(pose) @ pose, np.eye(4), atol=1e-12)
