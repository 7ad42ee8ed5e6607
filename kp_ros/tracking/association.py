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
        self._columns, self._rows = columns, rows
        # An empty cell holds -1, which is the place far away from everything at the end of the points.
        self._x, self._y = np.full((2, len(points) + 1), np.inf, np.float32)
        self._x[:-1], self._y[:-1] = points.T
        self._label = np.full(rows * columns, -1, np.int32)
        self._label[self._index(self._x[-2::-1], self._y[-2::-1], 0.0)] = np.arange(len(points), dtype=np.int32)[::-1]

    def _index(self, x: Float32, y: Float32, shift: float) -> NDArray[np.int32]:
        """The cell of each point, moved up and left by so many cells; one ring of cells lies outside the image."""
        scale, start = np.float32(1 / self._cell), np.float32(1 - shift)
        column = np.clip((x * scale + start).astype(np.int32), 0, self._columns - 2)
        row = np.clip((y * scale + start).astype(np.int32), 0, self._rows - 2)
        return np.asarray(row * np.int32(self._columns) + column)

    def nearest(self, queries: Float32) -> tuple[NDArray[np.int64], Float32]:
        """The nearest point to each query.

        :param queries: float32 [N, 2], pixels.
        :returns: int64 [N], -1 where there is none within the radius, and float32 [N], distance in pixels.
        """
        x, y = np.ascontiguousarray(queries.T)
        first = self._index(x, y, 0.5)
        label = self._label[first + np.array([0, 1, self._columns, self._columns + 1], np.int32)[:, None]]
        squared = np.square(self._x[label] - x) + np.square(self._y[label] - y)
        for half in (2, 1):
            closer = squared[half:] < squared[:half]
            label = np.where(closer, label[half:], label[:half])
            squared = np.minimum(squared[half:], squared[:half])
        shortest = np.sqrt(squared[0])
        return np.where(shortest <= self._radius, label[0], -1).astype(np.int64), shortest


def unique_claims(claim: NDArray[np.int64], cost: Float32) -> NDArray[np.int64]:
    """Leave each detection to the track that fits it best.

    :param claim: int64 [N], index of a detection, or -1.
    :param cost: float32 [N], lower is better; the lower index wins a tie.
    :returns: int64 [N], the claims with the losers' set to -1.
    """
    claiming = np.flatnonzero(claim >= 0)
    kept: NDArray[np.int64] = claim.copy()
    kept[claiming[_outdone(claim[claiming], cost[claiming])]] = -1
    return kept


def _outdone(places: NDArray[np.int64], ranks: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of those in one place are not the first of them by rank; of equal ranks the lower index is first; bool."""
    lost = np.zeros(len(places), bool)
    ordered = np.sort(places)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(shared) == 0:
        return lost
    # Few share a place as a rule, so that only those few are sorted by rank.
    found = np.minimum(np.searchsorted(shared, places), len(shared) - 1)
    rows = np.flatnonzero(shared[found] == places)
    rows = rows[np.lexsort((ranks[rows], places[rows]))]
    lost[rows[1:]] = places[rows[1:]] == places[rows[:-1]]
    return lost


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
    # The few pairs that are near, and of them for each track and for each detection the most alike.
    track, detection = np.divmod(np.flatnonzero(squared <= radius**2), len(points))
    alike = similarity(descriptors[track], candidates[detection])
    order = np.argsort(-alike, kind="stable")[::-1]
    # The last to write into a place keeps it.
    best_of_track, best_of_detection = np.full(len(predicted), -1), np.full(len(points), -1)
    best_of_track[track[order]] = order
    best_of_detection[detection[order]] = order
    pair = best_of_track[best_of_track >= 0]
    pair = pair[(best_of_detection[detection[pair]] == pair) & (alike[pair] >= least)]
    claim = np.full(len(predicted), -1)
    claim[track[pair]] = detection[pair]
    return claim


def crowded(points: Float32, ids: NDArray[np.uint32], radius: float) -> NDArray[np.bool_]:
    """Which tracks share a cell as wide as the radius with an older one.

    :param points: float32 [N, 2], pixels.
    :param ids: uint32 [N], lower is older.
    :param radius: pixels.
    :returns: bool [N].
    """
    x, y = np.maximum(points.T / np.float32(max(radius, 1e-3)), 0).astype(np.int64)
    return _outdone(y * (x.max(initial=0) + 1) + x, ids)
