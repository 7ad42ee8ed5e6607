"""Relative pose of two calibrated views: estimators behind one name each, and the error of what they give.

Points come as rays on the unit plane (undistorted), so that one interface serves every camera model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError

#: What OpenCV's recoverPose takes by itself, and with it the reference in shared/eval: where the camera moves by less
#: than a fiftieth of the depth, no point is near enough to be counted, and the rotation may be off by 180 degrees.
OPENCV_FARTHEST = 50.0

Rays = NDArray[np.float64]
Pose = NDArray[np.float64]

#: The error of a pair without an estimate, degrees.
FAILED = 180.0
#: Fewer matches than this give no estimate.
FEWEST_MATCHES = 8


@dataclass(frozen=True)
class EstimatorOptions:
    """A robust estimator by name, and its threshold.

    :ivar name: a key of :data:`ESTIMATORS`.
    :ivar threshold: largest epipolar error of an inlier, pixels of the images that were matched.
    """

    name: str = "opencv-magsac"
    threshold: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in ESTIMATORS:
            raise UserError(f"estimator '{self.name}' is unknown; choose one of: {', '.join(ESTIMATORS)}")
        if self.threshold <= 0:
            raise UserError(f"the estimator's threshold is {self.threshold}; give a number of pixels above 0")

    def __str__(self) -> str:
        return f"{self.name} {self.threshold:g} px"


@dataclass(frozen=True)
class RelativePose:
    """x2 ~ rotation @ x1 + translation.

    :ivar rotation: float64 [3, 3].
    :ivar translation: float64 [3], unit length, or 0.
    :ivar inliers: bool [N], one a match.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    inliers: NDArray[np.bool_]

    def matrix(self, length: float) -> Pose:
        """Float64 [4, 4], second camera from first, with a translation of this length."""
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = self.rotation, self.translation * length
        return pose


def estimate_relative_pose(
    options: EstimatorOptions, first: Rays, second: Rays, focals: tuple[float, float], seed: int = 0
) -> RelativePose | None:
    """Estimate the pose of the second camera from the first.

    RANSAC's draws depend on the order of the matches. Seed 0 keeps the order, every other seed shuffles it: that gives
    independent runs of every estimator, also of those that have no seed of their own.

    :param first: float64 [N, 2], matched points of the first view on the unit plane; second likewise.
    :param focals: focal lengths of the two views, pixels: what turns the threshold into an angle.
    :returns: None with fewer than 8 matches, or where the estimator finds nothing.
    """
    if len(first) < FEWEST_MATCHES:
        return None
    order = shuffled(len(first), seed)
    try:
        found = ESTIMATORS[options.name](first[order], second[order], focals, options.threshold)
    except cv2.error:
        # Some of OpenCV's solvers answer degenerate points with an assertion.
        return None
    if found is None:
        return None
    inliers = np.zeros(len(first), np.bool_)
    inliers[order] = found.inliers
    return RelativePose(found.rotation, found.translation, inliers)


def shuffled(count: int, seed: int) -> NDArray[np.intp]:
    """A permutation of ``count`` things; seed 0 leaves them as they are."""
    if seed == 0:
        return np.arange(count)
    return np.random.default_rng(seed).permutation(count)


def pose_error(estimate: RelativePose | None, truth: Pose, still: float) -> float:
    """The larger one of rotation and translation error, degrees; :data:`FAILED` without an estimate.

    The translation's sign is not asked for: two views cannot always tell it.

    :param truth: float64 [4, 4], second camera from first.
    :param still: a true translation up to this length has no direction worth asking for.
    """
    if estimate is None:
        return FAILED
    cosine = (np.trace(estimate.rotation.T @ truth[:3, :3]) - 1) / 2
    rotation = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    length = float(np.linalg.norm(truth[:3, 3]))
    if length <= still:
        return rotation
    along = abs(float(estimate.translation @ truth[:3, 3])) / max(length, 1e-9)
    return max(rotation, float(np.degrees(np.arccos(np.clip(along, -1, 1)))))


def epipolar_error(first: Rays, second: Rays, truth: Pose) -> NDArray[np.float64]:
    """Squared symmetric epipolar distance on the unit plane, float64 [N], as SuperGlue judges matches by it.

    :param truth: float64 [4, 4], second camera from first.
    """
    x, y, z = truth[:3, 3]
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ truth[:3, :3]
    one, two = np.c_[first, np.ones(len(first))], np.c_[second, np.ones(len(second))]
    lines_two, lines_one = one @ essential.T, two @ essential
    algebraic = (two * lines_two).sum(1)
    normals = [np.maximum((lines[:, :2] ** 2).sum(1), 1e-18) for lines in (lines_one, lines_two)]
    return np.asarray(algebraic**2 * (1 / normals[0] + 1 / normals[1]), np.float64)


def _opencv_magsac(first: Rays, second: Rays, focals: tuple[float, float], threshold: float) -> RelativePose | None:
    focal = (focals[0] + focals[1]) / 2
    essential, mask = cv2.findEssentialMat(first, second, np.eye(3), cv2.USAC_MAGSAC, 0.9999, threshold / focal)
    if essential is None or essential.shape != (3, 3):
        return None
    return _decompose(essential, first, second, mask.ravel().astype(np.bool_), OPENCV_FARTHEST)[0]


def _opencv_ransac(first: Rays, second: Rays, focals: tuple[float, float], threshold: float) -> RelativePose | None:
    """Plain RANSAC with the confidence of SuperGlue's and LoFTR's evaluation; the best of several solutions."""
    focal = (focals[0] + focals[1]) / 2
    essentials, mask = cv2.findEssentialMat(first, second, np.eye(3), cv2.RANSAC, 0.99999, threshold / focal)
    if essentials is None or essentials.shape[0] % 3:
        return None
    inliers = mask.ravel().astype(np.bool_)
    candidates = [_decompose(essential, first, second, inliers, 1e9) for essential in essentials.reshape(-1, 3, 3)]
    pose, in_front = max(candidates, key=lambda candidate: candidate[1])
    return pose if in_front > 0 else None


def _decompose(
    essential: NDArray[np.float64], first: Rays, second: Rays, inliers: NDArray[np.bool_], farthest: float
) -> tuple[RelativePose, int]:
    """Of the four poses, the one that has most inliers in front of both cameras, and how many those are.

    :param farthest: points farther than this are not counted, baselines.
    """
    mask = inliers.astype(np.uint8)
    in_front, rotation, translation, _, _ = cv2.recoverPose(
        essential, first, second, np.eye(3), distanceThresh=farthest, mask=mask
    )
    return RelativePose(np.asarray(rotation), np.asarray(translation).ravel(), inliers), int(in_front)


def _poselib(first: Rays, second: Rays, focals: tuple[float, float], threshold: float) -> RelativePose | None:
    """LO-RANSAC and refinement of PoseLib (Larsson, 2020), as glue-factory calls it."""
    try:
        import poselib
    except ImportError as error:
        raise UserError("estimator 'poselib' needs the package poselib: pip install 'kp_ros[eval]'") from error

    cameras: list[dict[str, Any]] = [
        {"model": "SIMPLE_PINHOLE", "width": 0, "height": 0, "params": [focal, 0.0, 0.0]} for focal in focals
    ]
    pose, information = poselib.estimate_relative_pose(
        first * focals[0], second * focals[1], *cameras, {"max_epipolar_error": threshold}
    )
    inliers = np.asarray(information["inliers"], np.bool_)
    if not inliers.any():
        return None
    translation = np.asarray(pose.t, np.float64).ravel()
    length = np.linalg.norm(translation)
    return RelativePose(np.asarray(pose.R, np.float64), translation / length if length > 0 else translation, inliers)


Estimate = Callable[[Rays, Rays, tuple[float, float], float], RelativePose | None]

#: Name -> estimator.
ESTIMATORS: dict[str, Estimate] = {
    "opencv-magsac": _opencv_magsac,
    "opencv-ransac": _opencv_ransac,
    "poselib": _poselib,
}
