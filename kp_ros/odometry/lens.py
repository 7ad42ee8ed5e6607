"""From pixels to rays, and how long a pixel is there."""

from __future__ import annotations

import cv2
import numpy as np

from kp_ros.camera import Camera
from kp_ros.features import Float32
from kp_ros.odometry.base import Float64

#: Distance of the nodes that a distorted lens is looked up between, pixels.
_SPACING = 8
#: Rays longer than this across the axis are not used: on the unit plane their errors are beyond first order.
_WIDEST = 5.0


class Lens:
    """Gives rays and the local scale of a camera.

    Errors are small, so an error on the unit plane is turned into pixels by the derivative of the projection at the
    observed point, whatever the lens. For a lens with distortion this derivative is interpolated on a grid of
    differences of :meth:`kp_ros.camera.Camera.rays`.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self._grid: Float32 | None = None
        if camera.model == "equidistant" or camera.distortion.any():
            self._grid = _grid(camera)

    def __call__(self, keypoints: Float32) -> tuple[Float64, Float64]:
        """Rays and scales of pixels.

        :param keypoints: float32 [N, 2], pixels.
        :returns: float64 [N, 3], z = 1, NaN where the lens has no inverse and farther than 79 degrees from the axis;
            float64 [N, 2, 2], derivative of pixels by the unit plane.
        """
        rays = self.camera.rays(keypoints).astype(np.float64)
        if self._grid is None:
            return rays, np.broadcast_to(self.camera.matrix[:2, :2], (len(keypoints), 2, 2)).copy()
        if len(keypoints) == 0:
            return rays, np.zeros((0, 2, 2))
        rays[~((rays[:, :2] ** 2).sum(1) < _WIDEST**2)] = np.nan
        places = (keypoints / np.float32(_SPACING))[None] + np.float32(1)
        looked = cv2.remap(self._grid, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        return rays, looked.astype(np.float64).reshape(-1, 2, 2)


def _grid(camera: Camera) -> Float32:
    """Float32 [h, w, 4]: the derivative of pixels by the unit plane, at nodes from one spacing outside the image."""
    x = np.arange(-_SPACING, camera.width + 2 * _SPACING, _SPACING, dtype=np.float32)
    y = np.arange(-_SPACING, camera.height + 2 * _SPACING, _SPACING, dtype=np.float32)
    nodes = np.stack(np.meshgrid(x, y), axis=-1)

    def plane(offset: tuple[float, float]) -> Float64:
        rays = camera.rays((nodes + np.array(offset, np.float32)).reshape(-1, 2))
        return rays[:, :2].reshape(nodes.shape).astype(np.float64)

    (a, c), (b, d) = (
        np.moveaxis(plane(ahead) - plane(behind), -1, 0)
        for ahead, behind in (((0.5, 0), (-0.5, 0)), ((0, 0.5), (0, -0.5)))
    )
    # The inverse of [[a, b], [c, d]], the derivative of the unit plane by pixels.
    with np.errstate(divide="ignore", invalid="ignore"):
        derivative = np.stack([d, -b, -c, a], axis=-1) / (a * d - b * c)[..., None]
    return np.ascontiguousarray(derivative, np.float32)
