"""Matches between stored frames, by this project's own detector: they label pairs, and they test poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.detectors import Detector, ModelError, load_detector
from kp_ros.features import Features
from training.data.sequence import read_image

KEYPOINTS = 512
#: Pixels, of images that are this wide; wider ones in proportion.
INLIER_DISTANCE = 1.5
INLIER_WIDTH = 640
#: The eight-point algorithm's need; with fewer, nothing is verified.
LEAST_MATCHES = 8


def own_detector() -> Detector:
    """Our default model, or SIFT in a checkout that has no model yet."""
    try:
        return load_detector(max_keypoints=KEYPOINTS)
    except ModelError:
        return load_detector("sift", max_keypoints=KEYPOINTS)


@dataclass
class Matcher:
    """Features of image files, each computed once, and verified matches between them.

    :ivar files: of the frames.
    :ivar detector: what finds and describes.
    :ivar progress: called after every image that was looked at.
    """

    files: tuple[Path, ...]
    detector: Detector
    progress: Callable[[], None] = field(default=lambda: None)
    _features: dict[int, Features] = field(default_factory=dict)
    _tolerance: float = 0.0

    def features(self, index: int) -> Features:
        """Of a frame."""
        if index not in self._features:
            image = read_image(self.files[index])
            self._tolerance = INLIER_DISTANCE * max(1.0, image.shape[1] / INLIER_WIDTH)
            self._features[index] = self.detector(image)
            self.progress()
        return self._features[index]

    def matches(self, first: int, second: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mutual nearest neighbours that one epipolar geometry explains (MAGSAC++, Barath et al. 2020).

        :returns: float64 [N, 2] each, pixels; empty where too few agree.
        """
        one, other = self.features(first), self.features(second)
        empty = np.zeros((0, 2)), np.zeros((0, 2))
        if min(len(one), len(other)) < LEAST_MATCHES:
            return empty
        binary = one.descriptors.dtype == np.uint8
        found = cv2.BFMatcher(cv2.NORM_HAMMING if binary else cv2.NORM_L2, crossCheck=True).match(
            one.descriptors, other.descriptors
        )
        if len(found) < LEAST_MATCHES:
            return empty
        p = one.keypoints[[match.queryIdx for match in found]].astype(np.float64)
        q = other.keypoints[[match.trainIdx for match in found]].astype(np.float64)
        cv2.setRNGSeed(0)
        _, mask = cv2.findFundamentalMat(p, q, cv2.USAC_MAGSAC, self._tolerance, 0.999, 2000)
        if mask is None:
            return empty
        agree = mask.ravel() == 1
        return p[agree], q[agree]
