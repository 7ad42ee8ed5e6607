import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.errors import UserError
from training.evaluation.relative_pose import (
    ESTIMATORS,
    FAILED,
    EstimatorOptions,
    RelativePose,
    epipolar_error,
    estimate_relative_pose,
    pose_error,
)

Rays = NDArray[np.float64]
FOCAL = 500.0


def views(outliers: int = 0) -> tuple[Rays, Rays, NDArray[np.float64]]:
    """Points seen by two cameras with some noise, and the second camera's pose; the first ``outliers`` are wrong."""
    random = np.random.default_rng(5)
    points = random.uniform((-2, -2, 4), (2, 2, 9), (200, 3))
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.05, -0.1, 0.03]))[0]
    pose[:3, 3] = (0.4, 0.1, -0.2)
    moved = points @ pose[:3, :3].T + pose[:3, 3]
    first, second = points[:, :2] / points[:, 2:], moved[:, :2] / moved[:, 2:]
    second += random.normal(0, 0.2 / FOCAL, second.shape)
    second[:outliers] = random.uniform(-0.4, 0.4, (outliers, 2))
    return first, second, pose


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_estimator_finds_the_pose_among_outliers(name: str, seed: int) -> None:
    first, second, truth = views(outliers=60)
    estimate = estimate_relative_pose(EstimatorOptions(name, 1.0), first, second, (FOCAL, FOCAL), seed)
    assert estimate is not None
    assert pose_error(estimate, truth, still=0.0) < 5.0
    # The mask is in the order of the matches, shuffled or not.
    assert estimate.inliers[60:].mean() > 0.9
    assert estimate.inliers[:60].mean() < 0.2
    assert np.linalg.norm(estimate.translation) == pytest.approx(1)


def test_too_few_matches_give_no_pose_and_the_worst_error() -> None:
    first, second, truth = views()
    assert estimate_relative_pose(EstimatorOptions(), first[:7], second[:7], (FOCAL, FOCAL)) is None
    assert pose_error(None, truth, still=0.0) == FAILED


def test_the_error_is_the_larger_angle_and_ignores_the_sign_of_the_translation() -> None:
    turn = cv2.Rodrigues(np.array([0, 0, np.radians(4)]))[0]
    truth = np.eye(4)
    truth[:3, 3] = (2, 0, 0)
    estimate = RelativePose(turn, np.array([-np.cos(np.radians(3)), np.sin(np.radians(3)), 0]), np.ones(8, np.bool_))
    assert pose_error(estimate, truth, still=0.1) == pytest.approx(4, abs=1e-6)
    sideways = RelativePose(turn, np.array([0.0, 1, 0]), np.ones(8, np.bool_))
    assert pose_error(sideways, truth, still=0.1) == pytest.approx(90)
    assert pose_error(sideways, truth, still=3.0) == pytest.approx(4, abs=1e-6)


def test_true_matches_lie_on_their_epipolar_lines() -> None:
    first, second, truth = views(outliers=40)
    right = epipolar_error(first, second, truth) < 5e-4
    assert right[40:].all()
    assert right[:40].mean() < 0.5


def test_an_unknown_estimator_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="opencv-magsac, opencv-ransac, poselib"):
        EstimatorOptions("lmeds")
    with pytest.raises(UserError, match="above 0"):
        EstimatorOptions("poselib", 0.0)
