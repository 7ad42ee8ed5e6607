from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.camera import CalibrationError, Camera, camera_from_info

MATRIX = np.array([[400.0, 0, 310], [0, 410, 250], [0, 0, 1]])
K = MATRIX.ravel().tolist()
PLUMB_BOB = [-0.28, 0.07, 0.001, -0.0005, 0.01]
RATIONAL = [0.4, 0.05, 0.0002, 0.0001, 0.001, 0.7, 0.1, 0.004]
FISHEYE = [0.01, -0.005, 0.002, -0.001]


def unit_plane_points() -> NDArray[np.float64]:
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, 15), np.linspace(-0.5, 0.5, 11))
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)


@pytest.mark.parametrize(
    ("model", "distortion"),
    [("plumb_bob", []), ("plumb_bob", PLUMB_BOB), ("plumb_bob", PLUMB_BOB[:4]), ("rational_polynomial", RATIONAL)],
)
def test_rays_invert_the_projection(model: str, distortion: list[float]) -> None:
    points = unit_plane_points()
    pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, np.array(distortion))
    rays = Camera(640, 480, MATRIX, np.array(distortion), model).rays(pixels[:, 0].astype(np.float32))
    np.testing.assert_allclose(rays, points, atol=2e-5)


def test_rays_invert_the_fisheye_projection() -> None:
    points = unit_plane_points()
    pixels, _ = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), MATRIX, np.array(FISHEYE))
    rays = Camera(640, 480, MATRIX, np.array(FISHEYE), "equidistant").rays(pixels[:, 0].astype(np.float32))
    np.testing.assert_allclose(rays, points, atol=2e-5)


@pytest.mark.parametrize(
    ("model", "distortion"), [("plumb_bob", []), ("rational_polynomial", RATIONAL), ("equidistant", FISHEYE)]
)
def test_points_are_projected_to_where_their_rays_come_from(model: str, distortion: list[float]) -> None:
    matrix = MATRIX.copy()
    matrix[0, 1] = 0.0 if distortion else 3.0
    camera = Camera(640, 480, matrix, np.array(distortion), model)
    points = unit_plane_points()
    pixels = camera.project(points * 2.5)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(camera.rays(pixels), points, atol=2e-5)
    assert camera.project(points[:0]).shape == (0, 2)


def test_rays_honour_skew_without_distortion() -> None:
    matrix = MATRIX.copy()
    matrix[0, 1] = 3.0
    points = unit_plane_points()
    pixels = (points @ matrix.T)[:, :2]
    rays = Camera(640, 480, matrix, np.zeros(0)).rays(pixels.astype(np.float32))
    np.testing.assert_allclose(rays, points, atol=2e-6)


def test_rays_are_nan_where_the_lens_has_no_inverse() -> None:
    # With k1 = -0.28 alone no point of the scene lands farther out than 0.73 focal lengths.
    camera = Camera(640, 480, MATRIX, np.array([-0.28, 0, 0, 0]))
    rays = camera.rays(np.array([[310, 250], [310 + 400 * 0.9, 250]], np.float32))
    assert np.isfinite(rays[0]).all()
    assert np.isnan(rays[1]).all()


@pytest.mark.parametrize(
    ("model", "distortion", "pixels"),
    [
        ("plumb_bob", [], 1e-4),
        ("plumb_bob", [-0.1, 0.02, 0, 0], 2e-3),
        ("plumb_bob", PLUMB_BOB, 0.02),
        ("rational_polynomial", RATIONAL, 0.01),
        ("equidistant", FISHEYE, 0.02),
    ],
)
def test_quick_rays_are_the_rays(model: str, distortion: list[float], pixels: float) -> None:
    camera = Camera(640, 480, MATRIX, np.array(distortion), model)
    points = np.random.default_rng(0).uniform(0, (639, 479), (2000, 2)).astype(np.float32)
    quick = camera.quick_rays(points)
    assert quick.dtype == np.float32
    off = np.abs(quick - camera.rays(points)) * camera.focal
    assert off.max() < pixels
    assert np.sqrt(np.mean(off**2)) < pixels / 5
    assert (quick[:, 2] == 1).all()


def test_quick_rays_are_missing_only_where_rays_are() -> None:
    camera = Camera(900, 480, MATRIX, np.array([-0.28, 0, 0, 0]))
    points = np.random.default_rng(0).uniform((-50, -50), (950, 530), (2000, 2)).astype(np.float32)
    rays, quick = camera.rays(points), camera.quick_rays(points)
    assert 0 < np.isnan(rays[:, 0]).sum() < len(points)
    np.testing.assert_array_equal(np.isnan(quick), np.isnan(rays))
    # Where the lens folds over, the rays turn faster than any grid follows.
    inner = np.abs(points - (310, 250)).max(1) < 200
    np.testing.assert_allclose(quick[inner], rays[inner], atol=1e-4)


def test_rays_of_no_points() -> None:
    assert Camera(640, 480, MATRIX, np.array(PLUMB_BOB)).rays(np.zeros((0, 2), np.float32)).shape == (0, 3)


def test_info_with_binning_and_region_gives_the_same_rays() -> None:
    full = camera_from_info(width=640, height=480, distortion_model="plumb_bob", d=PLUMB_BOB, k=K)
    part = camera_from_info(
        width=640, height=480, distortion_model="plumb_bob", d=PLUMB_BOB, k=K, binning=(2, 4), roi=(100, 40, 400, 320)
    )
    assert (part.width, part.height) == (200, 80)
    # Pixel (10, 20) of the part joins columns 120, 121 and rows 120 to 123 of the full image.
    np.testing.assert_allclose(
        part.rays(np.array([[10, 20]], np.float32)), full.rays(np.array([[120.5, 121.5]], np.float32)), atol=1e-6
    )


def test_info_without_region_means_the_whole_image() -> None:
    camera = camera_from_info(width=640, height=480, distortion_model="", d=[], k=K, binning=(0, 0), roi=(0, 0, 0, 0))
    assert (camera.width, camera.height, camera.model) == (640, 480, "plumb_bob")
    np.testing.assert_array_equal(camera.matrix, MATRIX)


def test_info_of_a_rectified_image_uses_p_without_distortion() -> None:
    p = [300.0, 0, 320, 0, 0, 300, 240, 0, 0, 0, 1, 0]
    camera = camera_from_info(
        width=640, height=480, distortion_model="plumb_bob", d=PLUMB_BOB, k=K, p=p, rectified=True
    )
    np.testing.assert_allclose(camera.rays(np.array([[470, 540]], np.float32)), [[0.5, 1, 1]])


def test_info_with_zero_coefficients_is_a_pinhole_whatever_their_number() -> None:
    camera = camera_from_info(width=640, height=480, distortion_model="rational_polynomial", d=[0.0] * 5, k=K)
    assert (len(camera.distortion), camera.model) == (0, "plumb_bob")


def test_info_of_an_uncalibrated_camera_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"K\[0\] is 0.*camera_calibration"):
        camera_from_info(width=640, height=480, distortion_model="plumb_bob", d=[], k=[0.0] * 9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"distortion_model": "spline"}, "'spline' is unknown; publish one of: equidistant"),
        ({"d": [0.1, 0.2]}, "the camera gives 2"),
        ({"k": [400.0, 0, float("nan"), 0, 400, 240, 0, 0, 1]}, "not finite"),
        ({"width": 0}, "image of 0 x 480; set its width"),
    ],
)
def test_info_that_makes_no_camera_is_refused(values: dict[str, object], message: str) -> None:
    info: dict[str, object] = {"width": 640, "height": 480, "distortion_model": "plumb_bob", "d": PLUMB_BOB, "k": K}
    with pytest.raises(CalibrationError, match=message):
        camera_from_info(**{**info, **values})  # type: ignore[arg-type]


def test_a_resize_scales_the_intrinsics() -> None:
    camera = Camera(640, 480, MATRIX, np.array(PLUMB_BOB))
    half = camera.resized(320, 240)
    # The half image's pixel (10, 20) covers columns 20, 21 and rows 40, 41.
    np.testing.assert_allclose(
        half.rays(np.array([[10, 20]], np.float32)), camera.rays(np.array([[20.5, 40.5]], np.float32)), atol=1e-6
    )
    assert camera.resized(640, 480) is camera


def test_a_resize_to_another_aspect_ratio_is_refused() -> None:
    with pytest.raises(CalibrationError, match="640 x 360, but its camera_info describes 640 x 480"):
        Camera(640, 480, MATRIX, np.zeros(0)).resized(640, 360)
