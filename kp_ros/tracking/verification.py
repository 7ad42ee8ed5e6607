"""Does a set of correspondences fit one rigid scene?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Float32

#: With fewer points than this the geometry is not trusted.
_FEWEST = 16


def _usac(threshold: float) -> Any:
    params = cv2.UsacParams()
    params.threshold = threshold
    params.confidence = 0.999
    params.maxIterations = 100
    params.randomGeneratorState = 0
    params.isParallel = False
    params.sampler = cv2.SAMPLING_UNIFORM
    params.score = cv2.SCORE_METHOD_MSAC
    # Its own refinement of each better sample takes a third of the time, and the last polish makes up for it.
    params.loMethod = cv2.LOCAL_OPTIM_NULL
    params.final_polisher = cv2.LSQ_POLISHER
    params.final_polisher_iterations = 3
    return params


class RayMap:
    """Looks rays up on a grid over the image: a lens with distortion costs little more than one without.

    The grid holds how far the ray of each node, eight pixels from the next, is from that of a lens without distortion.
    Between the nodes this is interpolated, which is off by a few hundredths of a pixel, and in the corners of a strong
    lens by a tenth; undistorting each point takes ten times as long. The rays themselves cannot be interpolated so:
    OpenCV rounds places to fractions of a node's distance, a tenth of a pixel.
    """

    _SPACING = 8

    def __init__(self, camera: Camera) -> None:
        """Make the map of a camera."""
        self.camera = camera
        x = np.arange(0, camera.width + self._SPACING, self._SPACING, dtype=np.float32)
        y = np.arange(0, camera.height + self._SPACING, self._SPACING, dtype=np.float32)
        nodes = np.stack(np.meshgrid(x, y), axis=-1)
        straight = self._straight(nodes.reshape(-1, 2))
        self._bent: Float32 | None = None
        if camera.model == "equidistant" or camera.distortion.any():
            self._bent = (camera.rays(nodes.reshape(-1, 2))[:, :2] - straight).reshape(nodes.shape)

    def __call__(self, points: Float32) -> Float32:
        """Pixels float32 [N, 2] to the unit plane, float32 [N, 2]; NaN where the lens model has no inverse."""
        rays = self._straight(points)
        if self._bent is not None:
            places = points[None] / np.float32(self._SPACING)
            rays += cv2.remap(self._bent, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        return rays

    def _straight(self, points: Float32) -> Float32:
        """Rays of a lens without distortion."""
        (focal_x, skew, centre_x), (_, focal_y, centre_y) = self.camera.matrix[:2].tolist()
        rays = np.empty((len(points), 2), np.float32)
        rays[:, 1] = (points[:, 1] - centre_y) / focal_y
        rays[:, 0] = (points[:, 0] - centre_x) / focal_x
        if skew:
            rays[:, 0] -= skew / focal_x * rays[:, 1]
        return rays


def sampson(matrix: NDArray[np.float64], first: Float32, second: Float32) -> Float32:
    """First-order distance of correspondences to an epipolar geometry (Hartley and Zisserman, 2nd ed., eq. 11.9).

    :param matrix: float64 [3, 3], second^T matrix first = 0.
    :param first: float32 [N, 2].
    :param second: float32 [N, 2].
    :returns: float32 [N], in the unit of the points.
    """
    matrix = matrix.astype(np.float32)
    first, second = first.T, second.T
    line = matrix[:, :2] @ first + matrix[:, 2:]
    back = matrix[:2, :2].T @ second + matrix[2:, :2].T
    algebraic = second[0] * line[0] + second[1] * line[1] + line[2]
    gradient = np.einsum("cn,cn->n", line[:2], line[:2]) + np.einsum("cn,cn->n", back, back)
    return np.asarray(np.abs(algebraic) / np.sqrt(np.maximum(gradient, 1e-12)))


@dataclass(frozen=True)
class EpipolarGeometry:
    """What ties the places of one rigid scene's points in two frames together.

    :ivar matrix: float64 [3, 3], essential with ``rays``, else fundamental: second^T matrix first = 0.
    :ivar rays: of the camera, where it is known.
    """

    matrix: NDArray[np.float64]
    rays: RayMap | None

    def distance(self, first: Float32, second: Float32) -> Float32:
        """How far correspondences are from the geometry.

        :param first: float32 [N, 2], pixels of the first frame.
        :param second: float32 [N, 2], pixels of the second.
        :returns: float32 [N], pixels; 0 where a pixel has no ray.
        """
        return self._distance(*_on_plane(first, second, self.rays))

    def _distance(self, first: Float32, second: Float32) -> Float32:
        """The same of points where the geometry holds: on the unit plane, if there are rays."""
        if self.rays is None:
            return sampson(self.matrix, first, second)
        distance: Float32 = sampson(self.matrix, first, second) * np.float32(self.rays.camera.focal)
        distance[np.isnan(distance)] = 0
        return distance


def _on_plane(first: Float32, second: Float32, rays: RayMap | None) -> tuple[Float32, Float32]:
    """Pixels of two frames to where their geometry is fitted."""
    if rays is None:
        return first, second
    both = rays(np.concatenate([first, second]))
    return both[: len(first)], both[len(first) :]


def fit_geometry(
    first: Float32, second: Float32, rays: RayMap | None, threshold: float, fit_on: int
) -> tuple[EpipolarGeometry, Float32] | None:
    """Find the epipolar geometry of two frames, by a RANSAC whose seed is fixed.

    With a camera this is an essential matrix on undistorted rays, otherwise a fundamental matrix on pixels.

    :param first: float32 [N, 2], pixels of the first frame.
    :param second: float32 [N, 2], pixels of the second.
    :param rays: of the camera, where it is known.
    :param threshold: inlier distance, pixels.
    :param fit_on: the geometry is fitted to at most this many of the points.
    :returns: the geometry and the distances of all points from it; None where the points are too few or too degenerate
        to tell.
    """
    if len(first) < _FEWEST:
        return None
    first, second = _on_plane(first, second, rays)
    chosen = slice(None, None, max(1, len(first) // fit_on))
    a, b = first[chosen], second[chosen]
    finite = np.isfinite(a + b).all(1)
    a, b = (points[finite][:fit_on].astype(np.float64) for points in (a, b))
    if len(a) < _FEWEST:
        return None
    params = _usac(threshold if rays is None else threshold / rays.camera.focal)
    try:
        if rays is None:
            matrix, _ = cv2.findFundamentalMat(a, b, params)
        else:
            eye = np.eye(3)
            matrix, _ = cv2.findEssentialMat(a, b, eye, eye, np.zeros(5), np.zeros(5), params)
    except cv2.error:
        # Degenerate point sets (all on a line, all at one place) have no epipolar geometry.
        return None
    if matrix is None or matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return None
    geometry = EpipolarGeometry(matrix, rays)
    return geometry, geometry._distance(first, second)
