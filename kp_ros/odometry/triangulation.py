"""Depth from two rays."""

from __future__ import annotations

import numpy as np

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Points
from kp_ros.odometry.observations import Observations
from kp_ros.odometry.projection import linearise
from kp_ros.odometry.rigid_motion import inverse


def inverse_depths(first_rays: Float64, second_rays: Float64, second_pose: Float64) -> Float64:
    """Inverse depth along the first rays that brings the points closest to the second ones.

    The point times its inverse depth, seen in the second camera, is ``a + rho b`` with ``a = R^T ray`` and ``b = -R^T
    t``. It lies on the second ray ``s`` if ``s x (a + rho b) = 0``: three linear equations for one unknown, solved by
    least squares (Hartley and Zisserman, 2nd ed., section 12.2).

    :param first_rays: float64 [N, 3], z = 1, of the first camera.
    :param second_rays: float64 [N, 3], z = 1, of the second.
    :param second_pose: float64 [4, 4], second camera to first.
    :returns: float64 [N], 1 / the unit of the translation; negative for points behind, NaN where the rays are
        parallel to the translation.
    """
    back = inverse(second_pose)
    a = np.cross(second_rays, first_rays @ back[:3, :3].T)
    b = np.cross(second_rays, np.broadcast_to(back[:3, 3], second_rays.shape))
    strength = np.einsum("ni,ni->n", b, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.einsum("ni,ni->n", a, b) / np.where(strength > 0, strength, np.nan))


def triangulate(first: Observations, second: Observations, second_pose: Float64) -> tuple[Float64, Float64, Float64]:
    """Inverse depths of points that two images see, with their uncertainty.

    :param first: N observations of the first image.
    :param second: of the same points in the second.
    :param second_pose: float64 [4, 4], second camera to first.
    :returns: inverse depths along the first rays float64 [N], their variance, and the squared error of unit variance
        that is left.
    """
    depth = inverse_depths(first.rays, second.rays, second_pose)
    depth = np.where(np.isfinite(depth), depth, 0.0)
    count = len(depth)
    for _ in range(2):
        points = Points(np.zeros((count, 3)), first.rays, depth, np.full(count, np.inf))
        linear = linearise(second_pose, points, second)
        strength = (linear.by_depth**2).sum(0)
        shift = (linear.by_depth * linear.error).sum(0) / np.maximum(strength, 1e-12)
        depth = depth + np.where(linear.valid, shift, 0.0)
    left = (linear.error**2).sum(0) - shift**2 * strength
    # The first ray is as uncertain as the second: its error appears along with the second one's.
    return depth, 2 / np.maximum(strength, 1e-12), np.where(linear.valid, left / 2, np.inf)


def parallax(first_rays: Float64, second_rays: Float64, turn: Float64) -> Float64:
    """Angles between rays, rotation taken out: float64 [N], radians.

    :param first_rays: float64 [N, 3].
    :param second_rays: float64 [N, 3].
    :param turn: float64 [3, 3], second camera to first.
    """
    turned = second_rays @ turn.T
    crossed = np.linalg.norm(np.cross(first_rays, turned), axis=1)
    return np.asarray(np.arctan2(crossed, np.einsum("ni,ni->n", first_rays, turned)))
