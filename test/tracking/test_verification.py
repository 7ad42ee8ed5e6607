from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.tracking.verification import fit_geometry

MATRIX = np.array([[400.0, 0, 310], [0, 410, 250], [0, 0, 1]])


def pixels(count: int = 500) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, (639, 479), (count, 2)).astype(np.float32)


@pytest.mark.parametrize("distortion", [[], [-0.28, 0.07, 0.001, -0.0005, 0.01]])
def test_the_geometry_of_two_views_tells_what_does_not_belong(distortion: list[float]) -> None:
    noise, camera = np.random.default_rng(1), Camera(640, 480, MATRIX, np.array(distortion))
    scene = noise.uniform((-2, -1.5, 4), (2, 1.5, 9), (300, 3))
    views = [
        cv2.projectPoints(scene, np.array(turn), np.array(shift), MATRIX, camera.distortion)[0][:, 0].astype(np.float32)
        for turn, shift in (((0.0, 0, 0), (0.0, 0, 0)), ((0.01, 0.03, -0.02), (0.2, 0.05, 0.1)))
    ]
    first, second = views
    second[:30] += noise.choice([-12, 12], (30, 2)).astype(np.float32)
    fitted = fit_geometry(first, second, camera, 1.0, 120)
    assert fitted is not None
    geometry, distance = fitted
    assert (distance[30:] < 0.3).all()
    # What moved along its own epipolar line cannot be told.
    assert (distance[:30] > 1).sum() > 20
    np.testing.assert_allclose(geometry.distance(first, second), distance, atol=1e-4)


def test_too_few_points_tell_nothing() -> None:
    assert fit_geometry(pixels(10), pixels(10), None, 1.0, 120) is None
