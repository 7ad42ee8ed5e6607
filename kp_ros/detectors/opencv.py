"""OpenCV's detectors, as baselines behind the same protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.detectors.base import DetectorInfo
from kp_ros.features import Features


class OpenCvDetector:
    """ORB, SIFT or GFTT.

    :param name: ``orb`` (256-bit descriptors), ``sift`` (128 floats, unit norm) or ``gftt`` (Shi-Tomasi corners,
        no descriptor).
    :param max_keypoints: the most points a call returns.
    """

    def __init__(self, name: str, max_keypoints: int = 1024) -> None:
        self._name = name
        self._max_keypoints = max_keypoints
        self._detect = DETECTORS[name](max_keypoints)

    @property
    def info(self) -> DetectorInfo:
        """Which detector this is."""
        size, dtype, norm = DESCRIPTORS[self._name]
        return DetectorInfo(self._name, "classical", "", size, dtype, norm, self._max_keypoints, "opencv", "fp32")

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        """Detect and describe, see :class:`kp_ros.detectors.base.Detector`."""
        if image.ndim == 3:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        features = self._detect(image)
        best = np.argsort(-features.scores, kind="stable")[: self._max_keypoints]
        return features[best]

    def close(self) -> None:
        """Nothing is held."""


def _orb(count: int) -> Callable[[NDArray[np.uint8]], Features]:
    detector = cv2.ORB.create(count)
    return lambda image: _described(detector, image, np.zeros((0, 32), np.uint8))


def _sift(count: int) -> Callable[[NDArray[np.uint8]], Features]:
    detector = cv2.SIFT.create(count)

    def detect(image: NDArray[np.uint8]) -> Features:
        features = _described(detector, image, np.zeros((0, 128), np.float32))
        norms = np.linalg.norm(features.descriptors, axis=1, keepdims=True)
        descriptors = (features.descriptors / np.maximum(norms, 1e-6)).astype(np.float32)
        return Features(features.keypoints, features.scores, descriptors)

    return detect


def _described(detector: Any, image: NDArray[np.uint8], none: NDArray[Any]) -> Features:
    points, descriptors = detector.detectAndCompute(image, None)
    if not points:
        return Features(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), none)
    scores = np.array([point.response for point in points], np.float32)
    return Features(np.asarray(cv2.KeyPoint.convert(points), np.float32), scores, descriptors)


def _gftt(count: int) -> Callable[[NDArray[np.uint8]], Features]:
    def detect(image: NDArray[np.uint8]) -> Features:
        points, quality = cv2.goodFeaturesToTrackWithQuality(image, count, 0.01, 8, None)
        if points is None:
            points, quality = np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.float32)
        keypoints = points.reshape(-1, 2).astype(np.float32)
        return Features(keypoints, quality.reshape(-1).astype(np.float32), np.zeros((len(keypoints), 0), np.float32))

    return detect


DETECTORS: dict[str, Callable[[int], Callable[[NDArray[np.uint8]], Features]]] = {
    "orb": _orb,
    "sift": _sift,
    "gftt": _gftt,
}
#: Columns, dtype and norm of each detector's descriptors.
DESCRIPTORS = {"orb": (32, "uint8", "hamming"), "sift": (128, "float32", "l2"), "gftt": (0, "float32", "none")}
