"""How long a camera takes to read an image: no topic tells it, so it is learnt from the errors that it leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Points, shared
from kp_ros.odometry.median import median
from kp_ros.odometry.observations import Depths, Observations
from kp_ros.odometry.pose import PoseFit, normal_equations, robust_weights
from kp_ros.odometry.projection import MEDIAN_CHI_SQUARE, Linearised, chi_square, linearise, seen
from kp_ros.odometry.rigid_motion import velocity
from kp_ros.odometry.rolling_shutter import RowMotion, image_motion

#: Standard deviation of what is expected before anything is learnt, seconds.
_EXPECTED = 0.01
#: An image teaches as much as so many points with errors of their own: others' are like their neighbours' and those of
#: the image before.
_INDEPENDENT = 20
#: One in so many points is looked at, by its id: they are the same in all images. Fewer than the others teach nothing.
_EVERY, _FEWEST = 3, 20
#: What keeps the equations of motions without parallax solvable, as a share of their sum.
_REGULAR = 1e-9


@dataclass(frozen=True)
class Glance:
    """An image as the readout is learnt from it.

    :ivar observations: of N points that agreed with the pose, where they were seen: rows are not yet allowed for.
    :ivar inverse_depth: float64 [N], 1 / metres along z, in this image.
    :ivar variance: float64 [N], of it.
    :ivar pose: float64 [4, 4], camera to world.
    :ivar last: float64 [4, 4], of the image before.
    :ivar seconds: since then.
    """

    observations: Observations
    inverse_depth: Float64
    variance: Float64
    pose: Float64
    last: Float64
    seconds: float

    @staticmethod
    def of(observations: Observations, points: Points, fit: PoseFit, last: Float64, seconds: float) -> Glance:
        """Keep what an image's fit knows of some of its inliers.

        :param observations: of the points, rows not yet allowed for.
        :param points: that the pose was fitted to.
        """
        away = seen(fit.pose, points)[:, 2]
        chosen = np.flatnonzero(fit.inliers & (away > 0) & (observations.track_id % _EVERY == 0))
        away = away[chosen]
        return Glance(
            observations[chosen],
            points.inverse_depth[chosen] / away,
            points.variance[chosen] / away**2,
            fit.pose,
            last,
            seconds,
        )

    def speed(self) -> Float64:
        """Mean velocity since the image before: float64 [6], metres and radians a second, camera's axes."""
        return velocity(self.last, self.pose, self.seconds)


@dataclass(frozen=True)
class Readout:
    """Time from the reading of an image's first row to that of its last.

    :ivar seconds: 0 for a global shutter; negative where a camera hangs upside down and turns its images.
    :ivar variance: of it.
    :ivar glances: the last two images.
    """

    seconds: float = 0.0
    variance: float = _EXPECTED**2
    glances: tuple[Glance, ...] = ()

    def interrupted(self) -> Readout:
        """What is known, and no image: the next one does not follow the last."""
        return replace(self, glances=())

    def of_rows(self, rows: Float64, last: Float64, seconds: float) -> RowMotion:
        """How the camera moved while points' rows were read.

        :param rows: float64 [N], from the middle one, as shares of the image's height.
        :param last: float64 [4, 4], pose of the image before, ``seconds`` ago.
        """
        return RowMotion(self.seconds * rows, self.variance**0.5 * np.abs(rows), last, seconds)

    def learnt(self, newest: Glance) -> Readout:
        """Take in what an image tells.

        Its velocity is known only now that the next image has come, so it is the last but one that is learnt from:
        where points are seen in it, by where they were seen in the image before. Both images are bent by their rows.
        Beside the motion and the depths, the readout is one more unknown of the same equations.
        """
        waiting = replace(self, glances=(*self.glances, newest)[-2:])
        if len(self.glances) < 2:
            return waiting
        first, second = self.glances
        mine, theirs = shared(first.observations.track_id, second.observations.track_id)
        if len(mine) < _FEWEST:
            return waiting
        before, after = _Bent.of(first, mine, second), _Bent.of(second, theirs, newest)
        variance = first.variance[mine]
        linear = _with_readout(before, after, second, variance)
        linear = replace(linear, error=linear.error - self.seconds * linear.by_pose[6])
        squared = chi_square(linear, variance)
        noise = max(1.0, median(squared) / MEDIAN_CHI_SQUARE)
        weights = robust_weights(squared, noise**0.5) * linear.valid
        share = min(1.0, _INDEPENDENT / len(weights)) / noise
        information, vector = normal_equations(linear, variance, weights * share)
        motion = information[:6, :6] + _REGULAR * np.trace(information[:6, :6]) * np.eye(6)
        by_motion = np.linalg.solve(motion, information[:6, 6])
        told = max(float(information[6, 6] - information[6, :6] @ by_motion), 0.0)
        spread = 1 / (1 / self.variance + told)
        seconds = self.seconds + spread * float(vector[6] - vector[:6] @ by_motion)
        # No camera reads one image while it reads the next.
        return replace(waiting, seconds=float(np.clip(seconds, -second.seconds, second.seconds)), variance=spread)


@dataclass(frozen=True)
class _Bent:
    """Points of an image and how a readout of one second would move them: float64 [2, N], unit plane."""

    observations: Observations
    inverse_depth: Float64
    bend: Float64

    @staticmethod
    def of(glance: Glance, rows: NDArray[np.int64], following: Glance) -> _Bent:
        observations, inverse_depth = glance.observations[rows], glance.inverse_depth[rows]
        speed = (glance.speed() + following.speed()) / 2
        bend = observations.rows * image_motion(observations.rays, inverse_depth, speed)
        return _Bent(observations, inverse_depth, bend)


def _with_readout(before: _Bent, after: _Bent, second: Glance, variance: Float64) -> Linearised:
    """Errors of the second image's points as the first one's predict them; by_pose [7, 3, N], the last by seconds."""
    count = len(variance)
    origin = np.broadcast_to(second.last[:3, 3], (count, 3))
    points = Points(origin, before.observations.rays @ second.last[:3, :3].T, before.inverse_depth, variance)
    linear = linearise(second.pose, points, replace(after.observations, depths=Depths.unknown(count)))
    by_readout = np.zeros((1, 3, count))
    by_readout[0, :2] = np.einsum("nij,jn->in", after.observations.whitening, after.bend - before.bend) * linear.valid
    return replace(linear, by_pose=np.concatenate([linear.by_pose, by_readout]))
