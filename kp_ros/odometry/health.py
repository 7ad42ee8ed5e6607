"""Can an estimate be trusted?"""

from __future__ import annotations

import numpy as np

from kp_ros.features import Float32
from kp_ros.odometry.base import Float64, Health, State
from kp_ros.odometry.options import OdometryOptions

#: Cells of the grid that coverage is counted on.
COLUMNS, ROWS = 8, 6


def coverage(keypoints: Float32, width: int, height: int) -> float:
    """Share of the cells of an 8 x 6 grid over the image that hold a keypoint, 0 to 1.

    :param keypoints: float32 [N, 2], pixels.
    """
    cells = np.floor((keypoints + 0.5) / [width / COLUMNS, height / ROWS]).astype(np.int64)
    cells = np.clip(cells, 0, [COLUMNS - 1, ROWS - 1])
    return len(np.unique(cells[:, 1] * COLUMNS + cells[:, 0])) / (COLUMNS * ROWS)


def judge(health: Health, covariance: Float64, scene_depth: float, options: OdometryOptions) -> tuple[State, str]:
    """Decide how far a pose can be trusted, and say why not.

    :param health: of its image; its reason is not looked at.
    :param covariance: float64 [6, 6], of the pose against its landmarks, metres and radians.
    :param scene_depth: median depth of the landmarks, metres: the unit for the shift.
    :param options: holds the thresholds.
    :returns: the state and, unless it is good, the reason in words.
    """
    deviation = np.sqrt(np.diag(covariance))
    shift = float(np.linalg.norm(deviation[:3])) / max(scene_depth, 1e-9)
    turn = float(np.linalg.norm(deviation[3:]))
    if health.inliers < options.fewest_inliers:
        return State.LOST, f"{health.inliers} points agree with a pose, {options.fewest_inliers} are needed"
    if health.inlier_ratio < options.lost_inlier_ratio:
        return State.LOST, f"only {health.inlier_ratio:.0%} of the points agree with one pose"
    doubts = []
    if health.inliers < options.good_inliers:
        doubts.append(f"only {health.inliers} points agree")
    if health.inlier_ratio < options.good_inlier_ratio:
        doubts.append(f"only {health.inlier_ratio:.0%} of the points agree")
    if health.survival < options.good_survival:
        # Blur and the like end most tracks at once; what is left or has come instead is hardly the same points.
        doubts.append(f"only {health.survival:.0%} of the last image's tracks are left")
    if health.coverage < options.good_coverage:
        doubts.append(f"points in only {health.coverage:.0%} of the image")
    if shift > options.good_shift:
        doubts.append(f"position uncertain by {shift:.1%} of the scene's depth")
    if turn > options.good_turn:
        doubts.append(f"direction uncertain by {np.degrees(turn):.2g} degrees")
    return (State.WEAK, "; ".join(doubts)) if doubts else (State.GOOD, "")


def nothing_seen(reason: str, survival: float) -> Health:
    """Health of a frame without a pose."""
    return Health(0, 0.0, survival, 0.0, 0.0, reason)
