import cv2
import numpy as np
import pytest

from training.evaluation.homography import ESTIMATORS, corner_error, estimate_homography, resizing, warp
from training.evaluation.relative_pose import EstimatorOptions

TRUTH = np.array([[1.1, 0.05, 12.0], [-0.04, 0.95, -7.0], [1e-4, 5e-5, 1.0]])


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("seed", [0, 3])
def test_every_estimator_finds_the_homography_among_outliers(name: str, seed: int) -> None:
    random = np.random.default_rng(2)
    first = random.uniform(0, (640, 480), (150, 2))
    second = warp(TRUTH, first) + random.normal(0, 0.3, first.shape)
    second[:50] = random.uniform(0, (640, 480), (50, 2))
    homography, inliers = estimate_homography(EstimatorOptions(name, 2.0), first, second, seed)
    assert corner_error(homography, TRUTH, (640, 480)) < 2.0
    assert inliers[50:].mean() > 0.95
    assert inliers[:50].mean() < 0.1


def test_three_matches_give_no_homography() -> None:
    points = np.array([[0.0, 0], [1, 0], [0, 1]])
    homography, inliers = estimate_homography(EstimatorOptions(), points, points)
    assert homography is None and not inliers.any()
    assert corner_error(None, TRUTH, (10, 10)) == float("inf")


def test_the_corner_error_of_a_shift_is_its_length() -> None:
    shift = np.array([[1, 0, 3.0], [0, 1, 4.0], [0, 0, 1]])
    assert corner_error(shift, np.eye(3), (100, 80)) == pytest.approx(5)


def test_resizing_moves_points_as_opencv_moves_pixels() -> None:
    image = np.zeros((40, 60), np.uint8)
    image[20:24, 30:34] = 255  # its centre is at (31.5, 21.5)
    half = cv2.resize(image, (30, 20), interpolation=cv2.INTER_AREA)
    rows, columns = np.nonzero(half)
    expected = [columns.mean(), rows.mean()]
    np.testing.assert_allclose(warp(resizing((60, 40), (30, 20)), np.array([[31.5, 21.5]]))[0], expected)
