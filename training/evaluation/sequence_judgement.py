"""One subject on one sequence: tracks, visual odometry, relative poses, repeatability, matching score."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Sequences
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32
from training.data.sequence import Sequence
from training.evaluation.linking import Linker, Links
from training.evaluation.relative_pose import (
    FEWEST_MATCHES,
    EstimatorOptions,
    Rays,
    RelativePose,
    epipolar_error,
    estimate_relative_pose,
    pose_error,
)
from training.evaluation.repeatability import repeated_keypoints, rightly_matched
from training.evaluation.reprojection import DepthReprojection
from training.evaluation.tracks import TrackBook
from training.evaluation.trajectory import chain, trajectory_error

#: A camera that moved less than this has no direction of motion, metres.
STILL = 0.02
#: A match is right, without depth, where its squared symmetric epipolar distance is below this (SuperGlue).
RIGHT_EPIPOLAR = 5e-4


@dataclass(frozen=True)
class SequenceOptions:
    """How sequences are judged.

    :ivar gaps: distances of the frames of a pair, frames.
    :ivar stride: a pair begins at every ``stride``-th frame.
    :ivar seeds: runs of the estimator, each on matches in another order.
    :ivar estimator: of the essential matrix.
    """

    gaps: tuple[int, ...] = (1, 5, 15)
    stride: int = 5
    seeds: int = 3
    estimator: EstimatorOptions = field(default_factory=EstimatorOptions)


@dataclass(frozen=True)
class SequenceRun:
    """What one run (one seed) gave.

    :ivar lengths: number of tracks of each length, index 0 is length 0.
    :ivar verified: likewise by verified length; empty without depth.
    :ivar inliers: mean inliers of the frame-to-frame essential matrices.
    :ivar lost: frames to which no motion was found.
    :ivar ate: see :class:`training.evaluation.trajectory.TrajectoryError`; likewise the next three.
    :ivar pose_errors: gap -> error of each pair, degrees.
    """

    lengths: list[int]
    verified: list[int]
    inliers: float
    lost: int
    ate: float
    rpe_translation: float
    rpe_rotation: float
    positions: list[list[float]]
    pose_errors: dict[int, list[float]]

    @property
    def aktl(self) -> float:
        """Mean track length, frames; NaN without tracks."""
        return mean_length(self.lengths)

    @property
    def vtl(self) -> float:
        """Mean verified track length, frames; NaN without depth."""
        return mean_length(self.verified)


@dataclass(frozen=True)
class SequenceResult:
    """What all runs gave, and what needs no estimator.

    :ivar frames: number of frames.
    :ivar keypoints: mean number a frame.
    :ivar pairs: gap -> first frame of each pair.
    :ivar repeatability: gap -> mean over the pairs, percent; empty without registered depth.
    :ivar matching_score: gap -> mean over the pairs, percent.
    :ivar matched_by: ``depth``, or ``epipolar`` where there is none: that one is more lenient.
    :ivar truth: true positions, metres.
    :ivar runs: one a seed.
    """

    frames: int
    keypoints: float
    pairs: dict[int, list[int]]
    repeatability: dict[int, float]
    matching_score: dict[int, float]
    matched_by: str
    truth: list[list[float]]
    runs: list[SequenceRun]

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> SequenceResult:
        """Undo :meth:`to_json`, after which the gaps have become text."""
        by_gap = {name: _whole(value[name]) for name in ("pairs", "repeatability", "matching_score")}
        runs = [SequenceRun(**{**run, "pose_errors": _whole(run["pose_errors"])}) for run in value["runs"]]
        return SequenceResult(**{**value, **by_gap, "runs": runs})


def _whole(by_text: dict[Any, Any]) -> dict[int, Any]:
    return {int(key): value for key, value in by_text.items()}


def mean_length(histogram: Sequences[int]) -> float:
    """Mean of what a histogram counts; NaN where it counts nothing."""
    counts = np.asarray(histogram, np.float64)
    return float(counts @ np.arange(len(counts)) / counts.sum()) if counts.sum() else float("nan")


def judge_sequence(
    sequence: Sequence, linker: Linker, options: SequenceOptions, tick: Callable[[], None]
) -> SequenceResult:
    """Judge one subject on one sequence.

    :param sequence: with cameras and a pose for every frame.
    :param tick: called once a frame and run.
    """
    judgement = _Judgement(sequence, linker, options, tick)
    runs, keypoints = [], 0.0
    for seed in range(options.seeds):
        run, keypoints = judgement.run(seed)
        runs.append(run)
    repeated, matched = judgement.keypoint_scores()
    return SequenceResult(
        frames=len(sequence),
        keypoints=keypoints,
        pairs=judgement.pairs,
        repeatability=repeated,
        matching_score=matched,
        matched_by="epipolar" if judgement.geometry is None else "depth",
        truth=judgement.poses[:, :3, 3].tolist(),
        runs=runs,
    )


class _Judgement:
    def __init__(self, sequence: Sequence, linker: Linker, options: SequenceOptions, tick: Callable[[], None]) -> None:
        if sequence.cameras is None or sequence.poses is None:
            raise ValueError(f"{sequence.name} lacks cameras or poses")
        self.linker, self.options, self.tick = linker, options, tick
        self.cameras, self.poses = sequence.cameras, sequence.poses
        self.frames = len(sequence)
        judged_by_depth = sequence.has_depth and sequence.depth_registered
        self.geometry = DepthReprojection(sequence) if judged_by_depth else None
        self.pairs = {gap: list(range(0, self.frames - gap, options.stride)) for gap in options.gaps}

    def run(self, seed: int) -> tuple[SequenceRun, float]:
        """One run, and the mean number of keypoints."""
        book, counts, inliers, steps, lost = self._follow(seed)
        lengths, verified = book.lengths()
        errors = trajectory_error(chain(steps), self.poses)
        pose_errors = {
            gap: [self._pair_error(start, start + gap, seed) for start in starts] for gap, starts in self.pairs.items()
        }
        run = SequenceRun(
            lengths=np.bincount(lengths).tolist(),
            verified=[] if self.geometry is None else np.bincount(verified).tolist(),
            inliers=float(np.mean(inliers)) if inliers else 0.0,
            lost=lost,
            ate=errors.ate,
            rpe_translation=errors.rpe_translation,
            rpe_rotation=errors.rpe_rotation,
            positions=errors.aligned.tolist(),
            pose_errors=pose_errors,
        )
        return run, float(np.mean(counts))

    def _follow(self, seed: int) -> tuple[TrackBook, list[int], list[int], list[NDArray[np.float64]], int]:
        """Go through the frames: tracks, keypoints a frame, inliers and motion of each step, steps without one."""
        keypoints = self.linker.begin()
        book = TrackBook(keypoints, self.geometry)
        counts, inliers, steps, lost = [len(keypoints)], [], [], 0
        for frame in range(1, self.frames):
            links = self.linker.link(frame)
            estimate = self._estimate(frame - 1, frame, links, seed)
            kept = np.zeros(len(links.sources), np.bool_) if estimate is None else estimate.inliers
            keypoints, targets = self.linker.advance(frame, links, kept)
            book.step(frame, links.sources[kept], keypoints, targets)
            counts.append(len(keypoints))
            inliers.append(int(kept.sum()))
            length = float(np.linalg.norm(self._truth(frame - 1, frame)[:3, 3]))
            steps.append(np.eye(4) if estimate is None else estimate.matrix(length))
            lost += estimate is None
            self.tick()
        return book, counts, inliers, steps, lost

    def keypoint_scores(self) -> tuple[dict[int, float], dict[int, float]]:
        """Repeatability and matching score of each gap, mean over the pairs, percent."""
        repeated: dict[int, float] = {}
        matched: dict[int, float] = {}
        for gap, starts in self.pairs.items():
            scores = [self._keypoint_score(i, i + gap) for i in starts]
            again = [score[0] for score in scores if score[0] is not None]
            right = [score[1] for score in scores if score[1] is not None]
            if again:
                repeated[gap] = float(np.mean(again))
            if right:
                matched[gap] = float(np.mean(right))
        return repeated, matched

    def _keypoint_score(self, first: int, second: int) -> tuple[float | None, float | None]:
        keypoints, links = self.linker.pair(first, second)
        if len(keypoints) == 0:
            return None, None
        if self.geometry is None:
            one, two, _ = self._rays(first, second, links)
            right = epipolar_error(one, two, self._truth(first, second)) < RIGHT_EPIPOLAR
            return None, float(100 * right.sum() / len(keypoints))
        places, visible = self.geometry.project(self.geometry.lift(first, keypoints), second)
        others = self.linker.pair(second, second)[0]
        repeated = repeated_keypoints(places, visible, others)
        matched = rightly_matched(places, visible, links.sources, links.second)
        return repeated.percent, matched.percent

    def _pair_error(self, first: int, second: int, seed: int) -> float:
        _, links = self.linker.pair(first, second)
        estimate = self._estimate(first, second, links, seed)
        return pose_error(estimate, self._truth(first, second), STILL)

    def _estimate(self, first: int, second: int, links: Links, seed: int) -> RelativePose | None:
        one, two, valid = self._rays(first, second, links)
        if len(one) < FEWEST_MATCHES:
            return None
        focals = (self._focal(first), self._focal(second))
        estimate = estimate_relative_pose(self.options.estimator, one, two, focals, seed)
        if estimate is None:
            return None
        inliers = np.zeros(len(links.sources), np.bool_)
        inliers[valid] = estimate.inliers
        return RelativePose(estimate.rotation, estimate.translation, inliers)

    def _rays(self, first: int, second: int, links: Links) -> tuple[Rays, Rays, NDArray[np.bool_]]:
        """Matched points on the unit plane, of those matches whose both ends the lens model can undistort."""
        one, two = self._plane(first, links.first), self._plane(second, links.second)
        valid = np.asarray(np.isfinite(one).all(1) & np.isfinite(two).all(1), np.bool_)
        return one[valid], two[valid], valid

    def _plane(self, frame: int, keypoints: Float32) -> Rays:
        return self.cameras[frame].rays(keypoints)[:, :2].astype(np.float64)

    def _focal(self, frame: int) -> float:
        matrix = self.cameras[frame].matrix
        return float(matrix[0, 0] + matrix[1, 1]) / 2

    def _truth(self, first: int, second: int) -> NDArray[np.float64]:
        return np.asarray(np.linalg.inv(self.poses[second]) @ self.poses[first], np.float64)
