"""How points of the world are seen from a pose, to first order in everything that is uncertain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Points
from kp_ros.odometry.observations import Observations

#: Points nearer than this share of their ray's length to the camera's plane are behind it, for our purposes.
_IN_FRONT = 0.02
#: Median of a chi-square of two degrees of freedom: of :func:`chi_square`, where no depth was measured.
MEDIAN_CHI_SQUARE = 1.386


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

    @cached_property
    def strength(self) -> Float64:
        """Squared length of ``by_depth``, float64 [N]."""
        return np.asarray(np.einsum("kn,kn->n", self.by_depth, self.by_depth))

    @cached_property
    def error_along(self) -> Float64:
        """``by_depth`` times ``error``, float64 [N]."""
        return np.asarray(np.einsum("kn,kn->n", self.by_depth, self.error))

    @cached_property
    def pose_along(self) -> Float64:
        """``by_depth`` times ``by_pose``, float64 [6, N]."""
        along = self.by_pose[:, 0] * self.by_depth[0]
        along += self.by_pose[:, 1] * self.by_depth[1]
        along += self.by_pose[:, 2] * self.by_depth[2]
        return np.asarray(along)


@dataclass(frozen=True)
class Sights:
    """N points and where they are seen, as :func:`linearise_sights` wants them: the points are the last axis.

    :ivar origin: float64 [3, N], of :class:`kp_ros.odometry.landmarks.Points`.
    :ivar direction: float64 [3, N], likewise.
    :ivar inverse_depth: float64 [N], likewise.
    :ivar variance: float64 [N], likewise.
    :ivar places: float64 [2, N], on the unit plane.
    :ivar whitening: float64 [2, 2, N].
    :ivar oblique: some whitening is not diagonal.
    :ivar depths: float64 [N], measured inverse depths, 0 where there is none.
    :ivar certainty: float64 [N], one over their deviations, 0 likewise.
    """

    origin: Float64
    direction: Float64
    inverse_depth: Float64
    variance: Float64
    places: Float64
    whitening: Float64
    oblique: bool
    depths: Float64
    certainty: Float64

    @staticmethod
    def of(points: Points, observations: Observations) -> Sights:
        """Arrange points and their observations."""
        whitening = np.ascontiguousarray(np.moveaxis(observations.whitening, 0, -1))
        measured = np.isfinite(observations.depths.inverse)
        return Sights(
            np.ascontiguousarray(points.origin.T),
            np.ascontiguousarray(points.direction.T),
            points.inverse_depth,
            points.variance,
            np.ascontiguousarray(observations.rays[:, :2].T),
            whitening,
            bool(whitening[0, 1].any() or whitening[1, 0].any()),
            np.where(measured, observations.depths.inverse, 0.0),
            np.where(measured, 1 / np.where(measured, observations.depths.deviation, 1.0), 0.0),
        )

    def __len__(self) -> int:
        return len(self.inverse_depth)

    def __getitem__(self, index: Any) -> Sights:
        return Sights(
            self.origin[:, index],
            self.direction[:, index],
            self.inverse_depth[index],
            self.variance[index],
            self.places[:, index],
            self.whitening[:, :, index],
            self.oblique,
            self.depths[index],
            self.certainty[index],
        )


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
    return linearise_sights(pose, Sights.of(points, observations), points.inverse_depth)


def linearise_sights(pose: Float64, sights: Sights, inverse_depth: Float64) -> Linearised:
    """As :func:`linearise`, of points that are taken to have these inverse depths, float64 [N]."""
    turn = pose[:3, :3].T
    offset = turn @ (sights.origin - pose[:3, 3, None])
    scaled = turn @ sights.direction + inverse_depth * offset
    valid = scaled[2] > _IN_FRONT
    per_z = valid / np.where(valid, scaled[2], 1.0)
    u, v = scaled[:2] * per_z
    q = inverse_depth * per_z
    last = sights.certainty * valid
    error, by_depth = np.empty((3, len(sights))), np.empty((3, len(sights)))
    np.subtract(sights.places[0], u, out=error[0])
    np.subtract(sights.places[1], v, out=error[1])
    error[2] = last * (sights.depths - q)
    by_depth[0], by_depth[1] = per_z * (offset[0] - u * offset[2]), per_z * (offset[1] - v * offset[2])
    by_depth[2] = last * per_z * (1 - q * offset[2])
    white = sights.whitening * valid
    if sights.oblique:
        by_pose = _by_pose(u, v, q, valid.astype(np.float64), valid.astype(np.float64), last)
        for values in (error, by_depth, by_pose):
            values[..., :2, :] = np.einsum("ijn,...jn->...in", white, values[..., :2, :])
    else:
        by_pose = _by_pose(u, v, q, white[0, 0], white[1, 1], last)
        for values in (error, by_depth):
            values[0] *= white[0, 0]
            values[1] *= white[1, 1]
    return Linearised(error, by_pose, by_depth, last > 0, valid)


def _by_pose(u: Float64, v: Float64, q: Float64, of_u: Float64, of_v: Float64, of_q: Float64) -> Float64:
    """Derivatives of a point's ``u``, ``v`` and ``q`` by the pose, times factors: float64 [6, 3, N]."""
    derivative = np.zeros((6, 3, len(u)))
    q_u, q_v, u_u, v_v, cross = q * of_u, q * of_v, u * of_u, v * of_v, u * v
    derivative[0, 0], derivative[2, 0], derivative[5, 0] = -q_u, u * q_u, v * of_u
    derivative[3, 0], derivative[4, 0] = cross * of_u, -of_u - u * u_u
    derivative[1, 1], derivative[2, 1], derivative[5, 1] = -q_v, v * q_v, -u * of_v
    derivative[3, 1], derivative[4, 1] = of_v + v * v_v, -cross * of_v
    q_q = q * of_q
    derivative[2, 2], derivative[3, 2], derivative[4, 2] = q * q_q, v * q_q, -u * q_q
    return derivative


def chi_square(linearised: Linearised, variance: Float64) -> Float64:
    """Squared errors, the uncertainty of the points' depths taken in: float64 [N].

    The covariance of a point's errors is ``I + variance h h^T`` with ``h = by_depth``, and its inverse ``I - variance /
    (1 + variance h^T h) h h^T`` (Sherman and Morrison, 1950).
    """
    squared = np.einsum("kn,kn->n", linearised.error, linearised.error)
    return np.asarray(squared - discount(linearised, variance) * linearised.error_along**2)


def discount(linearised: Linearised, variance: Float64) -> Float64:
    """``variance / (1 + variance h^T h)`` of :func:`chi_square`, float64 [N]."""
    return np.asarray(variance / (1 + variance * linearised.strength))
