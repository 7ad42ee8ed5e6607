"""One subject on a set of image pairs: homography or pose errors, repeatability, matching score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.sequence import Image
from training.evaluation.extraction import Extractor, Keypoints
from training.evaluation.homography import corner_error, estimate_homography, warp
from training.evaluation.matching import Indices, mutual_nearest_neighbours
from training.evaluation.pair_sets import ImagePair, LoadedPair, PairProtocol, load_pair
from training.evaluation.recall import area_under_curve
from training.evaluation.relative_pose import EstimatorOptions, Rays, epipolar_error, estimate_relative_pose, pose_error
from training.evaluation.repeatability import Share, repeated_keypoints, rightly_matched
from training.evaluation.sequence_judgement import RIGHT_EPIPOLAR


@dataclass(frozen=True)
class PairScore:
    """One pair.

    :ivar name: of the pair.
    :ivar group: of the pair.
    :ivar keypoints: in both images, mean.
    :ivar matches: mutual nearest neighbours.
    :ivar errors: threshold -> error of each run; pixels for homographies, degrees for poses.
    :ivar repeatability: percent; None for poses, and where nothing is covisible.
    :ivar matching_score: percent of the covisible keypoints; for poses of all keypoints, by the epipolar geometry.
    """

    name: str
    group: str
    keypoints: float
    matches: int
    errors: dict[float, list[float]]
    repeatability: float | None
    matching_score: float | None


@dataclass(frozen=True)
class PairSetResult:
    """One subject on a set.

    :ivar pairs: in the set's order.
    """

    pairs: list[PairScore]

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> PairSetResult:
        """Undo :meth:`to_json`, after which the thresholds have become text."""
        pairs = [
            PairScore(**{**pair, "errors": {float(key): errors for key, errors in pair["errors"].items()}})
            for pair in value["pairs"]
        ]
        return PairSetResult(pairs)

    def auc(self, threshold: float, auc_thresholds: Sequence[float]) -> list[tuple[float, ...]]:
        """AUC of each run with one threshold of the estimator, percent."""
        runs = zip(*(pair.errors[threshold] for pair in self.pairs), strict=True)
        return [area_under_curve(list(errors), auc_thresholds) for errors in runs]

    def best_threshold(self, auc_thresholds: Sequence[float]) -> float:
        """The estimator's threshold with the largest mean AUC."""
        return max(self.pairs[0].errors, key=lambda threshold: float(np.mean(self.auc(threshold, auc_thresholds))))


def judge_pairs(
    pairs: Sequence[ImagePair],
    protocol: PairProtocol,
    extractor: Extractor,
    seeds: int,
    tick: Callable[[], None],
) -> PairSetResult:
    """Judge one subject on pairs.

    :param extractor: of a subject with descriptors, of the protocol's keypoint budget.
    :param tick: called once a pair.
    """
    scores = []
    for pair in pairs:
        scores.append(_score(pair, load_pair(pair, protocol.resize), protocol, extractor, seeds))
        tick()
    return PairSetResult(scores)


def _score(pair: ImagePair, loaded: LoadedPair, protocol: PairProtocol, extractor: Extractor, seeds: int) -> PairScore:
    first, second = (extractor(image) for image in loaded.images)
    matches = mutual_nearest_neighbours(first.descriptors, second.descriptors)
    if loaded.homography is None:
        repeated, matched = None, _epipolar_score(loaded, first, second, matches)
    else:
        repeated, matched = _homography_scores(loaded, first, second, matches)
    errors = {
        threshold: [_error(loaded, first, second, matches, protocol, threshold, seed) for seed in range(seeds)]
        for threshold in protocol.thresholds
    }
    count = (len(first.keypoints) + len(second.keypoints)) / 2
    return PairScore(pair.name, pair.group, count, len(matches), errors, repeated, matched)


def _error(
    loaded: LoadedPair,
    first: Keypoints,
    second: Keypoints,
    matches: Indices,
    protocol: PairProtocol,
    threshold: float,
    seed: int,
) -> float:
    options = EstimatorOptions(protocol.estimator, threshold)
    one, two = first.keypoints[matches[:, 0]].astype(np.float64), second.keypoints[matches[:, 1]].astype(np.float64)
    if loaded.homography is not None:
        height, width = loaded.images[0].shape
        homography, _ = estimate_homography(options, one, two, seed)
        # JSON knows no infinity; a corner that is so far off is as wrong as can be.
        return min(corner_error(homography, loaded.homography, (width, height)), 1e6)
    assert loaded.intrinsics is not None and loaded.pose is not None
    rays = [_rays(points, matrix) for points, matrix in zip((one, two), loaded.intrinsics, strict=True)]
    focals = [float(matrix[0, 0] + matrix[1, 1]) / 2 for matrix in loaded.intrinsics]
    estimate = estimate_relative_pose(options, rays[0], rays[1], (focals[0], focals[1]), seed)
    return pose_error(estimate, loaded.pose, still=0.0)


def _homography_scores(
    loaded: LoadedPair, first: Keypoints, second: Keypoints, matches: Indices
) -> tuple[float | None, float | None]:
    """Repeatability over the keypoints of both images, and matching score over those of the first, percent."""
    assert loaded.homography is not None
    there = warp(loaded.homography, first.keypoints)[None]
    back = warp(np.asarray(np.linalg.inv(loaded.homography), np.float64), second.keypoints)[None]
    seen_there, seen_back = _inside(there, loaded.images[1]), _inside(back, loaded.images[0])
    forth: Share = repeated_keypoints(there, seen_there, second.keypoints)
    repeated = forth + repeated_keypoints(back, seen_back, first.keypoints)
    matched = rightly_matched(there, seen_there, matches[:, 0], second.keypoints[matches[:, 1]])
    return repeated.percent, matched.percent


def _epipolar_score(loaded: LoadedPair, first: Keypoints, second: Keypoints, matches: Indices) -> float | None:
    assert loaded.intrinsics is not None and loaded.pose is not None
    if len(first.keypoints) == 0:
        return None
    one = _rays(first.keypoints[matches[:, 0]].astype(np.float64), loaded.intrinsics[0])
    two = _rays(second.keypoints[matches[:, 1]].astype(np.float64), loaded.intrinsics[1])
    right = epipolar_error(one, two, loaded.pose) < RIGHT_EPIPOLAR
    return float(100 * right.sum() / len(first.keypoints))


def _rays(points: NDArray[np.floating], matrix: NDArray[np.float64]) -> Rays:
    """Pixels -> unit plane of a camera without distortion, float64 [N, 2]."""
    return np.asarray((points - matrix[:2, 2]) / matrix[[0, 1], [0, 1]], np.float64)


def _inside(places: NDArray[np.float64], image: Image) -> NDArray[np.bool_]:
    height, width = image.shape
    return np.asarray((places >= 0).all(2) & (places <= (width - 1, height - 1)).all(2), np.bool_)
