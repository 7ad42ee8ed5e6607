"""From results to the numbers of the tables: means over sequences, and their spread over the runs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Sequences
from dataclasses import dataclass

import numpy as np

from training.evaluation.pair_judgement import PairSetResult
from training.evaluation.pair_sets import PairSet
from training.evaluation.recall import area_under_curve
from training.evaluation.running import Results
from training.evaluation.sequence_judgement import SequenceResult, SequenceRun

#: Thresholds of the poses' AUC, degrees.
POSE_AUC = (5.0, 10.0, 20.0)
#: A track of this many verified frames is one that a map can be built on.
LONG = 10


@dataclass(frozen=True)
class Value:
    """One number of a table.

    :ivar mean: over the runs.
    :ivar spread: standard deviation over the runs; None where nothing is random.
    """

    mean: float
    spread: float | None = None


@dataclass(frozen=True)
class Metric:
    """A column.

    :ivar key: as JSON names it.
    :ivar label: as the tables name it.
    :ivar unit: of the number.
    :ivar digits: after the point.
    :ivar higher: whether more is better; None where neither is.
    :ivar meaning: one sentence for the reader.
    """

    key: str
    label: str
    unit: str
    digits: int
    higher: bool | None
    meaning: str


@dataclass(frozen=True)
class SequenceMetric(Metric):
    """A column about sequences.

    :ivar of_run: gives it from one run; None where nothing is random.
    :ivar of_result: gives it where nothing is random.
    """

    of_run: Callable[[SequenceRun], float] | None = None
    of_result: Callable[[SequenceResult], float] | None = None

    def value(self, results: Sequences[SequenceResult]) -> Value | None:
        """Mean over the sequences that have it; None where none has."""
        if self.of_run is None:
            assert self.of_result is not None
            numbers = [number for result in results if np.isfinite(number := self.of_result(result))]
            return Value(float(np.mean(numbers))) if numbers else None
        runs = []
        for run in zip(*(result.runs for result in results), strict=True):
            numbers = [number for one in run if np.isfinite(number := self.of_run(one))]
            if numbers:
                runs.append(float(np.mean(numbers)))
        return over_runs(runs) if runs else None


def over_runs(values: Sequences[float]) -> Value:
    """Mean and standard deviation of a number's runs."""
    return Value(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


def sequence_metrics(gaps: Sequences[int]) -> list[SequenceMetric]:
    """The columns about sequences, in their order."""
    metrics = [
        SequenceMetric(
            "aktl",
            "Track length",
            "frames",
            2,
            True,
            "How many frames a keypoint is followed, on average (aktl); a step counts if it fits the camera's motion.",
            of_run=lambda run: run.aktl,
        ),
        SequenceMetric(
            "vtl",
            "Verified length",
            "frames",
            2,
            True,
            "The same, but a track ends where depth and true poses show that it left its point by 3 px (vtl).",
            of_run=lambda run: run.vtl,
        ),
        SequenceMetric(
            "long_tracks",
            "Long tracks",
            "",
            0,
            True,
            f"Tracks of {LONG} verified frames or more.",
            of_run=lambda run: float(sum(run.verified[LONG:])) if run.verified else float("nan"),
        ),
        SequenceMetric(
            "ate",
            "ATE",
            "m",
            3,
            False,
            "Absolute trajectory error of frame-to-frame visual odometry with true step lengths, SE(3)-aligned.",
            of_run=lambda run: run.ate,
        ),
        SequenceMetric(
            "rpe_translation",
            "RPE",
            "cm",
            2,
            False,
            "Relative pose error: how wrong one frame's motion is, translation.",
            of_run=lambda run: 100 * run.rpe_translation,
        ),
        SequenceMetric(
            "rpe_rotation",
            "RPE rotation",
            "°",
            2,
            False,
            "Relative pose error: how wrong one frame's motion is, rotation.",
            of_run=lambda run: run.rpe_rotation,
        ),
        SequenceMetric(
            "inliers",
            "Inliers",
            "",
            0,
            True,
            "Matches between neighbouring frames that fit the camera's motion.",
            of_run=lambda run: run.inliers,
        ),
        SequenceMetric(
            "keypoints", "Keypoints", "", 0, None, "Keypoints a frame.", of_result=lambda result: result.keypoints
        ),
    ]
    for gap in gaps:
        metrics += [_pose_auc(gap, threshold) for threshold in range(len(POSE_AUC))]
    for gap in gaps:
        metrics += [_repeatability(gap), _matching_score(gap)]
    return metrics


def _pose_auc(gap: int, threshold: int) -> SequenceMetric:
    degrees = POSE_AUC[threshold]

    def of_run(run: SequenceRun) -> float:
        return area_under_curve(run.pose_errors.get(gap, []), POSE_AUC)[threshold]

    return SequenceMetric(
        f"auc{degrees:.0f}_gap{gap}",
        f"AUC@{degrees:.0f}° gap {gap}",
        "%",
        1,
        True,
        "Relative pose of two frames, a gap apart: area under the cumulative error curve up to so many degrees.",
        of_run=of_run,
    )


def _repeatability(gap: int) -> SequenceMetric:
    return SequenceMetric(
        f"repeatability_gap{gap}",
        f"Repeatability gap {gap}",
        "%",
        1,
        True,
        "Keypoints that are found again within 3 px, a gap later, of those that are still in view (by depth).",
        of_result=lambda result: result.repeatability.get(gap, float("nan")),
    )


def _matching_score(gap: int) -> SequenceMetric:
    return SequenceMetric(
        f"matching_score_gap{gap}",
        f"Matching score gap {gap}",
        "%",
        1,
        True,
        "Keypoints that are matched rightly, a gap later, of those that are still in view. Without depth: of all "
        "keypoints, by the epipolar geometry, which is more lenient.",
        of_result=lambda result: result.matching_score.get(gap, float("nan")),
    )


@dataclass(frozen=True)
class PairSetSummary:
    """One subject on a set of pairs.

    :ivar threshold: of the estimator, pixels.
    :ivar auc: one a threshold of the protocol, percent.
    :ivar repeatability: percent; None for poses.
    :ivar matching_score: percent.
    :ivar keypoints: an image.
    :ivar matches: a pair.
    :ivar errors: of all pairs, mean over the runs.
    """

    threshold: float
    auc: tuple[Value, ...]
    repeatability: Value | None
    matching_score: Value | None
    keypoints: Value
    matches: Value
    errors: tuple[float, ...]


def summarise_pairs(pair_set: PairSet, result: PairSetResult, group: str | None = None) -> PairSetSummary:
    """Summarise a set, or one group of its pairs with the threshold that is best for the set."""
    thresholds = pair_set.protocol.auc_thresholds
    threshold = result.best_threshold(thresholds)
    pairs = [pair for pair in result.pairs if group in (None, pair.group)]
    runs = PairSetResult(pairs).auc(threshold, thresholds)
    return PairSetSummary(
        threshold=threshold,
        auc=tuple(over_runs([run[index] for run in runs]) for index in range(len(thresholds))),
        repeatability=_mean([pair.repeatability for pair in pairs]),
        matching_score=_mean([pair.matching_score for pair in pairs]),
        keypoints=Value(float(np.mean([pair.keypoints for pair in pairs]))),
        matches=Value(float(np.mean([pair.matches for pair in pairs]))),
        errors=tuple(error for pair in pairs for error in pair.errors[threshold]),
    )


def _mean(values: Sequences[float | None]) -> Value | None:
    known = [value for value in values if value is not None]
    return Value(float(np.mean(known))) if known else None


def of_subject(results: Results, subject: str, names: Sequences[str]) -> list[SequenceResult]:
    """A subject's results on these sequences."""
    return [results.sequences[subject, name] for name in names]
