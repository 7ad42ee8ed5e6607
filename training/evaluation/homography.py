"""Homographies: estimators behind one name each, and the error of what they give."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError
from training.evaluation.relative_pose import EstimatorOptions, shuffled

Homography = NDArray[np.float64]
Points = NDArray[np.float64]


def estimate_homography(
    options: EstimatorOptions, first: Points, second: Points, seed: int = 0
) -> tuple[Homography | None, NDArray[np.bool_]]:
    """Estimate the homography from the first image to the second.

    :param first: float64 [N, 2], matched points, pixels; second likewise.
    :param seed: as in :func:`training.evaluation.relative_pose.estimate_relative_pose`.
    :returns: float64 [3, 3], None where nothing was found; and which matches are inliers, bool [N].
    """
    inliers = np.zeros(len(first), np.bool_)
    if len(first) < 4:
        return None, inliers
    order = shuffled(len(first), seed)
    try:
        homography, inliers[order] = ESTIMATORS[options.name](first[order], second[order], options.threshold)
    except cv2.error:
        # Some of OpenCV's solvers answer degenerate points with an assertion.
        return None, inliers
    return homography, inliers


def warp(homography: Homography, points: NDArray[np.floating]) -> Points:
    """Points [N, 2] in the first image -> float64 [N, 2] in the second."""
    mapped = np.c_[points, np.ones(len(points))] @ homography.T
    depth = np.where(np.abs(mapped[:, 2:]) < 1e-12, 1e-12, mapped[:, 2:])
    return np.asarray(mapped[:, :2] / depth, np.float64)


def corner_error(estimate: Homography | None, truth: Homography, size: tuple[int, int]) -> float:
    """Mean distance of the first image's four corners, mapped by estimate and truth, pixels of the second image.

    The error of SuperPoint (DeTone et al., CVPRW 2018) and of every HPatches table since.

    :param size: width and height of the first image.
    :returns: infinite without an estimate.
    """
    if estimate is None:
        return float("inf")
    right, bottom = size[0] - 1.0, size[1] - 1.0
    corners = np.array([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])
    return float(np.linalg.norm(warp(estimate, corners) - warp(truth, corners), axis=1).mean())


def resizing(before: tuple[int, int], after: tuple[int, int]) -> Homography:
    """Pixels of an image -> pixels of the image resized, float64 [3, 3].

    Pixel centres are at integers: it is a pixel's corner at -0.5 that keeps its place.

    :param before: width and height; after likewise.
    """
    x, y = after[0] / before[0], after[1] / before[1]
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1.0]])


Found = tuple[Homography | None, NDArray[np.bool_]]


def _opencv(method: int) -> Callable[[Points, Points, float], Found]:
    def estimate(first: Points, second: Points, threshold: float) -> Found:
        homography, mask = cv2.findHomography(first, second, method, threshold, maxIters=10_000, confidence=0.9999)
        if homography is None:
            return None, np.zeros(len(first), np.bool_)
        return np.asarray(homography, np.float64), mask.ravel().astype(np.bool_)

    return estimate


def _poselib(first: Points, second: Points, threshold: float) -> Found:
    try:
        import poselib
    except ImportError as error:
        raise UserError("estimator 'poselib' needs the package poselib: pip install 'kp_ros[eval]'") from error

    homography, information = poselib.estimate_homography(first, second, {"max_reproj_error": threshold})
    inliers = np.asarray(information["inliers"], np.bool_)
    return (np.asarray(homography, np.float64), inliers) if inliers.any() else (None, inliers)


#: Name -> estimator; the names are those of the relative poses' estimators.
ESTIMATORS: dict[str, Callable[[Points, Points, float], Found]] = {
    "opencv-magsac": _opencv(cv2.USAC_MAGSAC),
    "opencv-ransac": _opencv(cv2.RANSAC),
    "poselib": _poselib,
}
