from __future__ import annotations

import numpy as np
import pytest

from kp_ros.odometry.rigid_motion import (
    carried_on,
    change_between,
    composed_covariance,
    in_world_axes,
    inverse,
    moved,
    pose_of,
    rotation,
    rotation_vector,
    skew,
)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    np.testing.assert_allclose(rotation(np.array([0, 0, np.pi / 2])) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


@pytest.mark.parametrize("vector", [[0.0, 0, 0], [1e-9, 2e-9, 0], [0.3, -0.2, 0.1], [0, np.pi, 0], [2.0, 1.0, -2.0]])
def test_rotation_vectors_come_back(vector: list[float]) -> None:
    matrix = rotation(np.array(vector))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(rotation(rotation_vector(matrix)), matrix, atol=1e-9)
    np.testing.assert_allclose(np.abs(rotation_vector(matrix)), np.abs(vector), atol=1e-9)


def test_skew_is_the_cross_product() -> None:
    a, b = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([0.5, -1, 2])
    np.testing.assert_allclose(skew(a) @ b, np.cross(a, b))


def test_changes_are_in_the_own_axes() -> None:
    pose = pose_of(rotation(np.array([0, np.pi / 2, 0])), np.array([1.0, 2, 3]))
    # Looks along the world's x: one forward is one along x.
    np.testing.assert_allclose(moved(pose, np.array([0, 0, 1.0, 0, 0, 0]))[:3, 3], [2, 2, 3], atol=1e-12)
    change = np.array([0.1, -0.2, 0.3, 0.02, 0.01, -0.03])
    np.testing.assert_allclose(change_between(pose, moved(pose, change)), change, atol=1e-12)
    np.testing.assert_allclose(inverse(pose) @ pose, np.eye(4), atol=1e-12)


def test_a_change_is_carried_on_as_finite_differences_have_it() -> None:
    first = pose_of(rotation(np.array([0.1, 0.2, 0.3])), np.array([1.0, 2, 3]))
    step = pose_of(rotation(np.array([-0.3, 0.1, 0.2])), np.array([0.5, -0.4, 2]))
    numeric = np.stack(
        [change_between(first @ step, moved(first, 1e-6 * unit) @ step) / 1e-6 for unit in np.eye(6)], axis=1
    )
    np.testing.assert_allclose(carried_on(step), numeric, atol=1e-5)


def test_uncertain_direction_makes_what_follows_uncertain_sideways() -> None:
    """One degree of yaw, ten metres on: 17 centimetres to the side."""
    yaw = np.radians(1.0)
    first = np.diag([0, 0, 0, 0, yaw**2, 0])
    covariance = composed_covariance(first, pose_of(np.eye(3), np.array([0, 0, 10.0])), np.zeros((6, 6)))
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [10 * yaw, 0, 0, 0, yaw, 0], atol=1e-12)


def test_covariances_turn_into_the_worlds_axes() -> None:
    pose = pose_of(rotation(np.array([0, np.pi / 2, 0])), np.zeros(3))
    turned = in_world_axes(np.diag([1.0, 2, 3, 4, 5, 6]), pose)
    np.testing.assert_allclose(np.diag(turned), [3, 2, 1, 6, 5, 4])
