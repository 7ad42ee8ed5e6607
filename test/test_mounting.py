from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.mounting import base_motion, in_odom, mounted
from kp_ros.odometry.base import Estimate, Health, State


def pose(rotation_vector: list[float], translation: list[float]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.array(rotation_vector, np.float64))[0]
    matrix[:3, 3] = translation
    return matrix


def estimate(
    camera_pose: NDArray[np.float64],
    covariance: NDArray[np.float64] | None = None,
    velocity: NDArray[np.float64] | None = None,
) -> Estimate:
    return Estimate(
        stamp_ns=1,
        state=State.GOOD,
        segment=0,
        pose=camera_pose,
        covariance=np.eye(6) if covariance is None else covariance,
        velocity=np.zeros(6) if velocity is None else velocity,
        velocity_covariance=np.eye(6),
        keyframe=False,
        health=Health(100, 1.0, 1.0, 1.0, 0.0),
    )


def test_a_camera_that_looks_forward_moves_the_robot_along_x() -> None:
    forward = base_motion(estimate(pose([0, 0, 0], [0, 0, 2.0])), mounted(0, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(forward.pose, pose([0, 0, 0], [2.0, 0, 0]), atol=1e-12)
    left = base_motion(estimate(pose([0, 0, 0], [-1.0, 0, 0])), mounted(0, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(left.pose[:3, 3], [0, 1.0, 0], atol=1e-12)
    up = base_motion(estimate(pose([0, 0, 0], [0, -1.0, 0])), mounted(0, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(up.pose[:3, 3], [0, 0, 1.0], atol=1e-12)


def test_a_turn_to_the_left_is_a_positive_yaw() -> None:
    # About the optical frame's y axis, which points down, to the left is negative.
    turned = base_motion(estimate(pose([0, -0.3, 0], [0, 0, 0])), mounted(0, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(turned.pose, pose([0, 0, 0.3], [0, 0, 0]), atol=1e-12)


@pytest.mark.parametrize(
    ("angles", "looks_along"),
    [
        ({"roll": 0, "pitch": 0, "yaw": 0}, [1, 0, 0]),
        ({"roll": 0, "pitch": np.pi / 2, "yaw": 0}, [0, 0, -1]),
        ({"roll": 0, "pitch": 0, "yaw": np.pi / 2}, [0, 1, 0]),
        ({"roll": np.pi / 2, "pitch": 0, "yaw": 0}, [1, 0, 0]),
    ],
)
def test_what_the_camera_looks_at(angles: dict[str, float], looks_along: list[float]) -> None:
    mounting = mounted(0.1, 0.2, 0.3, **angles)
    np.testing.assert_allclose(mounting[:3, :3] @ [0, 0, 1], looks_along, atol=1e-12)
    np.testing.assert_allclose(mounting[:3, 3], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(mounting[:3, :3] @ mounting[:3, :3].T, np.eye(3), atol=1e-12)


def test_roll_is_to_the_right() -> None:
    # Rolled clockwise, seen from behind, the image's x axis points down.
    np.testing.assert_allclose(mounted(0, 0, 0, np.pi / 2, 0, 0)[:3, :3] @ [1, 0, 0], [0, 0, -1], atol=1e-12)


def test_a_camera_in_front_swings_when_the_robot_turns_on_the_spot() -> None:
    mounting = mounted(0.5, 0, 0.2, 0, 0, 0)
    turn = pose([0, 0, 0.4], [0, 0, 0])
    camera = np.linalg.inv(mounting) @ turn @ mounting
    np.testing.assert_allclose(base_motion(estimate(camera), mounting).pose, turn, atol=1e-12)


def test_covariances_are_those_of_many_trials() -> None:
    """Perturb the camera's pose, see how the base's is spread."""
    mounting, camera = mounted(0.5, -0.2, 0.3, 0.1, 0.2, -0.3), pose([0.2, -0.5, 0.1], [1.0, 0.5, 2.0])
    random = np.random.default_rng(0)
    root = random.normal(size=(6, 6)) * 0.01
    covariance = root @ root.T
    motion = base_motion(estimate(camera, covariance), mounting)
    spread = []
    for error in random.multivariate_normal(np.zeros(6), covariance, 20000):
        moved = camera.copy()
        moved[:3, :3] = cv2.Rodrigues(error[3:])[0] @ camera[:3, :3]
        moved[:3, 3] += error[:3]
        base = mounting @ moved @ np.linalg.inv(mounting)
        turn = cv2.Rodrigues(base[:3, :3] @ motion.pose[:3, :3].T)[0][:, 0]
        spread.append([*(base[:3, 3] - motion.pose[:3, 3]), *turn])
    scale = np.sqrt(np.outer(np.diag(motion.covariance), np.diag(motion.covariance)))
    np.testing.assert_allclose(np.cov(np.transpose(spread)) / scale, motion.covariance / scale, atol=0.05)
    np.testing.assert_array_equal(motion.covariance, motion.covariance.T)
    assert np.linalg.eigvalsh(motion.covariance).min() > 0


def test_the_velocity_of_the_base_is_the_derivative_of_its_pose() -> None:
    mounting, start = mounted(0.5, -0.2, 0.3, 0.1, 0.2, -0.3), pose([0.2, -0.5, 0.1], [1.0, 0.5, 2.0])
    velocity, seconds = np.array([1.0, -0.5, 2.0, 0.3, -0.2, 0.5]), 1e-4
    step = pose((velocity[3:] * seconds).tolist(), (velocity[:3] * seconds).tolist())
    before = base_motion(estimate(start, velocity=velocity), mounting)
    after = base_motion(estimate(start @ step), mounting)
    change = np.linalg.inv(before.pose) @ after.pose
    found = [*change[:3, 3], *cv2.Rodrigues(change[:3, :3])[0][:, 0]]
    np.testing.assert_allclose(np.array(found) / seconds, before.twist, atol=1e-3)


def test_points_of_the_world_are_seen_in_odom() -> None:
    points = in_odom(np.array([[0.0, 0.0, 5.0], [1.0, 0.0, 5.0]]), mounted(0.5, 0, 1.0, 0, 0, 0))
    np.testing.assert_allclose(points, [[5.5, 0, 1.0], [5.5, -1.0, 1.0]], atol=1e-12)
