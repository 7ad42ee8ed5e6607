"""Pictures of pairs: keypoints and matches of one subject, drawn on both images."""

from __future__ import annotations

import base64
from collections.abc import Sequence as Sequences
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32
from training.data.sequence import Image, Sequence
from training.evaluation.cache import Cache
from training.evaluation.evaluate import Evaluation
from training.evaluation.extraction import Extractor
from training.evaluation.homography import estimate_homography
from training.evaluation.linking import FlowLinker, KeypointLinker, Linker
from training.evaluation.matching import mutual_nearest_neighbours
from training.evaluation.pair_sets import PairSet, load_pair
from training.evaluation.relative_pose import EstimatorOptions, estimate_relative_pose
from training.evaluation.subjects import Kind, Subject

#: Width of one image in a picture, pixels.
IMAGE_WIDTH = 512
#: Matches that a picture shows at most: more would hide the images.
MOST_LINES = 90
QUALITY = 78
#: BGR; right for every colour vision together with the lines' thickness.
KEYPOINT, INLIER, OUTLIER = (255, 200, 60), (120, 220, 60), (60, 60, 230)


@dataclass(frozen=True)
class Picture:
    """One subject on one pair.

    :ivar subject: its name.
    :ivar index: its colour.
    :ivar data: the picture, as a ``data:`` URL.
    :ivar width: pixels; height likewise.
    :ivar caption: matches, inliers and error.
    """

    subject: str
    index: int
    data: str
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Overlay:
    """One pair, as all subjects see it.

    :ivar title: why it is shown.
    :ivar name: of the pair.
    :ivar pictures: one a subject.
    """

    title: str
    name: str
    pictures: tuple[Picture, ...]


def make_overlays(evaluation: Evaluation) -> list[Overlay]:
    """The best and the worst pair of the first subject, of sequences and of every set with homographies or poses."""
    overlays = []
    first = evaluation.subjects[0]
    if evaluation.sequences:
        gaps = evaluation.options.run.sequences.gaps
        gap = gaps[len(gaps) // 2]
        for title, (name, start) in _extreme_frames(evaluation, first.name, gap):
            sequence = next(item for item in evaluation.sequences if item.name == name)
            pictures = [
                _frame_picture(evaluation, subject, index, sequence, start, start + gap)
                for index, subject in enumerate(evaluation.subjects)
            ]
            overlays.append(
                Overlay(f"{title}, {gap} frames apart", f"{name}, frames {start} and {start + gap}", tuple(pictures))
            )
    for pair_set in evaluation.pair_sets:
        judged = [
            subject for subject in evaluation.subjects if (subject.name, pair_set.name) in evaluation.results.pair_sets
        ]
        if not judged:
            continue
        for title, number in _extreme_pairs(evaluation, judged[0].name, pair_set):
            pictures = [_set_picture(evaluation, subject, pair_set, number) for subject in judged]
            overlays.append(Overlay(f"{title} of {pair_set.name}", pair_set.pairs[number].name, tuple(pictures)))
    return overlays


def _extreme_frames(evaluation: Evaluation, subject: str, gap: int) -> list[tuple[str, tuple[str, int]]]:
    """Sequence and first frame of the pairs with the smallest and the largest error, median over the runs."""
    errors: dict[tuple[str, int], float] = {}
    for name in evaluation.sequence_names:
        result = evaluation.results.sequences[subject, name]
        for place, start in enumerate(result.pairs.get(gap, [])):
            errors[name, start] = float(np.median([run.pose_errors[gap][place] for run in result.runs]))
    if not errors:
        return []
    ordered = sorted(errors, key=lambda key: (errors[key], key))
    return [("Best pair", ordered[0]), ("Worst pair", ordered[-1])]


def _extreme_pairs(evaluation: Evaluation, subject: str, pair_set: PairSet) -> list[tuple[str, int]]:
    result = evaluation.results.pair_sets[subject, pair_set.name]
    threshold = result.best_threshold(pair_set.protocol.auc_thresholds)
    errors = [float(np.median(pair.errors[threshold])) for pair in result.pairs]
    return [("Best pair", int(np.argmin(errors))), ("Worst pair", int(np.argmax(errors)))]


def _frame_picture(
    evaluation: Evaluation, subject: Subject, index: int, sequence: Sequence, first: int, second: int
) -> Picture:
    options = evaluation.options.run
    extractor = Extractor(subject, Cache(options.cache))
    linker: Linker
    if subject.kind is Kind.FLOW:
        linker = FlowLinker(sequence, subject.max_keypoints)
    elif subject.kind is Kind.TRACKS:
        linker = KeypointLinker(extractor.sequence(sequence, _content(evaluation, sequence), _no_tick))
    else:
        ends = [extractor(sequence.grey(frame)) for frame in (first, second)]
        linker = KeypointLinker(ends)
        first_place, second_place = 0, 1
    if subject.kind is not Kind.DESCRIPTORS:
        first_place, second_place = first, second
    keypoints, links = linker.pair(first_place, second_place)
    others = linker.pair(second_place, second_place)[0]
    extractor.close()
    cameras = [sequence.camera(frame) for frame in (first, second)]
    assert cameras[0] is not None and cameras[1] is not None
    rays = [
        camera.rays(points)[:, :2].astype(np.float64)
        for camera, points in zip(cameras, (links.first, links.second), strict=True)
        if camera is not None
    ]
    focals = [camera.focal for camera in cameras if camera is not None]
    estimate = estimate_relative_pose(options.sequences.estimator, rays[0], rays[1], (focals[0], focals[1]))
    inliers = np.zeros(len(links.sources), np.bool_) if estimate is None else estimate.inliers
    result = evaluation.results.sequences[subject.name, sequence.name]
    gap = second - first
    errors = [run.pose_errors[gap][result.pairs[gap].index(first)] for run in result.runs]
    caption = f"{len(inliers)} matches, {int(inliers.sum())} inliers, pose error {_degrees(float(np.median(errors)))}"
    picture = draw_pair(
        (sequence.image(first), sequence.image(second)), (keypoints, others), (links.first, links.second), inliers
    )
    return _encode(subject.name, index, picture, caption)


def _set_picture(evaluation: Evaluation, subject: Subject, pair_set: PairSet, number: int) -> Picture:
    protocol = pair_set.protocol
    result = evaluation.results.pair_sets[subject.name, pair_set.name]
    threshold = result.best_threshold(protocol.auc_thresholds)
    loaded = load_pair(pair_set.pairs[number], protocol.resize)
    extractor = Extractor(subject.with_budget(protocol.max_keypoints), Cache(evaluation.options.run.cache))
    first, second = (extractor(image) for image in loaded.images)
    extractor.close()
    matches = mutual_nearest_neighbours(first.descriptors, second.descriptors)
    one, two = first.keypoints[matches[:, 0]], second.keypoints[matches[:, 1]]
    options = EstimatorOptions(protocol.estimator, threshold)
    error = float(np.median(result.pairs[number].errors[threshold]))
    if loaded.intrinsics is None:
        _, inliers = estimate_homography(options, one.astype(np.float64), two.astype(np.float64))
        text = f"corner error {error:.1f} px" if error < 1e5 else "no homography found"
    else:
        planes = [
            (points - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]
            for points, matrix in zip((one, two), loaded.intrinsics, strict=True)
        ]
        focals = [float(matrix[0, 0] + matrix[1, 1]) / 2 for matrix in loaded.intrinsics]
        estimate = estimate_relative_pose(options, planes[0], planes[1], (focals[0], focals[1]))
        inliers = np.zeros(len(one), np.bool_) if estimate is None else estimate.inliers
        text = f"pose error {_degrees(error)}"
    colours = tuple(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) for image in loaded.images)
    picture = draw_pair((colours[0], colours[1]), (first.keypoints, second.keypoints), (one, two), inliers)
    index = [item.name for item in evaluation.subjects].index(subject.name)
    return _encode(subject.name, index, picture, f"{len(matches)} matches, {int(inliers.sum())} inliers, {text}")


def _degrees(error: float) -> str:
    return f"{error:.1f}°" if error < 180 else "none found"


def _content(evaluation: Evaluation, sequence: Sequence) -> str:
    return next(item.digest for item in evaluation.results.contents if item.sequence is sequence)


def _no_tick() -> None:
    """Tracks are in the cache; nothing shows how far reading them is."""


def draw_pair(
    images: tuple[Image, Image],
    keypoints: tuple[Float32, Float32],
    matches: tuple[Float32, Float32],
    inliers: NDArray[np.bool_],
) -> Image:
    """Both images side by side, all keypoints as dots, inliers as green lines over red ones.

    :param images: uint8 [H, W, 3], BGR.
    :param keypoints: [N, 2] and [M, 2], pixels of the images.
    :param matches: [K, 2] each, pixels of the images.
    :param inliers: bool [K].
    """
    zooms = [IMAGE_WIDTH / image.shape[1] for image in images]
    panels = [
        cv2.resize(image, (IMAGE_WIDTH, round(image.shape[0] * zoom)), interpolation=cv2.INTER_AREA)
        for image, zoom in zip(images, zooms, strict=True)
    ]
    # Wide images one above the other: side by side they would be a thin strip.
    stacked = panels[0].shape[1] > 2 * panels[0].shape[0]
    height = sum(panel.shape[0] for panel in panels) if stacked else max(panel.shape[0] for panel in panels)
    canvas = np.full((height, IMAGE_WIDTH if stacked else 2 * IMAGE_WIDTH, 3), 24, np.uint8)
    offset = np.array([0, panels[0].shape[0]] if stacked else [IMAGE_WIDTH, 0])
    canvas[: panels[0].shape[0], :IMAGE_WIDTH] = panels[0]
    canvas[offset[1] : offset[1] + panels[1].shape[0], offset[0] : offset[0] + IMAGE_WIDTH] = panels[1]
    places = [np.zeros(2), offset]
    for points, zoom, place in zip(keypoints, zooms, places, strict=True):
        _dots(canvas, points * zoom + place)
    one, two = (points * zoom + place for points, zoom, place in zip(matches, zooms, places, strict=True))
    for chosen, colour in ((~inliers, OUTLIER), (inliers, INLIER)):
        rows = np.flatnonzero(chosen)
        for row in rows[:: max(1, -(-len(rows) // MOST_LINES))]:
            cv2.line(canvas, _pixel(one[row]), _pixel(two[row]), colour, 1, cv2.LINE_AA, 4)
    return canvas


def _dots(canvas: Image, points: NDArray[np.floating]) -> None:
    for point in points:
        cv2.circle(canvas, _pixel(point), 20, KEYPOINT, -1, cv2.LINE_AA, 4)


def _pixel(point: Sequences[float] | NDArray[np.floating]) -> tuple[int, int]:
    """OpenCV's fixed-point coordinates with four binary places."""
    return round(float(point[0]) * 16), round(float(point[1]) * 16)


def _encode(subject: str, index: int, picture: Image, caption: str) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    url = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
    return Picture(subject, index, url, picture.shape[1], picture.shape[0], caption)
