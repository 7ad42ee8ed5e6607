from itertools import product

import cv2
import numpy as np
import pytest
import torch

from training.estimators.base import EstimatorSettings, Library, Model, Points
from training.estimators.run import estimate_all, estimate_matches, inlier_mask, make_estimator
from training.geometry.matching import Matches

ROTATION = cv2.Rodrigues(np.array([0.05, 0.2, -0.03]))[0]
TRANSLATION = np.array([0.8, 0.1, 0.2]) / np.linalg.norm([0.8, 0.1, 0.2])
K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
HOMOGRAPHY = np.array([[1.1, 0.05, -20], [-0.03, 0.95, 14], [1e-4, -5e-5, 1]])
KINDS = list(product(Model, Library))


def scene(model: Model, count: int = 300, wrong: int = 100, seed: int = 0) -> tuple[Points, Points, np.ndarray]:
    """Point pairs in the model's unit, the first ``wrong`` of them false, and which are true."""
    rng = np.random.default_rng(seed)
    solid = np.column_stack([rng.uniform(-1, 1, (count, 2)) * 3, rng.uniform(4, 10, count)])
    other = solid @ ROTATION.T + TRANSLATION
    first, second = solid[:, :2] / solid[:, 2:], other[:, :2] / other[:, 2:]
    if model is not Model.ESSENTIAL:
        first, second = first * 500 + [320, 240], second * 500 + [320, 240]
    if model is Model.HOMOGRAPHY:
        second = cv2.perspectiveTransform(first[:, None], HOMOGRAPHY)[:, 0]
    scale = 1 / 500 if model is Model.ESSENTIAL else 1
    second = second + rng.normal(size=second.shape) * 0.2 * scale
    second[:wrong] = rng.permutation(second[:wrong]) + rng.uniform(20, 60, (wrong, 2)) * scale
    return first, second, np.arange(count) >= wrong


def settings(model: Model, library: Library) -> EstimatorSettings:
    return EstimatorSettings(model, library, 1 / 500 if model is Model.ESSENTIAL else 1.0)


def truth(model: Model) -> np.ndarray:
    x, y, z = TRANSLATION
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ ROTATION
    if model is Model.HOMOGRAPHY:
        return HOMOGRAPHY
    return essential if model is Model.ESSENTIAL else np.linalg.inv(K).T @ essential @ np.linalg.inv(K)


@pytest.mark.parametrize(("model", "library"), KINDS)
def test_the_model_and_its_inliers_are_found(model: Model, library: Library) -> None:
    first, second, right = scene(model)
    found = make_estimator(settings(model, library))(first, second)
    assert found is not None
    assert (found.inliers & right).sum() > 0.9 * right.sum() and (found.inliers & ~right).sum() < 10
    p, q = (np.column_stack([x, np.ones(len(x))])[right] for x in (first, second))
    if model is Model.HOMOGRAPHY:
        mapped = p @ found.matrix.T
        assert np.abs(mapped[:, :2] / mapped[:, 2:] - q[:, :2]).mean() < 0.5
    else:
        lines = p @ found.matrix.T
        across = np.abs((lines * q).sum(1)) / np.linalg.norm(lines[:, :2], axis=1)
        assert across.mean() < 0.5 * settings(model, library).threshold
    normalised, expected = (m / np.linalg.norm(m) for m in (found.matrix, truth(model)))
    assert min(np.abs(normalised - expected).max(), np.abs(normalised + expected).max()) < 0.05


@pytest.mark.parametrize("library", Library)
def test_an_essential_matrix_comes_with_its_pose(library: Library) -> None:
    found = make_estimator(settings(Model.ESSENTIAL, library))(*scene(Model.ESSENTIAL)[:2])
    assert found is not None and found.pose is not None
    np.testing.assert_allclose(found.pose[:, :3], ROTATION, atol=0.01)
    np.testing.assert_allclose(found.pose[:, 3], TRANSLATION, atol=0.05)
    assert np.linalg.norm(found.matrix) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(("model", "library"), KINDS)
def test_failure_is_none(model: Model, library: Library) -> None:
    estimator = make_estimator(settings(model, library))
    assert estimator(np.zeros((3, 2)), np.zeros((3, 2))) is None
    assert estimator(np.zeros((0, 2)), np.zeros((0, 2))) is None


@pytest.mark.parametrize(("model", "library"), KINDS)
def test_threads_and_repetition_change_nothing(model: Model, library: Library) -> None:
    pairs = [scene(model, wrong=180, seed=k)[:2] for k in range(6)]
    estimator = make_estimator(settings(model, library))
    alone = estimate_all(estimator, pairs, threads=1)
    for run in (estimate_all(estimator, pairs, threads=3), estimate_all(estimator, pairs[::-1], threads=3)[::-1]):
        for a, b in zip(alone, run, strict=True):
            assert a is not None and b is not None
            assert np.array_equal(a.matrix, b.matrix) and np.array_equal(a.inliers, b.inliers)


def test_matches_of_a_batch_are_estimated_and_scattered_back() -> None:
    first, second, right = scene(Model.FUNDAMENTAL, 60, 10)
    order = np.random.default_rng(1).permutation(60)
    matched = torch.ones(2, 60, dtype=torch.bool)
    matched[0, 59] = False
    matched[1, 7:] = False
    partner = torch.from_numpy(np.argsort(order)).expand(2, -1)
    both = torch.from_numpy(np.stack([first, first])), torch.from_numpy(np.stack([second[order], second[order]]))
    matches = Matches(partner, matched)
    estimates = estimate_matches(make_estimator(settings(Model.FUNDAMENTAL, Library.POSELIB)), *both, matches)
    assert estimates[0] is not None and estimates[1] is None
    inliers = inlier_mask(matches, estimates)
    assert inliers[0].sum() >= 45 and inliers[0, ~torch.from_numpy(right)].sum() < 3
    assert not inliers[0, 59] and not inliers[1].any()
