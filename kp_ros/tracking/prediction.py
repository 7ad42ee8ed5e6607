"""Where a point of the last frame is to be expected in this one."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32

#: The coarse flow works on images of about this many pixels on their shorter side.
_COARSE_SIDE = 120
#: DIS needs room for its 8 x 8 patches on two levels.
_SMALLEST_SIDE = 32


class CoarseFlow:
    """Dense flow between thumbnails of consecutive images: one guess for everything that moves.

    Dense inverse search (Kroeger, Timofte, Dai and Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV
    2016) on a thumbnail costs a fraction of a millisecond and follows rotation, zoom and parallax alike, which a
    constant velocity does not once the hand shakes.
    """

    def __init__(self) -> None:
        self._engine: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._engine.setFinestScale(1)
        self._last: NDArray[np.uint8] | None = None

    def reset(self) -> None:
        """Forget the last image."""
        self._last = None

    def step(self, image: NDArray[np.uint8], points: Float32) -> Float32:
        """Predict points of the last image in this one, and remember this one.

        :param image: uint8 [H, W].
        :param points: float32 [N, 2], pixels of the last image.
        :returns: float32 [N, 2], pixels of this image; the points as they were where nothing is known.
        """
        height, width = image.shape
        shrink = max(1, round(min(height, width) / _COARSE_SIDE))
        size = (max(1, width // shrink), max(1, height // shrink))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        last, self._last = self._last, small
        if last is None or len(points) == 0 or min(size) < _SMALLEST_SIDE:
            return points.copy()
        flow = self._engine.calc(last, small, None)
        scale = np.array([width / size[0], height / size[1]], np.float32)
        thumbnail = ((points + 0.5) / scale - 0.5).astype(np.float32)
        moved = cv2.remap(flow, thumbnail[:, None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
        return (points + moved * scale).astype(np.float32)
