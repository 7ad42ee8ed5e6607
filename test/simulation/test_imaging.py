from __future__ import annotations

import cv2
import numpy as np

from kp_ros.camera import Camera
from kp_ros.simulation import Imaging, orbit, photograph, render, room

VIEW = Camera(160, 120, np.array([[115.0, 0, 79.5], [0, 115, 59.5], [0, 0, 1]]), np.zeros(0))
TRAJECTORY = orbit(seconds=2.0)
WORLD = room(seed=1)


def _photograph(index: int, imaging: Imaging) -> np.ndarray:
    return photograph(WORLD, VIEW, TRAJECTORY, index, imaging).image


def test_by_default_it_is_the_render() -> None:
    rendered = render(WORLD, VIEW, TRAJECTORY.poses[20])
    taken = photograph(WORLD, VIEW, TRAJECTORY, 20)
    np.testing.assert_array_equal(taken.image, rendered.image)
    np.testing.assert_array_equal(taken.depth, rendered.depth)


def test_noise_has_its_deviation_and_its_seed() -> None:
    clean = _photograph(20, Imaging()).astype(int)
    noisy = [_photograph(20, Imaging(noise=5.0, seed=seed)) for seed in (1, 1, 2)]
    inside = (clean > 30) & (clean < 225)
    assert abs((noisy[0] - clean)[inside].std() - 5.0) < 0.3
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert (noisy[0] != noisy[2]).any()


def test_an_open_shutter_blurs_what_moves() -> None:
    def sharpness(image: np.ndarray) -> float:
        return float(cv2.Laplacian(image, cv2.CV_32F).var())

    sharp, blurred = _photograph(20, Imaging()), _photograph(20, Imaging(shutter=0.03))
    assert sharpness(blurred) < 0.7 * sharpness(sharp)


def test_exposure_and_light_come_and_go() -> None:
    # A quarter of the period is the brightest moment, three quarters the darkest.
    swing = Imaging(exposure_swing=0.3, exposure_period=1.0)
    bright = _photograph(7, swing).mean() / _photograph(7, Imaging()).mean()
    dark = _photograph(22, swing).mean() / _photograph(22, Imaging()).mean()
    assert 1.15 < bright < 1.31
    assert 0.69 < dark < 0.75
    rolling = Imaging(light_swing=0.4)
    gains = [_photograph(i, rolling) / np.maximum(_photograph(i, Imaging()), 1.0) for i in (0, 15)]
    assert np.abs(np.median(gains[0], (0, 2)) - np.median(gains[1], (0, 2))).max() > 0.3
