"""How points of the world are seen from a pose, to first order in everything that is uncertain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Points
from kp_ros.odometry.observations import Observations

#: Points nearer than this share of their ray's length to the camera's plane are behind it, for our purposes.
_IN_FRONT = 0.02


@dataclass(frozen=True)
class Linearised:
    """Errors of N observations of unit variance and what they change with.

    Three a point: two of its place in the image and one of its measured inverse depth, 0 where none was measured.

    :ivar error: float64 [N, 3], observed less predicted.
    :ivar by_pose: float64 [N, 3, 6], derivative of the prediction by the pose's change.
    :ivar by_depth: float64 [N, 3], and by the point's inverse depth.
    :ivar measured: bool [N], whether the depth was measured.
    :ivar valid: bool [N], whether the point lies before the camera; all else of others is 0.
    """

    error: Float64
    by_pose: Float64
    by_depth: Float64
    measured: np.ndarray[tuple[int], np.dtype[np.bool_]]
    valid: np.ndarray[tuple[int], np.dtype[np.bool_]]


def seen(pose: Float64, points: Points) -> Float64:
    """Where points lie in the camera's frame, times their inverse depth: float64 [N, 3], metres a metre."""
    away = points.direction + points.inverse_depth[:, None] * (points.origin - pose[:3, 3])
    return np.asarray(away @ pose[:3, :3])


def linearise(pose: Float64, points: Points, observations: Observations) -> Linearised:
    """Compare what was observed with what a pose predicts.

    With ``Y = R^T (direction + inverse_depth (origin - t))``, the point times its inverse depth, the projection is
    ``(Y_x, Y_y) / Y_z``, and the inverse depth seen from here ``inverse_depth / Y_z``. ``Y`` changes with the pose by
    ``-inverse_depth dt + Y x dr``.

    :param pose: float64 [4, 4], camera to world.
    :param points: N.
    :param observations: of the same points.
    """
    scaled = seen(pose, points)
    valid = scaled[:, 2] > _IN_FRONT
    x, y, z = np.where(valid, scaled.T, np.array([[0.0], [0.0], [1.0]]))
    rho = points.inverse_depth
    count = len(points)
    u, v, per_z = x / z, y / z, 1 / z
    # Rows: derivatives of u, v and the inverse depth by Y.
    by_scaled = np.zeros((count, 3, 3))
    by_scaled[:, 0, 0] = by_scaled[:, 1, 1] = per_z
    by_scaled[:, 0, 2], by_scaled[:, 1, 2] = -u * per_z, -v * per_z
    by_scaled[:, 2, 2] = -rho * per_z * per_z
    scaled_by_depth = (points.origin - pose[:3, 3]) @ pose[:3, :3]
    by_depth = np.einsum("nij,nj->ni", by_scaled, scaled_by_depth)
    by_depth[:, 2] += per_z
    by_pose = np.empty((count, 3, 6))
    by_pose[:, :, :3] = -rho[:, None, None] * by_scaled
    # Row by row a^T [Y]x = (a x Y)... written out, for np.cross takes five times as long.
    a, b, c = by_scaled[:, :, 0], by_scaled[:, :, 1], by_scaled[:, :, 2]
    x, y, z = x[:, None], y[:, None], z[:, None]
    by_pose[:, :, 3], by_pose[:, :, 4], by_pose[:, :, 5] = b * z - c * y, c * x - a * z, a * y - b * x
    measured = valid & np.isfinite(observations.depths.inverse)
    error = np.zeros((count, 3))
    error[:, 0], error[:, 1] = observations.rays[:, 0] - u, observations.rays[:, 1] - v
    weight = np.zeros((count, 3, 3))
    weight[:, :2, :2] = observations.whitening
    weight[measured, 2, 2] = 1 / observations.depths.deviation[measured]
    weight[~valid] = 0
    error[measured, 2] = observations.depths.inverse[measured] - (rho * per_z)[measured]
    return Linearised(
        np.einsum("nij,nj->ni", weight, error),
        weight @ by_pose,
        np.einsum("nij,nj->ni", weight, by_depth),
        measured,
        valid,
    )


def chi_square(linearised: Linearised, variance: Float64) -> Float64:
    """Squared errors, the uncertainty of the points' depths taken in: float64 [N].

    The covariance of a point's errors is ``I + variance h h^T`` with ``h = by_depth``, and its inverse ``I - variance /
    (1 + variance h^T h) h h^T`` (Sherman and Morrison, 1950).
    """
    along = np.einsum("ni,ni->n", linearised.by_depth, linearised.error)
    squared = np.einsum("ni,ni->n", linearised.error, linearised.error)
    return np.asarray(squared - discount(linearised, variance) * along**2)


def discount(linearised: Linearised, variance: Float64) -> Float64:
    """``variance / (1 + variance h^T h)`` of :func:`chi_square`, float64 [N]."""
    return np.asarray(variance / (1 + variance * np.einsum("ni,ni->n", linearised.by_depth, linearised.by_depth)))
