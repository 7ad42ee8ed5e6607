"""How points of the world are seen from a pose, to first order in everything that is uncertain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Points
from kp_ros.odometry.observations import Observations

#: Points nearer than this share of their ray's length to the camera's plane are behind it, for our purposes.
_IN_FRONT = 0.02


@dataclass(frozen=True)
class Linearised:
    """Errors of N observations of unit variance and what they change with.

    Three a point: two of its place in the image and one of its measured inverse depth, 0 where none was measured. The
    points are the last axis, which makes sums over them quick.

    :ivar error: float64 [3, N], observed less predicted.
    :ivar by_pose: float64 [6, 3, N], derivative of the prediction by the pose's change.
    :ivar by_depth: float64 [3, N], and by the point's inverse depth.
    :ivar measured: bool [N], whether the depth was measured.
    :ivar valid: bool [N], whether the point lies before the camera; all else of others is 0.
    """

    error: Float64
    by_pose: Float64
    by_depth: Float64
    measured: NDArray[np.bool_]
    valid: NDArray[np.bool_]


def seen(pose: Float64, points: Points) -> Float64:
    """Where points lie in the camera's frame, times their inverse depth: float64 [N, 3], metres a metre."""
    away = points.direction + points.inverse_depth[:, None] * (points.origin - pose[:3, 3])
    return np.asarray(away @ pose[:3, :3])


def linearise(pose: Float64, points: Points, observations: Observations) -> Linearised:
    """Compare what was observed with what a pose predicts.

    With ``Y = R^T (direction + inverse_depth (origin - t))``, the point times its inverse depth, the projection is
    ``(u, v) = (Y_x, Y_y) / Y_z``, and the inverse depth seen from here ``q = inverse_depth / Y_z``. ``Y`` changes with
    the pose by ``-inverse_depth dt + Y x dr``, from which the derivatives below follow.

    :param pose: float64 [4, 4], camera to world.
    :param points: N.
    :param observations: of the same points.
    """
    rotation, count = pose[:3, :3], len(points)
    offset = rotation.T @ (points.origin.T - pose[:3, 3, None])
    scaled = rotation.T @ points.direction.T + points.inverse_depth * offset
    valid = scaled[2] > _IN_FRONT
    per_z = 1 / np.where(valid, scaled[2], 1.0)
    u, v, q = scaled[0] * per_z, scaled[1] * per_z, points.inverse_depth * per_z
    by_pose, by_depth, error = np.zeros((6, 3, count)), np.empty((3, count)), np.empty((3, count))
    cross, q_u, q_v = u * v, q * u, q * v
    by_pose[0, 0], by_pose[2, 0], by_pose[3, 0], by_pose[4, 0], by_pose[5, 0] = -q, q_u, cross, -1 - u * u, v
    by_pose[1, 1], by_pose[2, 1], by_pose[3, 1], by_pose[4, 1], by_pose[5, 1] = -q, q_v, 1 + v * v, -cross, -u
    by_pose[2, 2], by_pose[3, 2], by_pose[4, 2] = q * q, q_v, -q_u
    by_depth[0], by_depth[1] = per_z * (offset[0] - u * offset[2]), per_z * (offset[1] - v * offset[2])
    by_depth[2] = per_z * (1 - q * offset[2])
    measured = valid & np.isfinite(observations.depths.inverse)
    error[0], error[1] = observations.rays[:, 0] - u, observations.rays[:, 1] - v
    error[2] = np.where(measured, observations.depths.inverse - q, 0.0)
    weight = np.where(valid, np.moveaxis(observations.whitening, 0, -1), 0.0)
    last = np.where(measured, 1 / np.where(measured, observations.depths.deviation, 1.0), 0.0)
    return Linearised(
        _whitened(weight, last, error),
        _whitened(weight, last, by_pose),
        _whitened(weight, last, by_depth),
        measured,
        valid,
    )


def _whitened(weight: Float64, last: Float64, values: Float64) -> Float64:
    """Apply whitening matrices [2, 2, N] and factors [N] to float64 [..., 3, N]."""
    white = np.empty_like(values)
    white[..., 0, :] = weight[0, 0] * values[..., 0, :]
    white[..., 1, :] = weight[1, 1] * values[..., 1, :]
    white[..., 2, :] = last * values[..., 2, :]
    if weight[0, 1].any() or weight[1, 0].any():
        white[..., 0, :] += weight[0, 1] * values[..., 1, :]
        white[..., 1, :] += weight[1, 0] * values[..., 0, :]
    return white


def chi_square(linearised: Linearised, variance: Float64) -> Float64:
    """Squared errors, the uncertainty of the points' depths taken in: float64 [N].

    The covariance of a point's errors is ``I + variance h h^T`` with ``h = by_depth``, and its inverse ``I - variance /
    (1 + variance h^T h) h h^T`` (Sherman and Morrison, 1950).
    """
    along = (linearised.by_depth * linearised.error).sum(0)
    return np.asarray((linearised.error**2).sum(0) - discount(linearised, variance) * along**2)


def discount(linearised: Linearised, variance: Float64) -> Float64:
    """``variance / (1 + variance h^T h)`` of :func:`chi_square`, float64 [N]."""
    return np.asarray(variance / (1 + variance * (linearised.by_depth**2).sum(0)))
