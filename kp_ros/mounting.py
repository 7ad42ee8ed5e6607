"""From the camera's frames to the robot's: REP-103 (axes) and REP-105 (``odom`` and ``base_link``).

A camera's optical frame has x right, y down, z forward; a robot's base x forward, y left, z up. ``odom`` is the base as
it was when the odometry began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.base import Estimate

Float64 = NDArray[np.float64]
#: Optical frame to a body's axes, as REP-103 has both.
OPTICAL_TO_BODY = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], np.float64)


@dataclass(frozen=True, eq=False)
class BaseMotion:
    """How the robot's base moved.

    :ivar pose: float64 [4, 4], base to ``odom``, metres.
    :ivar covariance: float64 [6, 6], x y z and rotations about x y z, in ``odom``, metres and radians.
    :ivar twist: float64 [6], linear and angular velocity of the base, in the base's frame, metres and radians a second.
    :ivar twist_covariance: float64 [6, 6], of the same order.
    """

    pose: Float64
    covariance: Float64
    twist: Float64
    twist_covariance: Float64


def mounted(x: float, y: float, z: float, roll: float, pitch: float, yaw: float) -> Float64:
    """The pose of a camera's optical frame in the base's.

    :param x: of the camera, metres forward; y to the left, z upwards.
    :param roll: of the camera about its viewing direction, radians; pitch is positive downwards, yaw to the left. All 0
        is a camera that looks forward and stands upright. Fixed axes, in this order, as URDF has them.
    :returns: float64 [4, 4].
    """
    turn = np.eye(3)
    for axis, angle in enumerate((roll, pitch, yaw)):
        cosine, sine = np.cos(angle), np.sin(angle)
        one, other = (axis + 1) % 3, (axis + 2) % 3
        about = np.eye(3)
        about[one, one], about[other, other], about[one, other], about[other, one] = cosine, cosine, -sine, sine
        turn = about @ turn
    pose = np.eye(4)
    pose[:3, :3] = turn @ OPTICAL_TO_BODY
    pose[:3, 3] = x, y, z
    return pose


def base_motion(estimate: Estimate, base_from_camera: Float64) -> BaseMotion:
    """The base's motion from the camera's, its covariances by the motion's derivatives.

    The world of the estimate is the camera's first frame, so ``odom`` is seen from it as the base is from the camera.

    :param base_from_camera: float64 [4, 4], camera to base: how the camera is mounted.
    """
    mounting, place = base_from_camera[:3, :3], base_from_camera[:3, 3]
    camera_from_base = np.linalg.inv(base_from_camera)
    pose = base_from_camera @ estimate.pose @ camera_from_base
    # A turn about the camera also moves the base, which stands beside it; the lever is from the camera to the base.
    lever_in_odom = mounting @ estimate.pose[:3, :3] @ camera_from_base[:3, 3]
    change = _derivative(mounting, lever_in_odom)
    velocity_change = _derivative(mounting, -place)
    return BaseMotion(
        pose,
        _symmetric(change @ estimate.covariance @ change.T),
        velocity_change @ estimate.velocity,
        _symmetric(velocity_change @ estimate.velocity_covariance @ velocity_change.T),
    )


def _derivative(rotation: Float64, lever: Float64) -> Float64:
    """Float64 [6, 6]: what a shift and a turn in one frame are in another that is turned, at the end of a lever."""
    x, y, z = lever
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    derivative = np.zeros((6, 6))
    derivative[:3, :3] = derivative[3:, 3:] = rotation
    derivative[:3, 3:] = -cross @ rotation
    return derivative


def _symmetric(covariance: Float64) -> Float64:
    """Rounding leaves the halves of a product unequal in their last digits."""
    half: Float64 = (covariance + covariance.T) / 2
    return half


def in_odom(points: Float64, base_from_camera: Float64) -> Float64:
    """Points of the odometry's world in ``odom``, float64 [N, 3], metres."""
    moved: Float64 = points @ base_from_camera[:3, :3].T + base_from_camera[:3, 3]
    return moved
