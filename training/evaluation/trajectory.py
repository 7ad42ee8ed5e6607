"""Trajectory errors, by evo (Grupp, 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError

Poses = NDArray[np.float64]


@dataclass(frozen=True)
class TrajectoryError:
    """Errors of a trajectory after its SE(3) alignment with the truth.

    :ivar ate: root mean square of the positions' errors, metres.
    :ivar rpe_translation: root mean square of the error of one frame's motion, metres.
    :ivar rpe_rotation: likewise, degrees.
    :ivar aligned: float64 [F, 3], the estimated positions in the truth's frame, metres.
    """

    ate: float
    rpe_translation: float
    rpe_rotation: float
    aligned: NDArray[np.float64]


def chain(steps: Sequence[Poses]) -> Poses:
    """Motions from frame to frame -> poses.

    :param steps: float64 [4, 4] each, camera of a frame from the camera of the frame before it.
    :returns: float64 [F, 4, 4], camera to world; the first camera is the world.
    """
    poses = [np.eye(4)]
    for step in steps:
        poses.append(poses[-1] @ np.linalg.inv(step))
    return np.array(poses)


def trajectory_error(estimate: Poses, truth: Poses) -> TrajectoryError:
    """Judge a trajectory.

    :param estimate: float64 [F, 4, 4], camera to its own world, in the truth's scale.
    :param truth: float64 [F, 4, 4], camera to world, metres.
    :raises UserError: evo is not installed.
    """
    try:
        from evo.core import metrics
        from evo.core.geometry import GeometryException
    except ImportError as error:
        raise UserError("trajectory errors need the package evo: pip install 'kp_ros[eval]'") from error

    estimated, true = _path(estimate), _path(truth)
    relative = {}
    for relation in (metrics.PoseRelation.translation_part, metrics.PoseRelation.rotation_angle_deg):
        motion = metrics.RPE(relation, delta=1, delta_unit=metrics.Unit.frames)
        motion.process_data((true, estimated))
        relative[relation] = float(motion.get_statistic(metrics.StatisticsType.rmse))
    try:
        estimated.align(true)
    except GeometryException:
        # A camera that stands still has no orientation to align: its place is all that can be.
        shift = np.eye(4)
        shift[:3, 3] = truth[:, :3, 3].mean(0) - estimate[:, :3, 3].mean(0)
        estimated.transform(shift)
    position = metrics.APE(metrics.PoseRelation.translation_part)
    position.process_data((true, estimated))
    return TrajectoryError(
        float(position.get_statistic(metrics.StatisticsType.rmse)),
        relative[metrics.PoseRelation.translation_part],
        relative[metrics.PoseRelation.rotation_angle_deg],
        np.asarray(estimated.positions_xyz, np.float64),
    )


def _path(poses: Poses) -> Any:
    """evo's trajectory of these poses; it wants rotations that are exact to 1e-6, which a long chain is not."""
    from evo.core.trajectory import PosePath3D

    exact = poses.copy()
    left, _, right = np.linalg.svd(poses[:, :3, :3])
    exact[:, :3, :3] = left @ right
    return PosePath3D(poses_se3=list(exact))
