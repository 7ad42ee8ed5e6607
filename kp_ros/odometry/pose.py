"""The pose of one image from its landmarks: robust, weighted least squares over all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Points
from kp_ros.odometry.median import median
from kp_ros.odometry.observations import Observations
from kp_ros.odometry.projection import Linearised, Sights, chi_square, discount, linearise_sights
from kp_ros.odometry.rigid_motion import change_between, moved, orthonormal, symmetric
from kp_ros.odometry.robust_estimation import poselib
from kp_ros.odometry.rolling_shutter import RowMotion

#: Squared errors above it are outliers: 99 % of a chi-square of two or three degrees of freedom lies below.
GATE = 10.0
#: Squared error at which a point's weight has fallen to a quarter (Geman and McClure, 1985).
_KERNEL = 9.0
#: Points with this share of the best trust tell how wide the kernel must be.
_TRUSTED = 0.6
#: So many of the most trusted points find the pose, and all points finish it: in so many steps at most, until one is
#: shorter than this, metres or radians.
_ROUGH_POINTS = 200
_ROUGH, _FINE = (8, 1e-3), (3, 1e-4)


@dataclass(frozen=True)
class Prior:
    """What is known of a pose without its points.

    :ivar pose: float64 [4, 4], camera to world.
    :ivar information: float64 [6, 6], inverse covariance of its change, camera's axes.
    :ivar vector: float64 [6], information times the change that is expected; none without it.
    """

    pose: Float64
    information: Float64
    vector: Float64 = field(default_factory=lambda: np.zeros(6))

    def pull(self, pose: Float64) -> Float64:
        """The vector at another pose near by."""
        return np.asarray(self.vector + self.information @ change_between(pose, self.pose))

    def joined(self, other: Prior) -> Prior:
        """This and what else is known, at the other's pose."""
        return Prior(other.pose, self.information + other.information, self.pull(other.pose) + other.vector)


@dataclass(frozen=True)
class PoseFit:
    """A pose and how well the points agree with it.

    :ivar pose: float64 [4, 4], camera to world.
    :ivar covariance: float64 [6, 6], of its change, camera's axes.
    :ivar inliers: bool [N], points that agree.
    :ivar weights: float64 [N], 0 to 1, of the robust kernel; 0 for outliers.
    :ivar linearised: at the pose.
    :ivar supporting: summed weight of the points that support it, trust taken in.
    :ivar support: share of the trust that inliers have, 0 to 1.
    """

    pose: Float64
    covariance: Float64
    inliers: NDArray[np.bool_]
    weights: Float64
    linearised: Linearised
    supporting: float
    support: float


def robust_weights(squared: Float64, scale: float = 1.0) -> Float64:
    """Geman and McClure's weights of squared errors, float64 [N] in 0 to 1; the kernel is wider by ``scale``."""
    return np.asarray(1 / (1 + squared / (_KERNEL * scale * scale)) ** 2)


def _without_wrong_depths(linear: Linearised, variance: Float64) -> Linearised:
    """Weigh measured depths down that do not agree, each for itself: a point may be well seen, its depth not.

    ``linear`` is changed.
    """
    own = linear.error[2] ** 2 / (1 + variance * linear.by_depth[2] ** 2)
    # The root of :func:`robust_weights`.
    factor = 1 / (1 + own / _KERNEL)
    linear.error[2] *= factor
    linear.by_pose[:, 2] *= factor
    linear.by_depth[2] *= factor
    return linear


def normal_equations(linear: Linearised, variance: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """Information float64 [6, 6] and its vector [6] of a pose's change; the points' depths are marginalised."""
    count = len(linear.by_pose)
    flat = linear.by_pose.reshape(count, -1)
    weighted = (linear.by_pose * weights).reshape(count, -1)
    along = linear.pose_along
    less = along * (weights * discount(linear, variance))
    vector = weighted @ linear.error.reshape(-1) - less @ linear.error_along
    return symmetric(weighted @ flat.T - less @ along.T), np.asarray(vector)


def fit_pose(
    points: Points,
    observations: Observations,
    start: Float64,
    trust: Float64,
    prior: Prior,
    moving: RowMotion | None = None,
    surfaces: Callable[[Float64], Prior] | None = None,
) -> PoseFit:
    """Find the pose that observations agree with best, by Gauss-Newton with Geman and McClure's weights.

    The points' depths are unknowns, too, with what is known of them as a prior: to take them as exact would make every
    shift too small (errors in variables), and a monocular trajectory would shrink step by step.

    The kernel begins as wide as the start is wrong and narrows to that of the noise (graduated non-convexity). Until
    then, the most trusted points do; two steps with all points follow, and with what else tells the pose.

    :param points: N.
    :param observations: of the same points.
    :param start: float64 [4, 4], camera to world.
    :param trust: float64 [N], 0 to 1: how far each point has been right before.
    :param prior: what is known without the points; makes the equations solvable.
    :param moving: how the camera moved while the image was read; None for a global shutter.
    :param surfaces: what they tell of a pose that is nearly right.
    """
    sights = Sights.of(points, observations)
    few = np.argsort(-trust, kind="stable")[:_ROUGH_POINTS]
    some, rough = sights[few], None if moving is None else moving[few]
    pose, _ = _iterate(some, start, some.inverse_depth, trust[few], prior, rough, _ROUGH, np.inf)
    depth = _settled(pose, sights, moving)
    if surfaces is not None:
        prior = prior.joined(surfaces(pose))
    pose, depth = _iterate(sights, pose, depth, trust, prior, moving, _FINE, 1.0)
    return _assess(sights, orthonormal(pose), depth, trust, prior, moving)


def assess(
    points: Points,
    observations: Observations,
    pose: Float64,
    trust: Float64,
    prior: Prior,
    moving: RowMotion | None = None,
) -> PoseFit:
    """Tell how well observations agree with a pose; parameters as of :func:`fit_pose`."""
    sights = Sights.of(points, observations)
    return _assess(sights, pose, _settled(pose, sights, moving), trust, prior, moving)


def _assess(
    sights: Sights,
    pose: Float64,
    depth: Float64,
    trust: Float64,
    prior: Prior,
    moving: RowMotion | None,
) -> PoseFit:
    linear = _linearise(pose, sights, depth, moving)
    squared = chi_square(linear, sights.variance)
    inliers = linear.valid & (squared < GATE)
    weights = robust_weights(squared) * inliers
    information, _ = normal_equations(linear, sights.variance, weights * trust)
    covariance = symmetric(np.asarray(np.linalg.inv(information + prior.information), np.float64))
    support = float(trust[inliers].sum() / max(trust.sum(), 1e-9))
    return PoseFit(pose, covariance, inliers, weights, linear, float((weights * trust).sum()), support)


def _iterate(
    sights: Sights,
    pose: Float64,
    depth: Float64,
    trust: Float64,
    prior: Prior,
    moving: RowMotion | None,
    effort: tuple[int, float],
    scale: float,
) -> tuple[Float64, Float64]:
    """Gauss-Newton steps; the kernel is as wide as the errors are, and at most ``scale`` times that of the noise.

    :returns: the pose and the depths that go with it.
    """
    judges = trust >= _TRUSTED * trust.max()
    for _ in range(effort[0]):
        linear = _linearise(pose, sights, depth, moving)
        squared = chi_square(linear, sights.variance)
        if scale > 1.0:
            judged = squared[judges & linear.valid]
            # 1.4: median of a chi-square of two degrees of freedom.
            usual = median(judged) / 1.4 if len(judged) else 0.0
            scale = max(1.0, min(scale / 2, 1.5 * usual**0.5))
        weights = robust_weights(squared, scale) * trust * linear.valid
        information, vector = normal_equations(linear, sights.variance, weights)
        equations = information + prior.information
        step = np.asarray(np.linalg.solve(equations, vector + prior.pull(pose)), np.float64)
        pose = moved(pose, step)
        depth = _corrected(sights, linear, step)
        if scale == 1.0 and np.abs(step).max() < effort[1]:
            break
    return pose, depth


def _linearise(pose: Float64, sights: Sights, depth: Float64, moving: RowMotion | None) -> Linearised:
    """Linearise at corrected depths; errors are those that the depths known before leave, to first order."""
    linear = linearise_sights(pose, sights, depth)
    if moving is not None:
        linear = moving.seen_by_row(linear, pose)
    if depth is not sights.inverse_depth:
        np.add(linear.error, linear.by_depth * (depth - sights.inverse_depth), out=linear.error)
    return _without_wrong_depths(linear, sights.variance)


def _settled(pose: Float64, sights: Sights, moving: RowMotion | None) -> Float64:
    """The depths that go best with a pose, float64 [N], 1 / metres."""
    linear = _linearise(pose, sights, sights.inverse_depth, moving)
    return _bounded(sights, discount(linear, sights.variance) * linear.error_along)


def _corrected(sights: Sights, linear: Linearised, step: Float64) -> Float64:
    """Depths that go with a step of the pose, float64 [N], 1 / metres."""
    left = linear.error_along - step @ linear.pose_along
    return _bounded(sights, discount(linear, sights.variance) * left)


def _bounded(sights: Sights, shift: Float64) -> Float64:
    """Shifted depths, float64 [N], 1 / metres; at least a tenth of what they were known as."""
    return np.asarray(np.maximum(sights.inverse_depth + shift, 0.1 * sights.inverse_depth))


def sample_pose(
    places: Float64, rays: Float64, focal: float, pixels: float, iterations: int = 200
) -> tuple[Float64, NDArray[np.bool_]] | None:
    """Pose by RANSAC on three points at a time, with local optimisation (PoseLib; Larsson, 2020).

    :param places: float64 [N, 3], world.
    :param rays: float64 [N, 3], z = 1.
    :param focal: pixels in the unit plane's unit.
    :param pixels: largest error of an inlier.
    :param iterations: at most.
    :returns: float64 [4, 4], camera to world, and the inliers bool [N]; None where no pose was found. The seed is
        fixed.
    """
    if len(places) < 4:
        return None
    camera = {"model": "SIMPLE_PINHOLE", "width": 0, "height": 0, "params": [focal, 0.0, 0.0]}
    options = {"max_reproj_error": pixels, "min_iterations": 20, "max_iterations": iterations, "seed": 0}
    found, report = poselib().estimate_absolute_pose(rays[:, :2] * focal, places, camera, options, {})
    inliers = np.asarray(report["inliers"], bool)
    if inliers.sum() < 4 or not np.isfinite(found.Rt).all():
        return None
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = found.R.T, -found.R.T @ found.t
    return pose, inliers
