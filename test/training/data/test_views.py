"""Whatever is done to a view, a point of the world must be seen where the changed camera says."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.camera import Camera
from training.data.sequence import SequenceFrame
from training.data.views import View, resized, turned, view_of, window

WIDTH, HEIGHT = 64, 48
MATRIX = np.array([[60.0, 0, 30.3], [0, 62.0, 25.1], [0, 0, 1]])
DISTORTION = np.array([-0.2, 0.05, 0.01, -0.02, 0.01, 0, 0, 0])


def dot_view(pixel: tuple[int, int]) -> View:
    """A view with one bright pixel, whose depth alone is known."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    depth = np.zeros((HEIGHT, WIDTH), np.float32)
    image[pixel[1], pixel[0]] = 255
    depth[pixel[1], pixel[0]] = 4.0
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.1, -0.2, 0.3]))[0]
    pose[:3, 3] = [0.5, -0.3, 0.2]
    return View(image, np.ones((HEIGHT, WIDTH), np.bool_), MATRIX, DISTORTION, pose, depth)


def world_point(view: View, pixel: tuple[int, int], depth: float) -> NDArray[np.float64]:
    ray = cv2.undistortPoints(np.array([[pixel]], np.float64), view.intrinsics, view.distortion)[0, 0]
    assert view.from_world is not None
    return np.asarray((np.linalg.inv(view.from_world) @ np.array([*(ray * depth), depth, 1.0]))[:3], np.float64)


def projected(view: View, point: NDArray[np.float64]) -> NDArray[np.float64]:
    assert view.from_world is not None
    rotation, _ = cv2.Rodrigues(view.from_world[:3, :3])
    pixels, _ = cv2.projectPoints(point[None], rotation, view.from_world[:3, 3], view.intrinsics, view.distortion)
    return np.asarray(pixels[0, 0], np.float64)


def brightest(view: View) -> NDArray[np.float64]:
    """Where the bright dot is: its centre of mass."""
    grey = view.image[..., 0].astype(np.float64)
    y, x = np.indices(grey.shape)
    return np.array([(x * grey).sum(), (y * grey).sum()]) / grey.sum()


@pytest.mark.parametrize(
    ("change", "tolerance"),
    [
        (lambda view: turned(view, 1), 0.02),
        (lambda view: turned(view, 2), 0.02),
        (lambda view: turned(view, 3), 0.02),
        (lambda view: window(view, 12, 9, 40, 30), 0.02),
        (lambda view: window(view, -7, -5, WIDTH, HEIGHT), 0.02),
        (lambda view: resized(view, 2 * WIDTH, 2 * HEIGHT), 0.1),
        (lambda view: resized(view, WIDTH // 2, HEIGHT // 2), 0.6),
        (lambda view: resized(turned(window(view, 10, 4, 50, 40), 1), 80, 100), 0.1),
    ],
)
def test_a_point_stays_where_its_camera_sees_it(change: Callable[[View], View], tolerance: float) -> None:
    pixel = (22, 17)
    view = dot_view(pixel)
    point = world_point(view, pixel, 4.0)
    np.testing.assert_allclose(projected(view, point), pixel, atol=0.02)
    changed = change(view)
    assert changed.image.shape[:2] == changed.valid.shape
    np.testing.assert_allclose(projected(changed, point), brightest(changed), atol=tolerance)


def test_depth_goes_along_and_is_never_mixed() -> None:
    view = dot_view((22, 17))
    for changed in (turned(view, 1), window(view, 12, 9, 40, 30), resized(view, 2 * WIDTH, 2 * HEIGHT)):
        assert changed.depth is not None
        assert set(np.unique(changed.depth)) == {0.0, 4.0}
        x, y = brightest(changed).round().astype(int)
        assert changed.depth[y, x] == 4.0


def test_four_quarters_are_none() -> None:
    view = dot_view((5, 40))
    whole = turned(turned(view, 3), 1)
    np.testing.assert_array_equal(whole.image, view.image)
    for name in ("intrinsics", "distortion", "from_world", "depth"):
        np.testing.assert_allclose(getattr(whole, name), getattr(view, name), atol=1e-12)


def test_padding_is_not_valid() -> None:
    shifted = window(dot_view((22, 17)), -7, 5, WIDTH, HEIGHT)
    assert not shifted.valid[:, :7].any()
    assert not shifted.valid[-5:].any()
    assert shifted.valid[:-5, 7:].all()
    assert shifted.image[shifted.valid].any()
    far = window(dot_view((22, 17)), 1000, 0, 10, 10)
    assert not far.valid.any()


def test_images_alone_need_no_camera() -> None:
    view = View(np.zeros((6, 8), np.uint8), np.ones((6, 8), np.bool_))
    changed = resized(window(turned(view, 1), 0, 0, 4, 4), 8, 8)
    assert (changed.size, changed.intrinsics, changed.from_world, changed.depth) == ((8, 8), None, None, None)


def test_a_fisheyes_image_is_straightened() -> None:
    camera = Camera(
        200, 160, np.array([[80.0, 0, 100], [0, 80, 80], [0, 0, 1]]), np.array([0.05, 0, 0, 0]), "equidistant"
    )
    ray = np.array([[[0.8, -0.4]]])
    seen = cv2.fisheye.distortPoints(ray, camera.matrix, camera.distortion)[0, 0]
    image = np.zeros((160, 200, 3), np.uint8)
    cv2.circle(image, tuple(int(v) for v in (seen * 16).round()), 40, (255, 255, 255), -1, cv2.LINE_AA, 4)
    frame = SequenceFrame("a", 0, image, camera, np.eye(4), None, np.ones((160, 200), np.bool_))
    view = view_of(frame)
    assert view.distortion is not None
    assert not view.distortion.any()
    np.testing.assert_allclose(brightest(view), [100 + 80 * 0.8, 80 - 80 * 0.4], atol=0.6)
    assert view.valid[80, 100]


def test_the_sky_has_no_depth_in_a_view() -> None:
    depth = np.full((4, 4), np.inf, np.float32)
    depth[0] = 2.0
    view = view_of(SequenceFrame("a", 0, np.zeros((4, 4, 3), np.uint8), None, None, depth, np.ones((4, 4), np.bool_)))
    assert view.depth is not None
    assert view.depth.tolist() == [[2.0] * 4] + [[0.0] * 4] * 3
