"""What the normal equations do not know: errors that points share, and errors that grow with the way."""

from __future__ import annotations

import numpy as np

from kp_ros.odometry.base import Float64
from kp_ros.odometry.projection import MEDIAN_CHI_SQUARE
from kp_ros.odometry.rigid_motion import change_between

#: So many points' errors are independent of each other; those of further points are like their neighbours'.
_INDEPENDENT = 60
#: What calibration, rolling shutter and rectification leave, as standard deviations: of the shift, a share of the way
#: and of the scene's depth times the angle turned; of the direction, a share of the angle turned, and radians a scene
#: depth of way.
_SHIFT_BY_WAY, _SHIFT_BY_TURN, _TURN_BY_TURN, _TURN_BY_WAY = 0.01, 0.01, 0.006, 0.001


def shared_errors(covariance: Float64, inliers: int) -> Float64:
    """Covariance of a pose whose points' errors are not all independent.

    :param covariance: float64 [6, 6], from the normal equations, which take them as independent.
    :param inliers: how many points it is from.
    """
    return np.asarray(covariance * max(1.0, inliers / _INDEPENDENT))


def departure(squared: Float64, trust: Float64) -> float:
    """Factor on the covariance of a pose whose points depart from it by more than their noise, 1 or more.

    The noise is learnt over many images. In one that is blurred, or where tracks slip, all points depart by more, and a
    pose that nothing fits well is as uncertain as they say (the reduced chi-square). What has long been wrong, as what
    moves by itself is, has little trust and little voice.

    :param squared: float64 [N], squared errors of unit variance, of inliers and of others.
    :param trust: float64 [N], see :func:`kp_ros.odometry.depth_filter.trust`.
    """
    order = np.argsort(squared)
    behind = np.cumsum(trust[order])
    return max(1.0, float(squared[order[np.searchsorted(behind, behind[-1] / 2)]]) / MEDIAN_CHI_SQUARE)


def way(pose: Float64, other: Float64, scene_depth: float) -> Float64:
    """How far a motion is: scene depths and radians, float64 [2]."""
    change = change_between(pose, other)
    return np.array([np.linalg.norm(change[:3]) / max(scene_depth, 1e-9), np.linalg.norm(change[3:])])


def systematic(gone: Float64, scene_depth: float) -> Float64:
    """Covariance of what grows with the way, float64 [6, 6], in any axes: it is the same in all directions.

    :param gone: float64 [2], sum of :func:`way` since the start.
    :param scene_depth: median depth of the landmarks, metres.
    """
    shift = scene_depth * (_SHIFT_BY_WAY * gone[0] + _SHIFT_BY_TURN * gone[1])
    turn = _TURN_BY_TURN * gone[1] + _TURN_BY_WAY * gone[0]
    return np.diag([shift**2] * 3 + [turn**2] * 3)
