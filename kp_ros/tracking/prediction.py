"""Where a point of the last frame is to be expected in this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Features, Float32, Tracks
from kp_ros.tracking.association import similarity_matrix

#: An image is halved for the coarse flow as long as its shorter side keeps so many pixels.
_COARSE_SIDE = 90
#: DIS needs room for its 8 x 8 patches on two levels.
_SMALLEST_SIDE = 32
#: DIS decides by the longer side how coarse it starts; from this width on it finds motions of a fifth of the image.
_WIDE = 184
#: Between its patches, pixels of the finest level: 4, its default, costs half as much again and is hardly better.
_STRIDE = 5
#: With fewer matches than this a change of view is not believed.
_FEWEST = 12


@dataclass(frozen=True)
class FlowField:
    """Motion from the last image to this one, on a coarse grid.

    :ivar motion: float32 [h, w, 2], pixels of the thumbnail; None where nothing is known.
    :ivar scale: float32 [2], pixels of the image to a pixel of the thumbnail, x and y.
    """

    motion: Float32 | None
    scale: Float32

    def predict(self, points: Float32) -> Float32:
        """Move points of the last image to where they should be in this one.

        :param points: float32 [N, 2], pixels.
        :returns: float32 [N, 2], pixels; the points as they were where nothing is known.
        """
        if self.motion is None or len(points) == 0:
            return np.array(points)
        x, y = ((points.T + np.float32(0.5)) / self.scale[:, None] - np.float32(0.5))[:, None]
        moved = cv2.remap(self.motion, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        moved *= self.scale
        moved += points
        return np.asarray(moved, np.float32)


class CoarseFlow:
    """Dense flow between thumbnails of consecutive images: one guess for everything that moves.

    Dense inverse search (Kroeger, Timofte, Dai and Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV
    2016) on a thumbnail costs a fraction of a millisecond and follows rotation, zoom and parallax alike, which a
    constant velocity does not once the hand shakes.
    """

    def __init__(self) -> None:
        self._fine: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._fine.setFinestScale(1)
        self._fine.setPatchStride(_STRIDE)
        self._quick: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def between(
        self, last: NDArray[np.uint8] | None, small: NDArray[np.uint8], shape: tuple[int, ...], calm: bool
    ) -> FlowField:
        """Compute the flow from the last image to this one.

        :param last: uint8 [h, w], thumbnail of the last image; None where there was none.
        :param small: uint8 [h, w], this image's.
        :param shape: of the image, (H, W).
        :param calm: little moves, so that half the resolution, in a third of the time, predicts well enough.
        """
        height, width = small.shape
        scale = np.array([shape[1] / width, shape[0] / height], np.float32) if small.size else np.ones(2, np.float32)
        if last is None or last.shape != small.shape or min(small.shape) < _SMALLEST_SIDE:
            return FlowField(None, scale)
        engine = self._quick if calm else self._fine
        return FlowField(engine.calc(_widened(last), _widened(small), None), scale)


def _widened(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    missing = max(0, _WIDE - small.shape[1])
    return np.asarray(cv2.copyMakeBorder(small, 0, 0, 0, missing, cv2.BORDER_REPLICATE), np.uint8)


def halved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half the resolution of an image, uint8 [H, W] to [H / 2, W / 2]; what is a pixel wide or high stays so."""
    size = tuple(max(side // 2, min(side, 1)) for side in image.shape[::-1])
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA) if image.size else image, np.uint8)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve an image until its shorter side is between 90 and 180 pixels.

    :param image: uint8 [H, W]; returned as it is where it is small already.
    """
    # Halving twice takes a sixth of the time of OpenCV's shrinking by four.
    while min(image.shape) >= 2 * _COARSE_SIDE:
        image = halved(image)
    return image


def relocate(tracks: Tracks, features: Features) -> Float32 | None:
    """Predict all tracks from descriptors alone: after a jump that no flow can follow.

    Mutual nearest neighbours vote for a similarity transform of the image.

    :param tracks: of the last image.
    :param features: of this one.
    :returns: float32 [N, 2], pixels; None where the descriptors do not agree on a motion.
    """
    points = tracks.keypoints
    if min(len(tracks), len(features)) < _FEWEST or tracks.descriptors.shape[1] == 0:
        return None
    alike = similarity_matrix(tracks.descriptors, features.descriptors)
    best = alike.argmax(1)
    mutual = np.flatnonzero(alike.argmax(0)[best] == np.arange(len(best)))
    if len(mutual) < _FEWEST:
        return None
    target = features.keypoints[best[mutual]]
    # OpenCV seeds this RANSAC with a constant at every call.
    motion, inliers = cv2.estimateAffinePartial2D(
        points[mutual], target, method=cv2.RANSAC, ransacReprojThreshold=10.0, maxIters=500
    )
    if motion is None or inliers.sum() < max(_FEWEST, len(mutual) // 5):
        return None
    return np.asarray(points @ motion[:, :2].T + motion[:, 2], np.float32)
