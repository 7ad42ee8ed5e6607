"""How a monocular segment begins: two images with enough parallax."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Points
from kp_ros.odometry.observations import Observations
from kp_ros.odometry.pose import normal_equations
from kp_ros.odometry.projection import linearise
from kp_ros.odometry.rigid_motion import pose_of
from kp_ros.odometry.robust_estimation import poselib
from kp_ros.odometry.triangulation import parallax, triangulate
from kp_ros.odometry.uncertainty import shared_errors

#: Squared error of unit variance above which a correspondence does not fit (95 % of a chi-square of one and of two
#: degrees of freedom; Hartley and Zisserman, 2nd ed., table 4.3).
_EPIPOLAR, _HOMOGRAPHY = 3.84, 5.99
#: Share of the homography in the sum of both scores above which the scene counts as flat or the motion as a turn
#: (Mur-Artal et al., ORB-SLAM, 2015, section IV).
_FLAT = 0.45
#: Of a flat scene's motions, the second best must explain at most this share of the best one's points.
_AMBIGUOUS = 0.8
#: Share of the correspondences that a motion must explain.
_EXPLAINED = 0.5
#: Median of a chi-square of one degree of freedom: what is left across the epipolar line.
_MEDIAN_SQUARE = 0.455
#: Variance of a depth that is not to be relied on, squared median depths.
_ANYWHERE = 1e6
#: Squared error of unit variance up to which a triangulated point fits.
_FITS = 6.0


@dataclass(frozen=True)
class TwoViews:
    """The beginning of a segment.

    :ivar pose: float64 [4, 4], second camera to first; the unit is the points' median depth in the first image.
    :ivar rows: int64 [M], of the correspondences that fit.
    :ivar inverse_depth: float64 [M], along the first image's rays.
    :ivar variance: float64 [M], of it.
    :ivar parallax: median angle between their rays, rotation taken out, radians.
    :ivar direction: standard deviation of the direction of the motion, radians.
    """

    pose: Float64
    rows: NDArray[np.int64]
    inverse_depth: Float64
    variance: Float64
    parallax: float
    direction: float


def begin_from(first: Observations, second: Observations, focal: float, pixels: float) -> TwoViews | None:
    """Find the motion between two images, and the depths of what both see.

    An essential matrix and a homography are fitted; the one that explains more decides. From a flat scene the motion
    follows from the homography, up to an ambiguity that the points' being in front of both cameras mostly solves.

    :param first: N observations of the first image.
    :param second: of the same points in the second.
    :param focal: pixels in the unit plane's unit.
    :param pixels: standard deviation of a keypoint.
    :returns: None where the motion is a turn, is ambiguous, or too few points fit.
    """
    if len(first) < 8:
        return None
    a, b = first.rays[:, :2] * focal, second.rays[:, :2] * focal
    camera = {"model": "SIMPLE_PINHOLE", "width": 0, "height": 0, "params": [focal, 0.0, 0.0]}
    options = {
        "max_epipolar_error": np.sqrt(_EPIPOLAR) * pixels * 1.5,
        "max_reproj_error": np.sqrt(_HOMOGRAPHY) * pixels * 1.5,
        "min_iterations": 100,
        "max_iterations": 1000,
        "seed": 0,
    }
    moved, _ = poselib().estimate_relative_pose(a, b, camera, camera, options, {})
    flat, _ = poselib().estimate_homography(a, b, options, {})
    if not (np.isfinite(moved.Rt).all() and np.isfinite(flat).all()):
        return None
    essential = _cross(moved.t) @ moved.R
    of_essential = _score(_epipolar_errors(essential, a / focal, b / focal) * (focal / pixels) ** 2, _EPIPOLAR)
    of_homography = _score(_transfer_errors(flat, a, b) / pixels**2, _HOMOGRAPHY)
    if of_homography > _FLAT * (of_essential + of_homography):
        found = [two for two in (_judged(pose, first, second) for pose in _motions(flat, focal)) if two is not None]
        found.sort(key=lambda two: -len(two.rows))
        if len(found) > 1 and len(found[1].rows) > _AMBIGUOUS * len(found[0].rows):
            return None
    else:
        pose = pose_of(moved.R.T, -moved.R.T @ moved.t)
        found = [two for two in (_judged(pose, first, second),) if two is not None]
    if not found or len(found[0].rows) < _EXPLAINED * len(first):
        return None
    return found[0]


def _judged(pose: Float64, first: Observations, second: Observations) -> TwoViews | None:
    """Triangulate with a motion; None where no point fits."""
    inverse, variance, squared = triangulate(first, second, pose)
    rows = np.flatnonzero((inverse > 0) & (squared < _FITS))
    if len(rows) == 0:
        return None
    unit = float(np.median(inverse[rows]))
    scaled = pose.copy()
    scaled[:3, 3] *= unit
    angle = float(np.median(parallax(first.rays[rows], second.rays[rows], pose[:3, :3])))
    points = Points(np.zeros((len(rows), 3)), first.rays[rows], inverse[rows] / unit, np.full(len(rows), _ANYWHERE))
    noise = float(np.median(squared[rows])) / _MEDIAN_SQUARE
    spread = _direction_deviation(scaled, points, second[rows]) * noise**0.5
    return TwoViews(scaled, rows, points.inverse_depth, variance[rows] / unit**2, angle, spread)


def _direction_deviation(pose: Float64, points: Points, second: Observations) -> float:
    """How well two images tell which way the camera moved, whatever the points' depths: radians.

    With small parallax a motion to the side and a turn look alike; certain depths by a wrong motion are wrong.
    """
    linear = linearise(pose, points, second)
    # The first image's rays are as uncertain as the second's.
    information, _ = normal_equations(linear, points.variance, linear.valid / 2)
    along = pose[:3, :3].T @ pose[:3, 3]
    across = np.zeros((6, 5))
    across[:3, :2] = np.linalg.svd(along[None])[2][1:].T * np.linalg.norm(along)
    across[3:, 2:] = np.eye(3)
    change = shared_errors(np.linalg.pinv(across.T @ information @ across), len(points))
    return float(np.sqrt(np.linalg.eigvalsh(change[:2, :2])[-1]))


def _motions(homography: Float64, focal: float) -> list[Float64]:
    """Motions, second camera to first, that a flat scene's homography of pixels may come from."""
    camera = np.diag([focal, focal, 1.0])
    _, rotations, translations, _ = cv2.decomposeHomographyMat(homography, camera)
    return [
        pose_of(np.asarray(turn).T, -np.asarray(turn).T @ np.asarray(shift)[:, 0])
        for turn, shift in zip(rotations, translations, strict=True)
        if np.linalg.norm(shift) > 1e-6
    ]


def _cross(vector: Float64) -> Float64:
    x, y, z = vector
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def _epipolar_errors(essential: Float64, a: Float64, b: Float64) -> Float64:
    """Squared distances of each point from its epipolar line in either image, float64 [2, N], unit plane."""
    one = np.ones((len(a), 1))
    a, b = np.hstack([a, one]), np.hstack([b, one])
    in_second, in_first = a @ essential.T, b @ essential
    algebraic = np.einsum("ni,ni->n", b, in_second) ** 2
    return np.stack([algebraic / np.maximum((line[:, :2] ** 2).sum(1), 1e-18) for line in (in_second, in_first)])


def _transfer_errors(homography: Float64, a: Float64, b: Float64) -> Float64:
    """Squared errors of transfer there and back, float64 [2, N]."""
    errors = []
    for matrix, source, target in ((homography, a, b), (np.linalg.inv(homography), b, a)):
        mapped = np.hstack([source, np.ones((len(source), 1))]) @ matrix.T
        errors.append(((mapped[:, :2] / mapped[:, 2:] - target) ** 2).sum(1))
    return np.stack(errors)


def _score(squared: Float64, limit: float) -> float:
    """ORB-SLAM's score of a model: what its points' errors leave of the homography's limit, summed."""
    return float(np.where(squared < limit, _HOMOGRAPHY - squared, 0).sum())
