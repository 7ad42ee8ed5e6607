"""Depth images and right images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kp_ros.odometry.rgbd_depth import look_up
from kp_ros.odometry.stereo_matching import match_right


def plane(height: int = 60, width: int = 80) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Inverse depth 0.4 at the left and 0.48 at the right edge."""
    inverse = 0.4 + 0.001 * np.arange(width)
    return np.broadcast_to(1 / inverse, (height, width)).astype(np.float32).copy()


def test_depth_on_a_slope_is_interpolated() -> None:
    found = look_up(plane(), np.array([[40.25, 30.0]], np.float32), 0.001, 0.002, 0.5)
    assert found.inverse[0] == pytest.approx(0.4 + 0.001 * 40.25, abs=1e-6)
    # The noise 0.001 / z^2 + 0.002, and half a pixel of slope.
    assert found.deviation[0] == pytest.approx(np.hypot(0.001 * 0.44**2 + 0.002, 0.0005), rel=0.02)


def test_edges_and_holes_and_borders_have_no_depth() -> None:
    depth = plane()
    depth[:, 50:] = 1.0
    depth[10, 10], depth[20, 20] = 0, np.nan
    keypoints = np.array([[50, 30], [48, 30], [10, 10], [21.6, 20], [0, 0], [79, 59], [30, 30], [60, 30]], np.float32)
    known = np.isfinite(look_up(depth, keypoints, 0.001, 0.002, 0.5).inverse)
    assert known.tolist() == [False, False, False, False, False, False, True, True]
    assert len(look_up(depth, keypoints[:0], 0.001, 0.002, 0.5).inverse) == 0


def test_noise_beyond_what_was_said_makes_depth_uncertain() -> None:
    noisy = plane() * (1 + np.random.default_rng(0).normal(0, 0.004, (60, 80))).astype(np.float32)
    keypoints = np.array([[30, 30]], np.float32)
    calm, rough = (look_up(depth, keypoints, 0.0, 0.0005, 0.1) for depth in (plane(), noisy))
    assert rough.deviation[0] > 1.5 * calm.deviation[0]


@pytest.fixture(scope="module")
def texture() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    random = np.random.default_rng(0).normal(size=(200, 500)).astype(np.float32)
    smooth = cv2.GaussianBlur(random, (0, 0), 2.0)
    return ((smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255).astype(np.uint8)


def shifted(image: np.ndarray[tuple[int, int], np.dtype[np.uint8]], disparity: float) -> np.ndarray:  # type: ignore[type-arg]
    """The right image of a plane: its points lie so much farther left."""
    matrix = np.array([[1, 0, -disparity], [0, 1, 0]])
    return cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("disparity", [0.0, 3.3, 17.75, 41.5])
def test_disparities_are_found_to_a_fraction_of_a_pixel(texture, disparity: float) -> None:  # type: ignore[no-untyped-def]
    x, y = np.meshgrid(np.arange(80, 480, 20.3), np.arange(20, 180, 20.7))
    keypoints = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    right = (shifted(texture, disparity) * 0.8 + 12).astype(np.uint8)
    unknown = np.full(len(keypoints), np.nan)
    found = match_right(texture, right, keypoints, unknown, 60, 0.1)
    good = np.isfinite(found.value)
    assert good.mean() > 0.85
    np.testing.assert_allclose(found.value[good], disparity, atol=0.12)
    assert (found.deviation[good] >= 0.1).all()
    near = match_right(
        texture,
        right,
        keypoints,
        unknown + 0 if disparity is None else np.full(len(x.ravel()), disparity + 0.8),
        60,
        0.1,
    )
    np.testing.assert_allclose(near.value[np.isfinite(near.value)], disparity, atol=0.12)


def test_what_the_right_image_does_not_show_is_not_found(texture) -> None:  # type: ignore[no-untyped-def]
    keypoints = np.array([[100, 50], [200, 80], [300, 120]], np.float32)
    unknown = np.full(3, np.nan)
    other = np.ascontiguousarray(texture[::-1, ::-1])
    assert np.isnan(match_right(texture, other, keypoints, unknown, 60, 0.1).value).all()
    flat = np.full_like(texture, 100)
    assert np.isnan(match_right(flat, flat, keypoints, unknown, 60, 0.1).value).all()
    stripes = np.tile((128 + 100 * np.sin(np.arange(500) * 2 * np.pi / 12)).astype(np.uint8), (200, 1))
    assert np.isnan(match_right(stripes, stripes, keypoints, unknown, 60, 0.1).value).all()
