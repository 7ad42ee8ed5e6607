"""Which keypoints of two images belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


def mutual_nearest_neighbours(first: NDArray[Any], second: NDArray[Any]) -> Indices:
    """Pairs that are each other's nearest neighbour.

    :param first: descriptors [N, D], float32 of unit L2 norm or uint8 of packed bits; second likewise, [M, D].
    :returns: int [K, 2], rows of ``first`` and ``second``, in the order of ``first``.
    """
    if len(first) == 0 or len(second) == 0 or first.shape[1] == 0:
        return np.zeros((0, 2), np.intp)
    similarity = _comparable(first) @ _comparable(second).T
    forth, back = similarity.argmax(1), similarity.argmax(0)
    mutual = np.flatnonzero(back[forth] == np.arange(len(forth)))
    return np.stack([mutual, forth[mutual]], 1).astype(np.intp)


def equal_ids(first: NDArray[Any], second: NDArray[Any]) -> Indices:
    """Rows that carry the same track id.

    :returns: int [K, 2], rows of ``first`` and ``second``.
    """
    _, rows, others = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    return np.stack([rows, others], 1).astype(np.intp)


def _comparable(descriptors: NDArray[Any]) -> NDArray[np.float32]:
    """Vectors whose scalar product orders as the descriptors' similarity does: bits become -1 and 1."""
    if descriptors.dtype == np.uint8:
        return np.unpackbits(descriptors, axis=1).astype(np.float32) * 2 - 1
    return descriptors.astype(np.float32, copy=False)
