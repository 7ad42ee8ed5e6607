"""poselib's LO-RANSAC (Larsson, PoseLib)."""

from __future__ import annotations

from typing import Any

import numpy as np
import poselib

from training.estimators.base import FEWEST, Estimate, EstimatorSettings, Model, Points

#: A camera whose pixels are the unit plane.
UNIT_CAMERA = {"model": "SIMPLE_PINHOLE", "width": 2, "height": 2, "params": [1.0, 0.0, 0.0]}


def estimate(settings: EstimatorSettings, first: Points, second: Points) -> Estimate | None:
    """See :class:`training.estimators.base.Estimator`."""
    if len(first) < FEWEST[settings.model]:
        return None
    error = "max_reproj_error" if settings.model is Model.HOMOGRAPHY else "max_epipolar_error"
    options: dict[str, Any] = {
        error: settings.threshold,
        "max_iterations": settings.iterations,
        "min_iterations": min(100, settings.iterations),
        "success_prob": settings.confidence,
        "seed": settings.seed,
    }
    if settings.model is Model.ESSENTIAL:
        found, report = poselib.estimate_relative_pose(first, second, UNIT_CAMERA, UNIT_CAMERA, options)
        pose = np.column_stack([found.R, found.t])
        length = float(np.linalg.norm(pose[:, 3]))
        if length < 1e-12:
            return None
        pose[:, 3] /= length
        x, y, z = pose[:, 3]
        matrix = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ pose[:, :3]
        return _checked(matrix, report, pose)
    run = poselib.estimate_fundamental if settings.model is Model.FUNDAMENTAL else poselib.estimate_homography
    matrix, report = run(first, second, options)
    return _checked(np.asarray(matrix, np.float64), report, None)


def _checked(matrix: Points, report: dict[str, Any], pose: Points | None) -> Estimate | None:
    """poselib answers a failure with a matrix of nothing and no inliers."""
    inliers = np.asarray(report["inliers"], bool)
    if not inliers.any() or not np.isfinite(matrix).all() or not matrix.any():
        return None
    return Estimate(matrix, inliers, pose)
