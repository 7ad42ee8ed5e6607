from __future__ import annotations

import numpy as np
import pytest
from test_pose import LOOSE, observed, scene

from kp_ros.odometry.noise import Noise
from kp_ros.odometry.pose import fit_pose


def learnt(pixels: float, depth: float, images: int = 40) -> Noise:
    """What is learnt of keypoints taken for half a pixel and depths taken for 0.01 good, when they are not."""
    points, pose = scene(200)
    noise = Noise()
    for seed in range(images):
        seen = observed(points, pose, pixels, seed, depth=0.01)
        random = np.random.default_rng(1000 + seed)
        seen.depths.inverse[:] += random.normal(0, 1, 200) * np.sqrt(max(depth**2 - 0.01**2, 0))
        seen.whitening[:] /= noise.keypoints
        seen.depths.deviation[:] *= noise.depths
        noise = noise.learnt(fit_pose(points, seen, pose, np.ones(200), LOOSE), points.variance)
    return noise


@pytest.mark.parametrize(("pixels", "depth"), [(0.5, 0.01), (1.0, 0.01), (0.4, 0.04)])
def test_the_noise_is_learnt(pixels: float, depth: float) -> None:
    noise = learnt(pixels, depth)
    assert noise.keypoints == pytest.approx(pixels / 0.5, rel=0.15)
    assert noise.depths == pytest.approx(depth / 0.01, rel=0.25)


def test_the_factors_are_bounded() -> None:
    noise = learnt(0.05, 0.01)
    assert noise.keypoints == 0.6
    assert noise.depths >= 1.0


def test_a_few_points_teach_nothing() -> None:
    points, pose = scene(20)
    fit = fit_pose(points, observed(points, pose, 3.0), pose, np.ones(20), LOOSE)
    assert Noise().learnt(fit, points.variance) == Noise()
