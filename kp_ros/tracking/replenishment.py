"""Where new tracks begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32
from kp_ros.tracking.association import Lookup

#: The image is divided into about this many cells when new points are spread over it.
_CELLS = 64


def inside(points: Float32, shape: tuple[int, ...], border: float) -> NDArray[np.bool_]:
    """Which points lie in the image and off its edge.

    :param points: float32 [N, 2], pixels.
    :param shape: (H, W).
    :param border: pixels.
    :returns: bool [N].
    """
    limit = np.array([shape[1] - 1 - border, shape[0] - 1 - border], np.float32)
    return np.asarray(((points >= border) & (points <= limit)).all(1))


def choose(
    candidates: Float32, tracked: Float32, shape: tuple[int, ...], count: int, spacing: float, border: float
) -> NDArray[np.int64]:
    """Choose detections that become tracks: away from tracks, and first where the image is emptiest.

    The k-th best of a cell that already holds m tracks comes in turn m + k, so that cells fill evenly; within a turn
    the better score goes first.

    :param candidates: float32 [M, 2], best score first, pixels.
    :param tracked: float32 [N, 2], points that are followed already.
    :param shape: of the image, (H, W).
    :param count: how many are wanted at most.
    :param spacing: least distance to a tracked point, pixels.
    :param border: least distance to the image's edge, pixels.
    :returns: int64 [at most count], indices into ``candidates``, ascending.
    """
    free = inside(candidates, shape, border)
    if len(tracked):
        free &= Lookup(tracked, shape, spacing).nearest(candidates)[0] < 0
    index = np.flatnonzero(free)
    if count <= 0 or len(index) <= count:
        return index[: max(count, 0)]
    side = float(np.sqrt(shape[0] * shape[1] / _CELLS))
    columns = int(shape[1] / side) + 1

    def cell(points: Float32) -> NDArray[np.int64]:
        return np.asarray((points[:, 1] / side).astype(np.int64) * columns + (points[:, 0] / side).astype(np.int64))

    own = cell(candidates[index])
    held = np.bincount(cell(tracked), minlength=int(own.max()) + 1)
    order = np.argsort(own, kind="stable")
    starts = np.searchsorted(own[order], own[order])
    turn = np.empty(len(index), np.int64)
    turn[order] = np.arange(len(index)) - starts + held[own[order]]
    return np.sort(index[np.argsort(turn, kind="stable")[:count]])
