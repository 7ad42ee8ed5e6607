"""Which detection of a frame belongs to which track."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32


def similarity(first: NDArray[Any], second: NDArray[Any]) -> Float32:
    """How alike pairs of descriptors are.

    :param first: [N, D], float32 of unit norm or uint8 of packed bits.
    :param second: [N, D], the same type.
    :returns: float32 [N]: cosine, or share of equal bits; 1 for all where D is 0.
    """
    if first.shape[1] == 0:
        return np.ones(len(first), np.float32)
    if first.dtype == np.uint8:
        different = np.unpackbits(first ^ second, axis=1).sum(1)
        return np.asarray(1 - different / (8 * first.shape[1]), np.float32)
    return np.asarray(np.einsum("nd,nd->n", first, second), np.float32)


def similarity_matrix(first: NDArray[Any], second: NDArray[Any]) -> Float32:
    """As :func:`similarity`, for all pairs.

    :param first: [N, D].
    :param second: [M, D].
    :returns: float32 [N, M].
    """
    if first.shape[1] == 0 or first.size == 0 or second.size == 0:
        return np.ones((len(first), len(second)), np.float32)
    if first.dtype == np.uint8:
        # With bits as +1 and -1 a product counts equal bits less unequal ones.
        a, b = (np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1 for packed in (first, second))
        return np.asarray((a @ b.T) / (2 * a.shape[1]) + 0.5, np.float32)
    return np.asarray(first @ second.T, np.float32)


class Lookup:
    """Finds the nearest of a frame's points within a radius, for many queries at once."""

    def __init__(self, points: Float32, shape: tuple[int, ...], radius: float) -> None:
        """Sort points into cells twice as wide as the radius, so that a search touches four of them.

        :param points: float32 [M, 2], pixels, best first: of several in a cell the first stays.
        :param shape: of the image, (H, W).
        :param radius: of the search, pixels.
        """
        self._radius = radius
        self._cell = max(2 * radius, 1.0)
        rows, columns = (int(side / self._cell) + 3 for side in shape[:2])
        self._columns = columns
        self._limit = np.array([columns - 2, rows - 2], np.int32)
        # An empty cell holds -1, which is the place far away from everything at the end of the points.
        self._x, self._y = np.append(points, [[np.inf, np.inf]], axis=0).T.astype(np.float32)
        self._label = np.full(rows * columns, -1, np.int32)
        self._label[self._index(points, 0.0)[::-1]] = np.arange(len(points), dtype=np.int32)[::-1]

    def _index(self, points: Float32, shift: float) -> NDArray[np.int32]:
        """The cell of each point, moved up and left by so many cells; one ring of cells lies outside the image."""
        cells = np.clip((points / self._cell + (1 - shift)).astype(np.int32), 0, self._limit)
        return np.asarray(cells[:, 1] * np.int32(self._columns) + cells[:, 0])

    def nearest(self, queries: Float32) -> tuple[NDArray[np.int64], Float32]:
        """The nearest point to each query.

        :param queries: float32 [N, 2], pixels.
        :returns: int64 [N], -1 where there is none within the radius, and float32 [N], distance in pixels.
        """
        first = self._index(queries, 0.5)
        around = np.array([0, 1, self._columns, self._columns + 1], np.int32)[:, None]
        label = self._label[first + around]
        squared = np.square(self._x[label] - queries[:, 0]) + np.square(self._y[label] - queries[:, 1])
        best, rows = squared.argmin(0), np.arange(len(queries))
        shortest = np.sqrt(squared[best, rows])
        return np.where(shortest <= self._radius, label[best, rows], -1).astype(np.int64), shortest


def unique_claims(claim: NDArray[np.int64], cost: Float32) -> NDArray[np.int64]:
    """Leave each detection to the track that fits it best.

    :param claim: int64 [N], index of a detection, or -1.
    :param cost: float32 [N], lower is better; the lower index wins a tie.
    :returns: int64 [N], the claims with the losers' set to -1.
    """
    claiming = np.flatnonzero(claim >= 0)
    # The last to write into a place keeps it: the cheapest, and of those the lowest index.
    order = claiming[np.argsort(cost[claiming], kind="stable")[::-1]]
    owner = np.empty(claim.max(initial=0) + 1, np.int64)
    owner[claim[order]] = order
    kept = np.full_like(claim, -1)
    winners = owner[claim[claiming]] == claiming
    kept[claiming[winners]] = claim[claiming[winners]]
    return kept


def search(
    predicted: Float32,
    descriptors: NDArray[Any],
    points: Float32,
    candidates: NDArray[Any],
    radius: float,
    least: float,
) -> NDArray[np.int64]:
    """Find lost tracks among detections by descriptor: mutually best within a radius of where they were expected.

    :param predicted: float32 [N, 2], pixels.
    :param descriptors: [N, D], of the tracks.
    :param points: float32 [M, 2], detections, pixels.
    :param candidates: [M, D], of the detections.
    :param radius: of the search, pixels.
    :param least: similarity.
    :returns: int64 [N], index of a detection, or -1.
    """
    if len(predicted) == 0 or len(points) == 0 or descriptors.shape[1] == 0:
        return np.full(len(predicted), -1, np.int64)
    squared = np.square(np.subtract.outer(predicted[:, 0], points[:, 0]))
    squared += np.square(np.subtract.outer(predicted[:, 1], points[:, 1]))
    alike = similarity_matrix(descriptors, candidates)
    alike[squared > radius**2] = -1
    best = alike.argmax(1)
    rows = np.arange(len(predicted))
    mutual = alike.argmax(0)[best] == rows
    return np.where(mutual & (alike[rows, best] >= least), best, -1)


def crowded(points: Float32, ids: NDArray[np.uint32], radius: float) -> NDArray[np.bool_]:
    """Which tracks share a cell as wide as the radius with an older one.

    :param points: float32 [N, 2], pixels.
    :param ids: uint32 [N], lower is older.
    :param radius: pixels.
    :returns: bool [N].
    """
    cells = np.maximum(points / max(radius, 1e-3), 0).astype(np.int64)
    cells = cells[:, 1] * (cells[:, 0].max(initial=0) + 1) + cells[:, 0]
    order = np.argsort(ids)[::-1]
    # The last to write into a cell keeps it: the oldest.
    oldest = np.empty(cells.max(initial=0) + 1, np.int64)
    oldest[cells[order]] = order
    return np.asarray(oldest[cells] != np.arange(len(points)))
