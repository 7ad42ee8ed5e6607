"""Lucas-Kanade between two consecutive frames, started from a prediction."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32

_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.03)


def flow(
    last: NDArray[np.uint8], image: NDArray[np.uint8], points: Float32, predicted: Float32, window: int, shrink: float
) -> tuple[Float32, NDArray[np.bool_]]:
    """Follow points from one image to the next, at a lower resolution (Lucas and Kanade, IJCAI 1981).

    Half the resolution takes a quarter of the time; a registration at full resolution follows anyway.

    :param last: uint8 [H / shrink, W / shrink].
    :param image: uint8 [H / shrink, W / shrink].
    :param points: float32 [N, 2], pixels of the last image in full resolution.
    :param predicted: float32 [N, 2], pixels of the image in full resolution, where the search starts.
    :param window: side of the window, pixels of the lower resolution.
    :param shrink: pixels of the full resolution to a pixel of the lower one.
    :returns: float32 [N, 2], pixels of the image in full resolution, and bool [N], whether the search ended well.
    """
    if len(points) == 0:
        return points.copy(), np.zeros(0, bool)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        last,
        image,
        _shrunk(points, shrink),
        _shrunk(predicted, shrink),
        winSize=(window, window),
        maxLevel=0,
        criteria=_CRITERIA,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray((found[:, 0] + 0.5) * shrink - 0.5, np.float32), status[:, 0].astype(bool)


def _shrunk(points: Float32, shrink: float) -> Float32:
    """Pixels of a lower resolution, as OpenCV takes them, float32 [N, 1, 2]."""
    return np.ascontiguousarray((points[:, None] + 0.5) / shrink - 0.5, np.float32)
