"""From pixels to rays, and how long a pixel is there."""

from __future__ import annotations

import cv2
import numpy as np

from kp_ros.camera import Camera
from kp_ros.features import Float32
from kp_ros.odometry.base import Float64

#: Distance of the nodes that a distorted lens is looked up between, pixels.
_SPACING = 8


class Lens:
    """Looks up rays and the local scale of a camera.

    Errors are small, so an error on the unit plane is turned into pixels by the derivative of the projection at the
    observed point, whatever the lens. For a lens with distortion both are interpolated on a grid of
    :meth:`kp_ros.camera.Camera.rays`, which is off by a hundredth of a pixel at most.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        #: Float: pixels in the unit plane's unit, on average at the centre.
        self.focal = float(camera.matrix[0, 0] + camera.matrix[1, 1]) / 2
        self._grid: Float32 | None = None
        if camera.model == "equidistant" or camera.distortion.any():
            self._grid = _grid(camera)

    def __call__(self, keypoints: Float32) -> tuple[Float64, Float64]:
        """Rays and scales of pixels.

        :param keypoints: float32 [N, 2], pixels.
        :returns: float64 [N, 3], z = 1, NaN where the lens has no inverse; float64 [N, 2, 2], derivative of pixels by
            the unit plane.
        """
        count = len(keypoints)
        if self._grid is None:
            scales = np.broadcast_to(self.camera.matrix[:2, :2], (count, 2, 2)).copy()
            return self.camera.rays(keypoints).astype(np.float64), scales
        if count == 0:
            return np.zeros((0, 3)), np.zeros((0, 2, 2))
        places = (keypoints / np.float32(_SPACING))[None] + np.float32(1)
        looked = [
            cv2.remap(part, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
            for part in (self._grid[..., :3], self._grid[..., 3:])
        ]
        rays = np.concatenate([looked[0][:, :2], np.ones((count, 1), np.float32)], axis=1).astype(np.float64)
        rays[~np.isfinite(looked[0]).all(1)] = np.nan
        inverse = np.concatenate([looked[0][:, 2:], looked[1]], axis=1).astype(np.float64)
        return rays, _inverted(inverse.reshape(-1, 2, 2))


def _grid(camera: Camera) -> Float32:
    """Float32 [h, w, 6]: the ray's x and y and their four derivatives by pixels, at nodes from one spacing outside."""
    x = np.arange(-_SPACING, camera.width + 2 * _SPACING, _SPACING, dtype=np.float32)
    y = np.arange(-_SPACING, camera.height + 2 * _SPACING, _SPACING, dtype=np.float32)
    nodes = np.stack(np.meshgrid(x, y), axis=-1)
    shape = nodes.shape[:2]

    def plane(offset: tuple[float, float]) -> Float64:
        return (
            camera.rays((nodes + np.array(offset, np.float32)).reshape(-1, 2))[:, :2]
            .reshape(*shape, 2)
            .astype(np.float64)
        )

    by_x, by_y = plane((0.5, 0)) - plane((-0.5, 0)), plane((0, 0.5)) - plane((0, -0.5))
    derivative = np.stack([by_x[..., 0], by_y[..., 0], by_x[..., 1], by_y[..., 1]], axis=-1)
    return np.ascontiguousarray(np.concatenate([plane((0, 0)), derivative], axis=-1), np.float32)


def _inverted(matrices: Float64) -> Float64:
    """Inverses of float64 [N, 2, 2]."""
    (a, b), (c, d) = (matrices[:, 0, 0], matrices[:, 0, 1]), (matrices[:, 1, 0], matrices[:, 1, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.stack([d, -b, -c, a], axis=-1).reshape(-1, 2, 2) / (a * d - b * c)[:, None, None])
