from __future__ import annotations

import numpy as np

from kp_ros.features import Float32
from kp_ros.ray_grid import RayGrid

WIDTH, HEIGHT = 203, 110


def paraboloid(points: Float32) -> Float32:
    """Quadratic in x and in y, so that nothing is lost between the nodes."""
    x, y = points.T.astype(np.float64) / 100
    rays = np.stack([x - 0.3 * x * y + 0.1 * x * x * y * y, y + 0.2 * x * x - 0.4 * y * y * x, np.ones_like(x)], 1)
    return rays.astype(np.float32)


def test_quadratics_are_met_everywhere_in_the_image() -> None:
    points = np.random.default_rng(0).uniform(0, (WIDTH - 1, HEIGHT - 1), (500, 2)).astype(np.float32)
    corners = np.array([[0, 0], [WIDTH - 1, 0], [0, HEIGHT - 1], [WIDTH - 1, HEIGHT - 1]], np.float32)
    points = np.concatenate([points, corners])
    rays = RayGrid(paraboloid, WIDTH, HEIGHT)(points)
    assert rays.dtype == np.float32
    np.testing.assert_allclose(rays, paraboloid(points)[:, :2], atol=1e-5)


def test_outside_and_beside_what_has_no_ray_there_is_none() -> None:
    def half(points: Float32) -> Float32:
        rays = paraboloid(points)
        rays[points[:, 0] > 100] = np.nan
        return rays

    rays = RayGrid(half, WIDTH, HEIGHT)(np.array([[20, 50], [180, 50], [-90, 50], [20, 4000]], np.float32))
    assert np.isfinite(rays).all(1).tolist() == [True, False, False, False]
