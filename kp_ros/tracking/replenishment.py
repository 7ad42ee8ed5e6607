"""Where new tracks begin."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32

#: Side of the window that texture is judged in, pixels of the thumbnail.
_WINDOW = 4


def inside(points: Float32, shape: tuple[int, ...], border: float) -> NDArray[np.bool_]:
    """Which points lie in the image and off its edge.

    :param points: float32 [N, 2], pixels.
    :param shape: (H, W).
    :param border: pixels.
    :returns: bool [N].
    """
    x, y = points.T
    within = (x >= border) & (x <= shape[1] - 1 - border)
    within &= (y >= border) & (y <= shape[0] - 1 - border)
    return np.asarray(within)


def texture(thumbnail: NDArray[np.uint8], shape: tuple[int, ...], points: Float32) -> Float32:
    """How well points can be located: the gradient in the direction in which it is weakest.

    It is the root of the smaller eigenvalue of the structure tensor (Shi and Tomasi, "Good Features to Track", CVPR
    1994), in units that do not depend on the window: where it falls to the noise of the image, a point slides. A
    thumbnail, in which the noise is averaged out, tells.

    :param thumbnail: uint8 [h, w].
    :param shape: of the image, (H, W).
    :param points: float32 [N, 2], pixels of the image.
    :returns: float32 [N], root mean square over the window, grey levels a pixel of the image.
    """
    if len(points) == 0 or min(thumbnail.shape) < _WINDOW:
        return np.zeros(len(points), np.float32)
    shrink = np.array([shape[1] / thumbnail.shape[1], shape[0] / thumbnail.shape[0]], np.float32)
    weakest = cv2.cornerMinEigenVal(thumbnail, _WINDOW, ksize=3)
    places = ((points + 0.5) / shrink - 0.5).astype(np.float32)
    found = cv2.remap(weakest, places[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    # OpenCV scales its 3 x 3 Sobel sums so that a unit slope gives 2 / 255, averaged over the window.
    return np.asarray(np.sqrt(np.maximum(found, 0)) * (255 / 2) / shrink.max())


def frames_inside(points: Float32, motion: Float32, shape: tuple[int, ...]) -> Float32:
    """How many frames points stay in the image if they go on as they move now.

    :param points: float32 [N, 2], pixels.
    :param motion: float32 [N, 2], pixels a frame.
    :param shape: of the image, (H, W).
    :returns: float32 [N]; infinity where nothing moves.
    """
    room = np.where(motion > 0, np.array([shape[1] - 1, shape[0] - 1], np.float32) - points, points)
    with np.errstate(divide="ignore", invalid="ignore"):
        frames = room / np.abs(motion)
    return np.asarray(np.where(motion == 0, np.inf, frames).min(1), np.float32)


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


def open_places(
    candidates: Float32, tracked: Float32, shape: tuple[int, ...], spacing: float, border: float
) -> NDArray[np.bool_]:
    """Which places are far enough from all tracks and from the image's edge.

    :param candidates: float32 [M, 2], pixels.
    :param tracked: float32 [N, 2], points that are followed already, pixels.
    :param shape: of the image, (H, W).
    :param spacing: least distance to a tracked point, pixels.
    :param border: least distance to the image's edge, pixels.
    :returns: bool [M].
    """
    free = inside(candidates, shape, border)
    if len(tracked):
        free &= ~_taken(tracked, candidates, shape, spacing)
    return free


def worthiest(worth: Float32, count: int) -> NDArray[np.int64]:
    """Choose the candidates that are worth most; what is worth nothing is not chosen.

    :param worth: float32 [M], 0 or more; the earlier candidate wins a tie.
    :param count: how many are wanted at most.
    :returns: int64 [at most count], indices, ascending.
    """
    best = np.argsort(-worth, kind="stable")[: max(count, 0)]
    return np.sort(best[worth[best] > 0])
