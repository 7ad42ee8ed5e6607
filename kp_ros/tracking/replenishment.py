"""Where new tracks begin."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32

#: Side of the window that texture is judged in, pixels of the image at half resolution.
_WINDOW = 7


def inside(points: Float32, shape: tuple[int, ...], border: float) -> NDArray[np.bool_]:
    """Which points lie in the image and off its edge.

    :param points: float32 [N, 2], pixels.
    :param shape: (H, W).
    :param border: pixels.
    :returns: bool [N].
    """
    limit = np.array([shape[1] - 1 - border, shape[0] - 1 - border], np.float32)
    return np.asarray(((points >= border) & (points <= limit)).all(1))


def texture(image: NDArray[np.uint8], points: Float32) -> Float32:
    """How well points can be located: the gradient in the direction in which it is weakest.

    It is the root of the smaller eigenvalue of the structure tensor (Shi and Tomasi, "Good Features to Track", CVPR
    1994), in units that do not depend on the window: where it falls to the noise of the image, a point slides.

    :param image: uint8 [H, W].
    :param points: float32 [N, 2], pixels.
    :returns: float32 [N], root mean square over the window, grey levels a pixel.
    """
    if len(points) == 0 or min(image.shape) < 2 * _WINDOW:
        return np.zeros(len(points), np.float32)
    half = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    # OpenCV scales its 3 x 3 Sobel sums so that a unit slope gives 2 / 255, averaged over the window.
    weakest = np.sqrt(np.maximum(cv2.cornerMinEigenVal(half, _WINDOW, ksize=3), 0)) * (255 / 2)
    places = ((points + 0.5) / 2 - 0.5).astype(np.float32)
    found = cv2.remap(weakest, places[:, None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found[:, 0] / 2)


def _taken(tracked: Float32, points: Float32, shape: tuple[int, ...], spacing: float) -> NDArray[np.bool_]:
    """Which points lie closer than the spacing, give or take a pixel, to a tracked one; bool [N]."""
    occupied = np.zeros((shape[0] // 2 + 1, shape[1] // 2 + 1), np.uint8)
    limit = np.array(occupied.shape[::-1]) - 1

    def cells(places: Float32) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        column, row = np.clip(np.rint(places / 2).astype(np.int64), 0, limit).T
        return row, column

    occupied[cells(tracked)] = 1
    reach = max(round(spacing), 1)
    reach += 1 - reach % 2
    near = cv2.dilate(occupied, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(near[cells(points)] > 0)


def choose(
    candidates: Float32,
    fit: NDArray[np.bool_],
    worth: Float32,
    tracked: Float32,
    shape: tuple[int, ...],
    count: int,
    spacing: float,
    border: float,
) -> NDArray[np.int64]:
    """Choose detections that become tracks: away from tracks and edges, the worthiest first.

    :param candidates: float32 [M, 2], pixels.
    :param fit: bool [M], which of them may be chosen at all.
    :param worth: float32 [M], higher is better; the earlier candidate wins a tie.
    :param tracked: float32 [N, 2], points that are followed already, pixels.
    :param shape: of the image, (H, W).
    :param count: how many are wanted at most.
    :param spacing: least distance to a tracked point, pixels.
    :param border: least distance to the image's edge, pixels.
    :returns: int64 [at most count], indices into ``candidates``, ascending.
    """
    free = inside(candidates, shape, border) & fit
    if len(tracked):
        free &= ~_taken(tracked, candidates, shape, spacing)
    index = np.flatnonzero(free)
    best = np.argsort(-worth[index], kind="stable")[: max(count, 0)]
    return np.sort(index[best])
