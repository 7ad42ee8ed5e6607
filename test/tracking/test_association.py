from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.tracking.association import Lookup, crowded, search, similarity_matrix, unique_claims

SHAPE = (120, 160)


def places(seed: int, count: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, SHAPE[::-1], (count, 2)).astype(np.float32)


def descriptors(seed: int, count: int, kind: str) -> NDArray[np.float32] | NDArray[np.uint8]:
    noise = np.random.default_rng(seed)
    if kind == "binary":
        return noise.integers(0, 256, (count, 32), dtype=np.uint8)
    values = noise.normal(size=(count, 16)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def test_the_nearest_is_the_nearest_of_all() -> None:
    # So far apart that no two share a cell: of several in one the first alone is found, as the class says.
    x, y = np.meshgrid(np.arange(2, 160, 8), np.arange(2, 120, 8))
    points = (np.stack([x.ravel(), y.ravel()], 1) + places(0, x.size) / 80).astype(np.float32)
    queries = places(1, 500)
    found, distance = Lookup(points, SHAPE, 3.0).nearest(queries)
    distances = np.linalg.norm(queries[:, None] - points, axis=2)
    expected = np.where(distances.min(1) <= 3, distances.argmin(1), -1)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(distance[found >= 0], distances.min(1)[found >= 0], atol=1e-4)


def test_nothing_is_near_where_there_is_nothing() -> None:
    found, _ = Lookup(np.zeros((0, 2), np.float32), SHAPE, 2.0).nearest(places(0, 10))
    assert (found == -1).all()


def test_queries_outside_the_image_find_what_is_near() -> None:
    found, _ = Lookup(np.array([[0, 0]], np.float32), SHAPE, 2.0).nearest(
        np.array([[-1, -1], [-900, 5000]], np.float32)
    )
    assert found.tolist() == [0, -1]


def test_a_detection_stays_with_the_cheapest_claim() -> None:
    claim = np.array([4, -1, 4, 7, 4, 7])
    cost = np.array([2.0, 0.0, 1.0, 3.0, 1.0, 5.0], np.float32)
    assert unique_claims(claim, cost).tolist() == [-1, -1, 4, 7, -1, -1]


def test_of_those_in_one_cell_the_oldest_stays() -> None:
    points = np.array([[3.1, 3.1], [3.2, 3.4], [40, 9], [3.3, 3.0]], np.float32)
    assert crowded(points, np.array([8, 5, 1, 9], np.uint32), 1.5).tolist() == [True, False, False, True]


@pytest.mark.parametrize("kind", ["float", "binary"])
def test_search_finds_the_mutually_best_within_the_radius(kind: str) -> None:
    lost, points = places(2, 60), places(3, 400)
    a, b = descriptors(4, 60, kind), descriptors(5, 400, kind)
    b[:30] = a[:30]
    points[:20] = lost[:20] + 2
    alike = similarity_matrix(a, b)
    alike[np.linalg.norm(lost[:, None] - points, axis=2) > 12] = -1
    best = alike.argmax(1)
    mutual = (alike.argmax(0)[best] == np.arange(60)) & (alike.max(1) >= 0.5)
    found = search(lost, a, points, b, 12.0, 0.5)
    np.testing.assert_array_equal(found, np.where(mutual, best, -1))
    assert (found[:20] == np.arange(20)).all()
