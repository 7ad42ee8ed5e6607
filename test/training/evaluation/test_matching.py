import cv2
import numpy as np

from training.evaluation.matching import equal_ids, mutual_nearest_neighbours


def test_float_descriptors_match_as_opencv_matches_them() -> None:
    random = np.random.default_rng(0)
    first, second = (random.normal(size=(n, 16)).astype(np.float32) for n in (60, 70))
    first, second = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second))
    theirs = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(first, second)
    expected = sorted((match.queryIdx, match.trainIdx) for match in theirs)
    assert mutual_nearest_neighbours(first, second).tolist() == [list(pair) for pair in expected]


def test_binary_descriptors_are_compared_by_hamming_distance() -> None:
    random = np.random.default_rng(1)
    first = random.integers(0, 256, (40, 32), np.uint8)
    second = first[::-1].copy()
    second[:, 0] ^= 1
    np.testing.assert_array_equal(
        mutual_nearest_neighbours(first, second), np.stack([np.arange(40), np.arange(40)[::-1]], 1)
    )


def test_no_descriptors_give_no_matches() -> None:
    some = np.ones((3, 8), np.float32)
    assert mutual_nearest_neighbours(some, some[:0]).shape == (0, 2)
    assert mutual_nearest_neighbours(some[:, :0], some[:, :0]).shape == (0, 2)


def test_equal_ids_are_the_matches_of_tracks() -> None:
    rows = equal_ids(np.array([7, 3, 9], np.uint32), np.array([9, 4, 7], np.uint32))
    assert sorted(rows.tolist()) == [[0, 2], [2, 0]]
