"""The odometry itself: predict, fit, judge, learn, keep."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.background import BackgroundWindow
from kp_ros.odometry.base import Estimate, Float64, Health, Landmarks, Mode, OdometryFrame, State
from kp_ros.odometry.depth_filter import trust, update_depths
from kp_ros.odometry.depth_sources import depth_source
from kp_ros.odometry.frame_poses import FramePoses
from kp_ros.odometry.health import coverage, judge, nothing_seen
from kp_ros.odometry.initialisation import begin_from
from kp_ros.odometry.keyframes import wanted
from kp_ros.odometry.landmarks import Integers, LandmarkTable, Points, among, begin, shared
from kp_ros.odometry.lens import Lens
from kp_ros.odometry.median import median
from kp_ros.odometry.motion import predict
from kp_ros.odometry.noise import Noise
from kp_ros.odometry.observations import Depths, Observations, observe
from kp_ros.odometry.options import OdometryOptions
from kp_ros.odometry.pose import PoseFit, Prior, assess, fit_pose, sample_pose
from kp_ros.odometry.projection import chi_square, seen
from kp_ros.odometry.readout import Glance, Readout
from kp_ros.odometry.rigid_motion import composed_covariance, in_world_axes, inverse, step_between, velocity
from kp_ros.odometry.robust_estimation import poselib
from kp_ros.odometry.rolling_shutter import RowMotion
from kp_ros.odometry.surfaces import Surfaces
from kp_ros.odometry.triangulation import parallax
from kp_ros.odometry.uncertainty import departure, shared_errors, systematic, way
from kp_ros.odometry.window import Keyframe, WindowProblem, WindowResult, gtsam

LOGGER = logging.getLogger(__name__)

_SECOND = 1e9
#: Deviation of what is exact by definition: the first pose of a segment, scene depths and radians.
_EXACT = 1e-6
#: Deviation of a pose that is lost, scene depths and radians.
_LOST = 1.0
#: Share of the trust that the pose nearest to the prediction must have behind it; below, poses are sampled, too: with
#: less there was another pose, and a better one.
_SUPPORTED = 0.85
#: Error of an inlier of sampled poses, deviations of a keypoint.
_SAMPLE_DEVIATIONS = 4.0
#: Points that poses are sampled from, at least where there are as many.
_SAMPLED = 200
#: A landmark that was wrong so many times more often than right begins anew.
_WRONG = 3
#: Of the landmarks older than the last keyframe, one in so many begins anew in an image that measures its depth.
_RENEWED = 4
#: Share of the reference image's tracks that mono's initialisation needs; with less it takes a new reference.
_REFERENCE_LEFT = 0.4
#: Deviation of the inverse depth of a point of which nothing is known, as a share of the scene's: it may be many times
#: nearer. To expect less puts what comes near down as wrong, and with it what tells a monocular scale.
_UNKNOWN_DEPTH = 8.0
#: Deviation of an inverse depth up to which a point takes part in the window, as a share of the scene's, or of its own
#: where it is nearer.
_KNOWN_DEPTH = 0.2
#: Factor on the covariance of a pose that is weak.
_DOUBT = 10.0


@dataclass(frozen=True)
class _Last:
    """The image before, as the next one needs it.

    :ivar step: float64 [4, 4], motion to it from the one before; ``seconds`` long, 0 where there was none.
    :ivar covariance: float64 [6, 6], of its pose against the landmarks, camera's axes.
    """

    stamp_ns: int
    pose: Float64
    step: Float64
    seconds: float
    covariance: Float64
    track_id: NDArray[np.uint32]


@dataclass(frozen=True)
class _Key:
    """The last keyframe, by whose rays parallax is told.

    :ivar covariance: float64 [6, 6], of its pose since the segment's start, camera's axes.
    :ivar fit: float64 [6, 6], of its pose against the landmarks, likewise.
    """

    number: int
    track_id: NDArray[np.uint32]
    rays: Float64
    covariance: Float64
    fit: Float64


class VisualOdometry:
    """Odometry of one camera, in any mode.

    An image goes through six steps:

    1. The result of the window's adjustment is taken up where it is due.
    2. Its tracks get rays and, by the mode's means, measured depths.
    3. The last motion predicts the pose, and all landmarks correct it; where few agree, poses are sampled by RANSAC.
    4. Inliers, their spread and the pose's covariance tell how far it can be trusted. Without a pose, the segment ends.
    5. The landmarks' depths are filtered, and new tracks become landmarks.
    6. Where the view has changed enough, the image becomes a keyframe, and the window's adjustment begins (mono).

    :raises kp_ros.errors.UserError: PoseLib is not installed.
    """

    def __init__(self, mode: Mode, options: OdometryOptions) -> None:
        self._mode, self._options = mode, options
        self._measure = depth_source(mode, options)
        self._executor = ThreadPoolExecutor(1, "odometry window")
        poselib()
        wanted_window = mode is Mode.MONO and options.window_landmarks > 0
        self._windowed = wanted_window and gtsam() is not None
        if wanted_window and not self._windowed:
            LOGGER.warning(
                "GTSAM is not installed: odometry goes without its window of keyframes, which costs some accuracy; pip "
                'install "kp_ros[odometry]"'
            )
        self._lens: Lens | None = None
        self.reset()

    def reset(self) -> None:
        """See :class:`kp_ros.odometry.base.Odometry`."""
        self._number = 0
        self._segment = 0
        self._lost = False
        self._last: _Last | None = None
        self._noise = Noise()
        self._readout = Readout()
        self._measure = depth_source(self._mode, self._options)
        self._forget()

    def close(self) -> None:
        """See :class:`kp_ros.odometry.base.Odometry`."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _forget(self) -> None:
        """End the segment: its map goes, the pose stays."""
        self._table = LandmarkTable.empty()
        self._poses = FramePoses()
        self._key: _Key | None = None
        self._surfaces: Surfaces | None = None
        self._window: BackgroundWindow | None = None
        self._reference: tuple[int, Observations] | None = None
        self._way = np.zeros(2)
        self._readout = self._readout.interrupted()

    def landmarks(self) -> Landmarks:
        """See :class:`kp_ros.odometry.base.Odometry`."""
        table = self._table
        points = self._poses.points(table)
        sure = points.certain(self._options.certain)
        points = points[sure]
        deviation = np.sqrt(points.variance) / points.inverse_depth**2 * np.linalg.norm(table.ray[sure], axis=1)
        return Landmarks(table.track_id[sure], points.places(), deviation)

    def process(self, frame: OdometryFrame) -> Estimate:
        """See :class:`kp_ros.odometry.base.Odometry`."""
        self._number += 1
        if self._window is not None:
            self._take_up(self._window.take(self._number))
        if self._lens is None or self._lens.camera is not frame.camera:
            self._lens = Lens(frame.camera)
        prior = self._predict(frame)
        depths = self._measure(frame, self._expected(frame, prior))
        depths = Depths(depths.inverse, depths.deviation * self._noise.depths)
        observations = observe(frame, self._lens, depths, self._options.keypoint_pixels * self._noise.keypoints)
        if self._key is not None:
            return self._track(frame, observations, prior)
        if self._mode is Mode.MONO:
            return self._begin_with_two(frame, observations)
        return self._begin_with_one(frame, observations)

    # Step 1.

    def _take_up(self, result: WindowResult | None) -> None:
        """Move keyframes, landmarks and the last pose to where the window's adjustment has put them."""
        key, last = self._key, self._last
        if result is None or key is None or last is None:
            return
        before = self._poses[key.number]
        step = step_between(before, last.pose)
        shift, turn = way(last.pose, result.poses.get(key.number, before) @ step, self._scene_depth())
        if shift > self._options.good_shift or turn > self._options.good_turn:
            # Behind images that hardly hold together the window slides to and fro as a whole; the pose must not jump.
            self._window = BackgroundWindow(self._options, self._executor)
            return
        self._poses.correct(dict(result.poses))
        self._last = replace(last, pose=self._poses[key.number] @ step)
        mine, theirs = shared(self._table.track_id, result.track_id)
        self._table = self._poses.placed(self._table, mine, result.places[theirs])

    # Step 2.

    def _expected(self, frame: OdometryFrame, prior: Prior) -> Float64:
        """Inverse depths that the tracks' landmarks should have in this image, where they are certain; else NaN."""
        expected = np.full(len(frame.tracks), np.nan)
        order = np.argsort(frame.tracks.track_id, kind="stable")
        mine, theirs = shared(frame.tracks.track_id[order], self._table.track_id)
        points = self._poses.points(self._table[theirs])
        depth = seen(prior.pose, points)[:, 2]
        sure = points.certain(self._options.certain) & (depth > 0)
        expected[order[mine[sure]]] = points.inverse_depth[sure] / depth[sure]
        return expected

    # Step 3.

    def _scene_depth(self) -> float:
        depths = self._table.inverse_depth
        return 1 / max(median(depths), 1e-9) if len(depths) else 1.0

    def _predict(self, frame: OdometryFrame) -> Prior:
        last = self._last
        if last is None:
            return Prior(np.eye(4), np.eye(6))
        seconds = max(frame.stamp_ns - last.stamp_ns, 1) / _SECOND
        ratio = seconds / last.seconds if last.seconds > 0 else 0.0
        return predict(last.pose, last.step, ratio, seconds, frame.angular_velocity, self._scene_depth())

    def _fit(
        self,
        points: Points,
        observations: Observations,
        prior: Prior,
        weight: Float64,
        moving: RowMotion | None,
        surfaces: Callable[[Float64], Prior] | None,
    ) -> PoseFit:
        """Fit from the prediction; where it finds little support, from a sampled pose too."""
        options = self._options
        fit = fit_pose(points, observations, prior.pose, weight, prior, moving, surfaces)
        sure = np.flatnonzero(points.certain(options.certain))
        if fit.support >= _SUPPORTED or self._lens is None:
            return fit
        # The established first: what is new may move by itself.
        established = sure[weight[sure] >= median(weight[sure])] if len(sure) else sure
        limit = _SAMPLE_DEVIATIONS * options.keypoint_pixels
        # As many as find a pose, from all over the image: tracks are in the order of their age.
        established = established[:: max(1, len(established) // _SAMPLED)]
        places = points[established].places()
        found = sample_pose(places, observations.rays[established], self._lens.camera.focal, limit)
        if found is None:
            return fit
        shift, turn = way(fit.pose, found[0], self._scene_depth())
        if shift < options.good_shift and turn < options.good_turn:
            # It is the same pose: from here the fit would come to where it is.
            return fit
        if assess(points, observations, found[0], weight, prior, moving).supporting <= fit.supporting:
            return fit
        other = fit_pose(points, observations, found[0], weight, prior, moving, surfaces)
        return other if other.supporting > fit.supporting else fit

    def _told_by_surfaces(self, frame: OdometryFrame, seconds: float) -> Callable[[Float64], Prior] | None:
        """What the last keyframe's surfaces tell of a pose of this image; None where there are none."""
        surfaces, depth, last = self._surfaces, frame.depth, self._last
        if surfaces is None or depth is None or last is None:
            return None

        def told(pose: Float64) -> Prior:
            speed = velocity(last.pose, pose, seconds)
            return surfaces.pull(depth, frame.camera, pose, speed, self._options, self._noise.depths)

        return told

    def _laid_out(self, frame: OdometryFrame, pose: Float64, speed: Float64 | None) -> Surfaces | None:
        """The surfaces of a keyframe and its velocity, camera's axes."""
        if frame.depth is None or self._lens is None or self._options.surface_points == 0:
            return None
        return Surfaces.of(frame.depth, self._lens, pose, speed, self._options)

    def _track(self, frame: OdometryFrame, observations: Observations, prior: Prior) -> Estimate:
        last, key, lens = self._last, self._key, self._lens
        assert last is not None and key is not None and lens is not None
        survival = _survival(last.track_id, observations.track_id)
        mine, theirs = shared(observations.track_id, self._table.track_id)
        table, known = self._table[theirs], observations[mine]
        points, scene_depth = self._poses.points(table), self._scene_depth()
        if len(mine) < self._options.fewest_inliers:
            return self._lose(frame, nothing_seen(f"{len(mine)} tracks are left of those that had a place", survival))
        seconds = max(frame.stamp_ns - last.stamp_ns, 1) / _SECOND
        moving = None
        if last.seconds > 0:
            moving = self._readout.of_rows(observations.rows, last.pose, seconds)
        trusted = trust(table)
        rows = None if moving is None else moving[mine]
        fit = self._fit(points, known, prior, trusted, rows, self._told_by_surfaces(frame, seconds))
        misfit = departure(chi_square(fit.linearised, points.variance), trusted)
        own = shared_errors(fit.covariance, int(fit.inliers.sum())) * misfit
        bent = known
        if moving is not None:
            observations = moving.straightened(observations, fit.pose, _nearness(observations, mine, points, fit.pose))
            known = observations[mine]
        health = self._health(frame, known, fit, survival)
        state, reason = judge(health, own, scene_depth, self._options)
        health = replace(health, reason=reason)
        if state is State.LOST:
            return self._lose(frame, health)
        self._noise = self._noise.learnt(fit, points.variance)
        self._readout = self._readout.learnt(Glance.of(bent, points, fit, last.pose, seconds))
        self._table = update_depths(table, fit)
        step = way(last.pose, fit.pose, scene_depth)
        self._way += step
        own = own * (_DOUBT if state is State.WEAK else 1.0)
        covariance = composed_covariance(key.covariance, step_between(self._poses[key.number], fit.pose), own)
        speed = velocity(last.pose, fit.pose, seconds)
        if self._surfaces is not None:
            self._surfaces = self._surfaces.moving(speed)
        self._last = _Last(
            frame.stamp_ns,
            fit.pose,
            step_between(last.pose, fit.pose),
            seconds,
            own,
            observations.track_id,
        )
        agree = known[fit.inliers]
        left = len(shared(key.track_id, agree.track_id)[0]) / max(len(key.track_id), 1)
        becomes = wanted(self._number - key.number, left, health.parallax, self._options)
        keyframe = self._number if becomes else key.number
        self._poses.add(self._number, fit.pose, keyframe)
        wrong = known.track_id[~fit.inliers]
        self._grow(observations, self._outdated(agree, keyframe) if state is State.GOOD else None)
        if becomes:
            self._keep(fit, observations[~np.isin(observations.track_id, wrong)], covariance)
            self._surfaces = self._laid_out(frame, fit.pose, speed)
        self._poses.keep(np.unique(np.append(self._table.anchor, self._kept())))
        return Estimate(
            frame.stamp_ns,
            state,
            self._segment,
            fit.pose,
            in_world_axes(covariance, fit.pose) + systematic(self._way, scene_depth),
            speed,
            (own + last.covariance + systematic(step, scene_depth)) / seconds**2,
            becomes,
            health,
        )

    # Step 4.

    def _health(self, frame: OdometryFrame, known: Observations, fit: PoseFit, survival: float) -> Health:
        assert self._key is not None
        agree = known[fit.inliers]
        places = frame.tracks.keypoints[among(frame.tracks.track_id, agree.track_id)]
        mine, theirs = shared(agree.track_id, self._key.track_id)
        angle = 0.0
        if len(mine):
            turn = step_between(self._poses[self._key.number], fit.pose)[:3, :3]
            angle = median(parallax(self._key.rays[theirs], agree.rays[mine], turn))
        height, width = frame.image.shape
        inliers = int(fit.inliers.sum())
        covered = coverage(places, width, height)
        return Health(inliers, inliers / max(len(fit.inliers), 1), survival, covered, angle)

    def _lose(self, frame: OdometryFrame, health: Health) -> Estimate:
        """Say that there is no pose, and end the segment."""
        self._lost = True
        pose = np.eye(4) if self._last is None else self._last.pose
        scene_depth = self._scene_depth()
        spread = np.diag([(_LOST * scene_depth) ** 2] * 3 + [_LOST**2] * 3)
        self._forget()
        self._last = _Last(frame.stamp_ns, pose, np.eye(4), 0.0, spread, frame.tracks.track_id)
        return Estimate(frame.stamp_ns, State.LOST, self._segment, pose, spread, np.zeros(6), spread, False, health)

    def _waiting(self, frame: OdometryFrame, reason: str) -> Estimate:
        """Say that a segment has not begun yet."""
        pose = np.eye(4) if self._last is None else self._last.pose
        survival = _survival(self._last.track_id, frame.tracks.track_id) if self._last is not None else 0.0
        spread = np.diag([_LOST**2] * 6)
        self._last = _Last(frame.stamp_ns, pose, np.eye(4), 0.0, spread, frame.tracks.track_id)
        few = len(frame.tracks) < self._options.start_points
        state = State.LOST if self._lost and few else State.INITIALISING
        health = nothing_seen(reason, survival)
        return Estimate(frame.stamp_ns, state, self._segment, pose, spread, np.zeros(6), spread, False, health)

    # Step 5.

    def _grow(self, observations: Observations, outdated: NDArray[np.bool_] | None = None) -> None:
        """Make landmarks of new tracks, and anew of those that were wrong too often or are outdated, bool [N]."""
        table = self._table
        wrong = table.disagreed - table.agreed >= _WRONG
        ended = wrong if outdated is None else wrong | outdated
        kept = table[~ended]
        mine, _ = shared(observations.track_id, kept.track_id)
        fresh = np.ones(len(observations), bool)
        fresh[mine] = False
        new = self._begun(observations[fresh], 1 / self._scene_depth())
        again, before = shared(new.track_id, table.track_id[ended])
        new.disagreed[again] = table.disagreed[ended][before]
        new.agreed[again] = np.where(wrong, 0, table.agreed)[ended][before]
        self._table = kept.joined(new)

    def _outdated(self, agree: Observations, keyframe: int) -> NDArray[np.bool_]:
        """Tell which landmarks should begin anew, for they are old and this image measures their depth: bool [N].

        A landmark's ray is held exact, and its depth is filtered as if its errors had nothing to do with those of the
        poses; the farther the view has moved on, the less this holds, and it bends the way. What is measured anew costs
        nothing. One in a few goes at a time: the others carry the pose over. Where nothing moves there is no keyframe,
        the landmarks stay, and nothing drifts.

        :param agree: what agrees with the image's pose: what is wrong here must not define where it is.
        :param keyframe: number of the last one.
        """
        table = self._table
        measured = agree.track_id[np.isfinite(agree.depths.inverse)]
        turn = (table.track_id + np.uint32(self._number)) % _RENEWED == 0
        return np.asarray((table.anchor <= keyframe) & turn & among(table.track_id, measured))

    def _begun(self, observations: Observations, usual: float) -> LandmarkTable:
        """Landmarks of the tracks of this image; where no depth was measured, it is anything around the usual."""
        measured = np.isfinite(observations.depths.inverse)
        depth = np.where(measured, observations.depths.inverse, usual)
        deviation = np.where(measured, observations.depths.deviation, _UNKNOWN_DEPTH * usual)
        return begin(observations.track_id, self._number, observations.rays, depth, deviation)

    # Step 6.

    def _kept(self) -> list[int]:
        return [] if self._key is None else self._poses.last_keyframes(self._options.window_keyframes)

    def _keep(self, fit: PoseFit, observations: Observations, covariance: Float64) -> None:
        """Make the image a keyframe, by what it sees of landmarks, new ones too."""
        assert self._key is not None
        step = step_between(self._poses[self._key.number], fit.pose)
        spread = composed_covariance(self._key.fit, step, fit.covariance)
        self._key = _Key(self._number, observations.track_id, observations.rays, covariance, fit.covariance)
        if self._window is not None:
            self._window.add(self._problem(Keyframe(self._number, fit.pose, observations, step, spread)))

    def _problem(self, keyframe: Keyframe) -> WindowProblem:
        table = self._table[np.isin(self._table.track_id, keyframe.observations.track_id)]
        points = self._poses.points(table)
        # To ask for a large inverse depth would take those that noise has made too large.
        nearness = np.maximum(points.inverse_depth, 1 / self._scene_depth())
        sure = points.certain(1.0) & (points.variance < (_KNOWN_DEPTH * nearness) ** 2)
        places = points[sure].places()
        return WindowProblem(keyframe, table.track_id[sure], places, self._scene_depth())

    def _begin_segment(self) -> None:
        if self._lost:
            self._segment += 1
        self._lost = False
        self._window = BackgroundWindow(self._options, self._executor) if self._windowed else None

    def _exact(self) -> Float64:
        return np.diag([(_EXACT * self._scene_depth()) ** 2] * 3 + [_EXACT**2] * 3)

    def _begin_with_one(self, frame: OdometryFrame, observations: Observations) -> Estimate:
        """Begin a segment with an image whose depths are known."""
        options = self._options
        measured = observations[np.isfinite(observations.depths.inverse)]
        sure = measured.depths.inverse > options.certain * measured.depths.deviation
        if sure.sum() < options.start_points:
            return self._waiting(frame, f"{int(sure.sum())} points with a depth, {options.start_points} are needed")
        assert self._lens is not None
        pose = np.eye(4) if self._last is None else self._last.pose
        self._begin_segment()
        self._poses.add(self._number, pose, self._number)
        self._surfaces = self._laid_out(frame, pose, None)
        self._table = self._begun(observations, float(np.median(measured.depths.inverse)))
        covariance = self._exact()
        self._key = _Key(self._number, observations.track_id, observations.rays, covariance, covariance)
        survival = _survival(self._last.track_id, observations.track_id) if self._last is not None else 0.0
        self._last = _Last(frame.stamp_ns, pose, np.eye(4), 0.0, covariance, observations.track_id)
        height, width = frame.image.shape
        count = int(sure.sum())
        places = frame.tracks.keypoints[np.isin(frame.tracks.track_id, measured.track_id[sure])]
        health = Health(count, 1.0, survival, coverage(places, width, height), 0.0)
        world = in_world_axes(covariance, pose)
        still = np.eye(6)
        return Estimate(frame.stamp_ns, State.GOOD, self._segment, pose, world, np.zeros(6), still, True, health)

    def _begin_with_two(self, frame: OdometryFrame, observations: Observations) -> Estimate:
        """Begin a monocular segment where this image and an earlier one tell depths by parallax."""
        options, lens = self._options, self._lens
        assert lens is not None
        if len(observations) < options.start_points:
            self._reference = None
            return self._waiting(frame, f"{len(observations)} points, {options.start_points} are needed")
        if self._reference is None:
            self._reference = self._number, observations
            return self._waiting(frame, "waits for parallax")
        number, first = self._reference
        mine, theirs = shared(observations.track_id, first.track_id)
        if len(mine) < max(options.start_points, _REFERENCE_LEFT * len(first)):
            self._reference = self._number, observations
            return self._waiting(frame, "waits for parallax; the view changed too fast")
        second, first = observations[mine], first[theirs]
        two = begin_from(first, second, lens.camera.focal, options.keypoint_pixels)
        if two is None or two.parallax < options.start_parallax or len(two.rows) < options.start_points:
            return self._waiting(frame, "waits for parallax")
        if np.median(two.inverse_depth / np.sqrt(two.variance)) < options.start_certainty:
            return self._waiting(frame, "waits for parallax")
        if two.direction > options.start_direction:
            return self._waiting(frame, "waits for parallax: which way the camera moves is not plain")
        pose = np.eye(4) if self._last is None else self._last.pose
        before = pose @ inverse(two.pose)
        self._begin_segment()
        self._poses.add(number, before, number)
        self._poses.add(self._number, pose, self._number)
        first, second = first[two.rows], second[two.rows]
        deviation = np.sqrt(two.variance)
        self._table = replace(
            begin(first.track_id, number, first.rays, two.inverse_depth, deviation), agreed=np.full(len(first), 2)
        )
        exact = self._exact()
        self._key = _Key(number, first.track_id, first.rays, exact, exact)
        if self._window is not None:
            self._window.begin(self._problem(Keyframe(number, before, first, np.eye(4), exact)))
        points = self._poses.points(self._table)
        weak = Prior(pose, np.eye(6) * 1e-6)
        fit = assess(points, second, pose, np.ones(len(points)), weak)
        health = self._pair_health(frame, second, two.parallax)
        self._last = _Last(frame.stamp_ns, pose, np.eye(4), 0.0, fit.covariance, observations.track_id)
        self._grow(observations)
        self._keep(fit, second, fit.covariance)
        return Estimate(
            frame.stamp_ns,
            State.GOOD,
            self._segment,
            pose,
            in_world_axes(fit.covariance, pose),
            np.zeros(6),
            np.eye(6),
            True,
            health,
        )

    def _pair_health(self, frame: OdometryFrame, second: Observations, angle: float) -> Health:
        places = frame.tracks.keypoints[np.isin(frame.tracks.track_id, second.track_id)]
        height, width = frame.image.shape
        survival = 0.0 if self._last is None else _survival(self._last.track_id, frame.tracks.track_id)
        return Health(len(second), 1.0, survival, coverage(places, width, height), angle)


def _nearness(observations: Observations, known: Integers, points: Points, pose: Float64) -> Float64:
    """Inverse depths of what an image shows: the landmarks', else what was measured, else the usual: float64 [N].

    :param known: int64 [M], rows of the observations that have a landmark.
    :param points: M, these landmarks.
    """
    measured = observations.depths.inverse
    away = seen(pose, points)[:, 2]
    nearness = np.where(np.isfinite(measured), measured, median(points.inverse_depth))
    nearness[known[away > 0]] = (points.inverse_depth / np.where(away > 0, away, 1.0))[away > 0]
    return np.asarray(nearness)


def _survival(before: NDArray[np.uint32], now: NDArray[np.uint32]) -> float:
    """Share of the tracks before that are still there, 0 to 1."""
    return float(among(before, np.sort(now)).mean()) if len(before) else 0.0
