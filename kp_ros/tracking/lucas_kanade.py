"""Lucas-Kanade between two consecutive frames, started from a prediction."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32

_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.03)


def flow(
    last: NDArray[np.uint8], image: NDArray[np.uint8], points: Float32, predicted: Float32, window: int
) -> tuple[Float32, NDArray[np.bool_]]:
    """Follow points from one image to the next, at full resolution (Lucas and Kanade, IJCAI 1981).

    :param last: uint8 [H, W].
    :param image: uint8 [H, W].
    :param points: float32 [N, 2], pixels of ``last``.
    :param predicted: float32 [N, 2], pixels of ``image``, where the search starts.
    :param window: side of the window, pixels.
    :returns: float32 [N, 2], pixels of ``image``, and bool [N], whether the search ended well.
    """
    if len(points) == 0:
        return points.copy(), np.zeros(0, bool)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        last,
        image,
        points[:, None],
        predicted[:, None].copy(),
        winSize=(window, window),
        maxLevel=0,
        criteria=_CRITERIA,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return found[:, 0], status[:, 0].astype(bool)
