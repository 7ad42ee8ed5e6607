"""Sliding-window bundle adjustment: the last keyframes and their landmarks, adjusted together by GTSAM.

It is for one camera alone, whose depths and scale come from many images. The first distance defines the unit.

What leaves the window is marginalised: the oldest keyframe is eliminated together with the landmarks that it saw and
that are no longer tracked, and what they told of the other keyframes stays as a Gaussian (Sibley et al., Sliding window
filter, 2010; Leutenegger et al., Keyframe-based visual-inertial odometry, 2015). Of the landmarks that are still
tracked, the oldest keyframe's observation is dropped instead, so that the Gaussian holds poses alone and stays small.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.base import Float64
from kp_ros.odometry.landmarks import Points, shared
from kp_ros.odometry.observations import Observations
from kp_ros.odometry.options import OdometryOptions
from kp_ros.odometry.projection import chi_square, linearise

LOGGER = logging.getLogger(__name__)

#: Errors of unit variance beyond it count by their size instead of its square (Huber).
_HUBER = 1.345
#: Steps of Levenberg and Marquardt's method, and the relative fall of the error that ends it.
_STEPS, _ENOUGH = 3, 1e-4
#: Standard deviation of the first keyframe's place, scene depths, and direction, radians: the world is defined by it.
_ORIGIN = 1e-5
#: Of a monocular segment's first distance, as a share of it: the unit is defined by it.
_UNIT = 1e-4
#: Standard deviation of each landmark's place around where it was begun with, scene depths: so weak that it only keeps
#: those without parallax from making the equations singular.
_ANYWHERE = 10.0
#: What leaves the window is heeded only of landmarks whose squared errors of unit variance are below this ...
_FITS = 16.0
#: ... and whose place is known to this share of their distance.
_KNOWN = 0.3
#: Keyframes before the window whose poses are held and whose observations of what is still tracked count.
_PAST = 5
#: GTSAM writes a pose's change with the rotation first.
_ORDER = [3, 4, 5, 0, 1, 2]


def gtsam() -> Any:
    """Import GTSAM; None where it is not installed."""
    try:
        import gtsam
    except ImportError:
        return None
    return gtsam


@dataclass(frozen=True)
class Keyframe:
    """An image that was kept.

    :ivar number: of the frame.
    :ivar pose: float64 [4, 4], camera to world.
    :ivar observations: of landmarks that agreed with the pose.
    :ivar step: float64 [4, 4], motion to it from the keyframe before, as the images between told it.
    :ivar covariance: float64 [6, 6], of that motion, camera's axes.
    """

    number: int
    pose: Float64
    observations: Observations
    step: Float64
    covariance: Float64


@dataclass(frozen=True)
class WindowProblem:
    """A new keyframe and what is known when it comes.

    :ivar keyframe: the new one.
    :ivar track_id: uint32 [N], increasing: the landmarks that it sees and whose depths are certain.
    :ivar places: float64 [N, 3], where they are, world.
    :ivar scene_depth: median depth of the landmarks.
    """

    keyframe: Keyframe
    track_id: NDArray[np.uint32]
    places: Float64
    scene_depth: float


@dataclass(frozen=True)
class WindowResult:
    """What the adjustment found.

    :ivar poses: number of the frame -> float64 [4, 4], camera to world, of each keyframe in the window.
    :ivar track_id: uint32 [N], increasing: the landmarks that were adjusted.
    :ivar places: float64 [N, 3], world.
    """

    poses: Mapping[int, Float64]
    track_id: NDArray[np.uint32]
    places: Float64


class Window:
    """The keyframes of one segment, adjusted whenever one is added. Not reentrant."""

    def __init__(self, options: OdometryOptions) -> None:
        self._gtsam: Any = gtsam()
        self._options = options
        self._empty()

    def _empty(self) -> None:
        self._keyframes: list[Keyframe] = []
        self._past: list[Keyframe] = []
        self._used_up = np.zeros(0, np.uint32)
        self._prior: list[Any] = []
        self._ids = np.zeros(0, np.uint32)
        self._places = np.zeros((0, 3))
        self._scene_depth = 1.0

    def add(self, problem: WindowProblem) -> WindowResult | None:
        """Add a keyframe and adjust the window; None while it holds one keyframe only.

        Equations that cannot be solved (GTSAM's RuntimeError) cost the window: it begins anew with this keyframe.
        """
        try:
            return self._adjusted(problem)
        except RuntimeError as error:
            LOGGER.warning("the window of keyframes begins anew: %s", " ".join(str(error).split())[:120])
            self._empty()
            return self._adjusted(problem)

    def _adjusted(self, problem: WindowProblem) -> WindowResult | None:
        self._keyframes.append(problem.keyframe)
        self._scene_depth = problem.scene_depth
        if len(self._keyframes) == 1:
            self._ids, self._places = problem.track_id, problem.places
            self._prior = [self._fixed(problem.keyframe)]
            return None
        if len(self._keyframes) == 2:
            self._prior.append(self._unit())
        self._learn(problem)
        rows = self._choose()
        graph, values = self._graph(rows)
        parameters = self._gtsam.LevenbergMarquardtParams()
        parameters.setMaxIterations(_STEPS)
        optimizer = self._gtsam.LevenbergMarquardtOptimizer(graph, values, parameters)
        error = optimizer.error()
        for _ in range(_STEPS):
            # Step by step, for GTSAM holds Python's lock: the images that come meanwhile wait for one step at most.
            optimizer.iterate()
            if error - optimizer.error() < _ENOUGH * error:
                break
            error = optimizer.error()
        if not np.isfinite(optimizer.error()):
            raise RuntimeError("the adjustment did not converge")
        result = self._take(optimizer.values(), rows)
        if len(self._keyframes) == self._options.window_keyframes:
            self._marginalise(optimizer.values(), rows)
        return result

    def _between(self, before: Keyframe, after: Keyframe) -> Any:
        """What the images between two keyframes told of the motion: the window sees the keyframes alone."""
        g = self._gtsam
        noise = g.noiseModel.Gaussian.Covariance(after.covariance[np.ix_(_ORDER, _ORDER)])
        keys = _pose_key(before.number), _pose_key(after.number)
        return g.BetweenFactorPose3(*keys, g.Pose3(after.step), noise)

    def _unit(self) -> Any:
        first, second = self._keyframes
        distance = float(np.linalg.norm(second.pose[:3, 3] - first.pose[:3, 3]))
        noise = self._gtsam.noiseModel.Isotropic.Sigma(1, _UNIT * distance)
        return self._gtsam.RangeFactorPose3(_pose_key(first.number), _pose_key(second.number), distance, noise)

    def _learn(self, problem: WindowProblem) -> None:
        """Take over where the new keyframe's landmarks are; the older ones stay where the last adjustment put them."""
        old = ~np.isin(self._ids, problem.track_id)
        ids = np.concatenate([self._ids[old], problem.track_id])
        order = np.argsort(ids)
        self._ids = ids[order]
        self._places = np.concatenate([self._places[old], problem.places])[order]

    def _choose(self) -> NDArray[np.int64]:
        """Rows of the landmarks that take part: each keyframe's share of those that are seen most and are near."""
        keyframes = [*self._past, *self._keyframes]
        saw = np.zeros((len(keyframes), len(self._ids)), bool)
        for keyframe, row in zip(keyframes, saw, strict=True):
            row[shared(self._ids, keyframe.observations.track_id)[0]] = True
        saw[:, np.isin(self._ids, self._used_up)] = False
        saw[:, (saw.sum(0) < 2) | ~saw[len(self._past) :].any(0)] = False
        nearness = self._scene_depth / np.maximum(
            np.linalg.norm(self._places - self._keyframes[-1].pose[:3, 3], axis=1), 1e-3 * self._scene_depth
        )
        worth = saw.sum(0) * (1 + np.minimum(nearness, 2))
        order = np.lexsort((self._ids, -worth))
        limit = self._options.window_landmarks
        quota = limit // (2 * len(self._keyframes))
        chosen = np.zeros(len(self._ids), bool)
        for row in saw[len(self._past) :]:
            candidates = order[row[order]]
            missing = max(quota - int(chosen[candidates].sum()), 0)
            chosen[candidates[~chosen[candidates]][:missing]] = True
        others = order[(worth[order] > 0) & ~chosen[order]]
        chosen[others[: limit - int(chosen.sum())]] = True
        return np.flatnonzero(chosen)

    def _graph(self, rows: NDArray[np.int64]) -> tuple[Any, Any]:
        g = self._gtsam
        graph, values = g.NonlinearFactorGraph(), g.Values()
        ids, places = self._ids[rows], self._places[rows]
        keys = [_landmark_key(number) for number in ids]
        for key, place in zip(keys, places, strict=True):
            values.insert(key, place)
        self._hold(graph, keys, places)
        for factor in self._prior:
            graph.add(factor)
        for keyframe in (*self._past, *self._keyframes):
            mine, theirs = shared(ids, keyframe.observations.track_id)
            values.insert(_pose_key(keyframe.number), g.Pose3(keyframe.pose))
            self._observe(graph, keyframe, theirs, [keys[row] for row in mine])
        for keyframe in self._past:
            graph.add(self._fixed(keyframe))
        for before, after in itertools.pairwise(self._keyframes):
            graph.add(self._between(before, after))
        return graph, values

    def _fixed(self, keyframe: Keyframe) -> Any:
        """Hold a keyframe where it is."""
        g = self._gtsam
        noise = g.noiseModel.Diagonal.Sigmas(_ORIGIN * np.array([1, 1, 1, *[self._scene_depth] * 3]))
        return g.PriorFactorPose3(_pose_key(keyframe.number), g.Pose3(keyframe.pose), noise)

    def _hold(self, graph: Any, keys: list[int], places: Float64) -> None:
        """Keep landmarks from running away along rays that hardly meet."""
        noise = self._gtsam.noiseModel.Isotropic.Sigma(3, _ANYWHERE * self._scene_depth)
        for key, place in zip(keys, places, strict=True):
            graph.add(self._gtsam.PriorFactorPoint3(key, place, noise))

    def _observe(self, graph: Any, keyframe: Keyframe, rows: NDArray[np.int64], keys: list[int]) -> None:
        """Add a keyframe's observations: rays as pixels of a camera of unit focal length."""
        g, observed = self._gtsam, keyframe.observations[rows]
        huber = g.noiseModel.mEstimator.Huber.Create(_HUBER)
        pose, plane = _pose_key(keyframe.number), g.Cal3_S2(1, 1, 0, 0, 0)
        for ray, root, key in zip(observed.rays, _square_roots(observed), keys, strict=True):
            noise = g.noiseModel.Robust.Create(huber, g.noiseModel.Gaussian.SqrtInformation(root))
            graph.add(g.GenericProjectionFactorCal3_S2(ray[:2], noise, pose, key, plane))

    def _take(self, values: Any, rows: NDArray[np.int64]) -> WindowResult:
        self._keyframes = [
            replace(keyframe, pose=values.atPose3(_pose_key(keyframe.number)).matrix()) for keyframe in self._keyframes
        ]
        ids = self._ids[rows]
        places = np.array([values.atPoint3(_landmark_key(number)) for number in ids]).reshape(-1, 3)
        self._places[rows] = places
        poses = {keyframe.number: keyframe.pose for keyframe in self._keyframes}
        return WindowResult(poses, ids, places)

    def _marginalise(self, values: Any, rows: NDArray[np.int64]) -> None:
        """Take the oldest keyframe out and keep what it told of the others."""
        g, oldest = self._gtsam, self._keyframes[0]
        ids = self._ids[rows]
        leaving = np.intersect1d(ids, oldest.observations.track_id)
        leaving = np.setdiff1d(leaving, self._keyframes[-1].observations.track_id)
        gone, leaving = leaving, leaving[self._well_placed(leaving)]
        graph = g.NonlinearFactorGraph()
        for factor in self._prior:
            graph.add(factor)
        graph.add(self._between(oldest, self._keyframes[1]))
        mine, _ = shared(self._ids, leaving)
        self._hold(graph, [_landmark_key(number) for number in leaving], self._places[mine])
        for keyframe in self._keyframes:
            mine, theirs = shared(leaving, keyframe.observations.track_id)
            self._observe(graph, keyframe, theirs, [_landmark_key(number) for number in leaving[mine]])
        order = g.Ordering()
        for number in leaving:
            order.push_back(_landmark_key(number))
        order.push_back(_pose_key(oldest.number))
        _, rest = graph.linearize(values).eliminatePartialSequential(order)
        factors = [rest.at(index) for index in range(rest.size())]
        self._prior = [g.LinearContainerFactor(factor, values) for factor in factors if factor is not None]
        tracked = np.isin(oldest.observations.track_id, self._keyframes[-1].observations.track_id)
        self._past = [*self._past, replace(oldest, observations=oldest.observations[tracked])][-_PAST:]
        del self._keyframes[0]
        # What no keyframe sees any longer need not be remembered.
        every = [keyframe.observations.track_id for keyframe in (*self._past, *self._keyframes)]
        seen = np.unique(np.concatenate(every))
        self._used_up = np.intersect1d(np.concatenate([self._used_up, gone]), seen)
        kept = np.isin(self._ids, seen)
        self._ids, self._places = self._ids[kept], self._places[kept]

    def _well_placed(self, ids: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Which landmarks fit all their observations and are known in all directions: bool [N]."""
        rows, _ = shared(self._ids, ids)
        places = self._places[rows]
        information, fits = np.zeros((len(ids), 3, 3)), np.ones(len(ids), bool)
        for keyframe in self._keyframes:
            mine, theirs = shared(ids, keyframe.observations.track_id)
            observed = keyframe.observations[theirs]
            points = Points(np.zeros((len(mine), 3)), places[mine], np.ones(len(mine)), np.zeros(len(mine)))
            linear = linearise(keyframe.pose, points, observed)
            fits[mine] &= linear.valid & (chi_square(linear, points.variance) < _FITS)
            # By the place it is as by the camera's place, the other way round.
            by_place = np.tensordot(keyframe.pose[:3, :3], linear.by_pose[:3], 1)
            information[mine] += np.einsum("ikn,jkn->nij", by_place, by_place)
        spread = 1 / np.sqrt(np.maximum(np.linalg.eigvalsh(information)[:, 0], 1e-12))
        distance = np.linalg.norm(places - self._keyframes[-1].pose[:3, 3], axis=1)
        return np.asarray(fits & (spread < _KNOWN * distance))


def _pose_key(number: int) -> int:
    """GTSAM's key of a keyframe: the letter x in the highest byte."""
    return (ord("x") << 56) | int(number)


def _landmark_key(number: int) -> int:
    """GTSAM's key of a track."""
    return (ord("l") << 56) | int(number)


def _square_roots(observed: Observations) -> Float64:
    """Upper triangular roots of the information of places on the unit plane: float64 [N, 2, 2]."""
    information = np.swapaxes(observed.whitening, 1, 2) @ observed.whitening
    return np.asarray(np.swapaxes(np.linalg.cholesky(information), 1, 2))
