"""What a training step sees of a frame, and changes of it that keep K, depth and pose true.

Mirror images are not among them: no camera motion makes one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from training.data.sequence import Depth, Image, Mask, SequenceFrame

#: OpenCV's k1 k2 p1 p2 k3 k4 k5 k6.
COEFFICIENTS = 8


@dataclass(frozen=True, eq=False)
class View:
    """A frame on its way into a batch.

    :ivar image: uint8 [H, W] or [H, W, 3].
    :ivar valid: bool [H, W], false in padding and outside the scene.
    :ivar intrinsics: float64 [3, 3], K; None where it is not known.
    :ivar distortion: float64 [8], k1 k2 p1 p2 k3 k4 k5 k6.
    :ivar from_world: float64 [4, 4], camera from world; None where it is not known.
    :ivar depth: float32 [H, W], metres, 0 where unknown (the sky too: it is at no distance that counts); or None.
    """

    image: Image
    valid: Mask
    intrinsics: NDArray[np.float64] | None = None
    distortion: NDArray[np.float64] | None = None
    from_world: NDArray[np.float64] | None = None
    depth: Depth | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.image.shape[:2]
        return width, height


def view_of(frame: SequenceFrame) -> View:
    """The view of a loaded frame. What a fisheye lens saw is brought into a pinhole's image of equal focal length."""
    depth = None if frame.depth is None else np.where(np.isfinite(frame.depth), frame.depth, 0).astype(np.float32)
    from_world = None if frame.pose is None else np.asarray(np.linalg.inv(frame.pose), np.float64)
    if frame.camera is None:
        return View(frame.image, frame.mask, depth=depth)
    if frame.camera.model == "equidistant":
        return _rectified(frame, depth, from_world)
    return View(frame.image, frame.mask, frame.camera.matrix, _coefficients(frame.camera), from_world, depth)


def _coefficients(camera: Camera) -> NDArray[np.float64]:
    """The first eight coefficients: thin prisms and tilt, which calibrations hardly ever hold, are left out."""
    values = np.zeros(COEFFICIENTS)
    given = camera.distortion[:COEFFICIENTS]
    values[: len(given)] = given
    return values


def _rectified(frame: SequenceFrame, depth: Depth | None, from_world: NDArray[np.float64] | None) -> View:
    camera = frame.camera
    assert camera is not None
    size = (camera.width, camera.height)
    maps = cv2.fisheye.initUndistortRectifyMap(
        camera.matrix, camera.distortion, np.eye(3), camera.matrix, size, cv2.CV_32FC1
    )
    inside = cv2.remap(frame.mask.astype(np.uint8), *maps, cv2.INTER_NEAREST)
    return View(
        np.asarray(cv2.remap(frame.image, *maps, cv2.INTER_LINEAR), np.uint8),
        np.asarray(inside > 0, np.bool_),
        camera.matrix,
        np.zeros(COEFFICIENTS),
        from_world,
        None if depth is None else np.asarray(cv2.remap(depth, *maps, cv2.INTER_NEAREST), np.float32),
    )


def resized(view: View, width: int, height: int) -> View:
    """The same view with other pixels."""
    if view.size == (width, height):
        return view
    scale = np.array([width / view.size[0], height / view.size[1]])
    intrinsics = None
    if view.intrinsics is not None:
        intrinsics = view.intrinsics.copy()
        intrinsics[:2] *= scale[:, None]
        # Pixel centres are at integers, so it is the pixel's corner at -0.5 that keeps its place.
        intrinsics[:2, 2] = (view.intrinsics[:2, 2] + 0.5) * scale - 0.5
    smaller = scale.min() < 1
    return replace(
        view,
        image=_resize(view.image, width, height, cv2.INTER_AREA if smaller else cv2.INTER_LINEAR),
        valid=_resize(view.valid.astype(np.uint8), width, height, cv2.INTER_NEAREST_EXACT) > 0,
        intrinsics=intrinsics,
        # Not the mean: between two depths at an edge there is no surface.
        depth=None if view.depth is None else _nearest(view.depth, width, height),
    )


def _resize(image: Image, width: int, height: int, how: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def _nearest(depth: Depth, width: int, height: int) -> Depth:
    return np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.float32)


def window(view: View, left: int, top: int, width: int, height: int) -> View:
    """A rectangle of the view: a crop where it lies inside, padding (0, not valid) where it does not.

    A shift is a window of the view's own size at another place.
    """
    x, y = view.size
    source = np.s_[max(0, top) : max(0, min(y, top + height)), max(0, left) : max(0, min(x, left + width))]
    start_x, start_y = max(0, -left), max(0, -top)

    def cut(values: NDArray[np.generic]) -> NDArray[np.generic]:
        part = values[source]
        framed = np.zeros((height, width, *values.shape[2:]), values.dtype)
        framed[start_y : start_y + part.shape[0], start_x : start_x + part.shape[1]] = part
        return framed

    intrinsics = None
    if view.intrinsics is not None:
        intrinsics = view.intrinsics.copy()
        intrinsics[:2, 2] -= (left, top)
    return replace(
        view,
        image=np.asarray(cut(view.image), np.uint8),
        valid=np.asarray(cut(view.valid), np.bool_),
        intrinsics=intrinsics,
        depth=None if view.depth is None else np.asarray(cut(view.depth), np.float32),
    )


def turned(view: View, quarters: int) -> View:
    """The view of a camera that is rolled by quarter turns: the image turns counter-clockwise.

    The camera turns with its image: x' = y, y' = -x, once a quarter.
    """
    for _ in range(quarters % 4):
        view = _turned_once(view)
    return view


def _turned_once(view: View) -> View:
    intrinsics, distortion, from_world = view.intrinsics, view.distortion, view.from_world
    if intrinsics is not None:
        # A pixel (u, v) comes to (v, width - 1 - u), a ray (x, y) to (y, -x).
        fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
        intrinsics = np.array([[fy, 0, cy], [0, fx, view.size[0] - 1 - cx], [0, 0, 1.0]])
    if distortion is not None:
        # The tangential part is a vector that turns along: p1' = -p2, p2' = p1.
        distortion = distortion.copy()
        distortion[2], distortion[3] = -distortion[3], distortion[2]
    if from_world is not None:
        roll = np.array([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        from_world = roll @ from_world
    return View(
        np.ascontiguousarray(np.rot90(view.image)),
        np.ascontiguousarray(np.rot90(view.valid)),
        intrinsics,
        distortion,
        from_world,
        None if view.depth is None else np.ascontiguousarray(np.rot90(view.depth)),
    )
