"""OpenCV's USAC with MAGSAC++ (Barath et al., CVPR 2020)."""

from __future__ import annotations

import cv2
import numpy as np

from training.estimators.base import FEWEST, Estimate, EstimatorSettings, Model, Points


def estimate(settings: EstimatorSettings, first: Points, second: Points) -> Estimate | None:
    """See :class:`training.estimators.base.Estimator`."""
    if len(first) < FEWEST[settings.model] + 1:
        return None
    # OpenCV keeps one generator a thread.
    cv2.setRNGSeed(settings.seed)
    threshold, confidence = settings.threshold, settings.confidence
    try:
        if settings.model is Model.HOMOGRAPHY:
            matrix, mask = cv2.findHomography(
                first, second, cv2.USAC_MAGSAC, threshold, None, settings.iterations, confidence
            )
        elif settings.model is Model.FUNDAMENTAL:
            matrix, mask = cv2.findFundamentalMat(
                first, second, cv2.USAC_MAGSAC, threshold, confidence, settings.iterations
            )
        else:
            matrix, mask = cv2.findEssentialMat(
                first, second, np.eye(3), cv2.USAC_MAGSAC, confidence, threshold, settings.iterations
            )
    except cv2.error:
        return None  # degenerate points, which some of its solvers answer with an assertion
    if matrix is None or matrix.shape != (3, 3) or mask is None or not mask.any():
        return None
    inliers = mask.ravel().astype(bool)
    if settings.model is not Model.ESSENTIAL:
        return Estimate(np.asarray(matrix, np.float64), inliers)
    _, rotation, translation, _ = cv2.recoverPose(matrix, first, second, np.eye(3), mask=mask.copy())
    matrix = matrix * np.sqrt(2) / np.linalg.norm(matrix)
    return Estimate(matrix, inliers, np.column_stack([rotation, translation]))
