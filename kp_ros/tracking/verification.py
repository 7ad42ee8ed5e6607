"""Does a set of correspondences fit one rigid scene?"""

from __future__ import annotations

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
    params.loMethod = cv2.LOCAL_OPTIM_INNER_LO
    params.loIterations = 3
    params.loSampleSize = 14
    params.final_polisher = cv2.LSQ_POLISHER
    params.final_polisher_iterations = 3
    return params


class RayMap:
    """Looks rays up on a grid over the image: a lens with distortion costs no more than one without.

    Between two nodes of the grid, eight pixels apart, rays are interpolated. That is off by a hundredth of a pixel
    at most with the lenses that a :class:`Camera` describes, and undistorting each point takes ten times as long.
    """

    _SPACING = 8

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        x = np.arange(0, camera.width + self._SPACING, self._SPACING, dtype=np.float32)
        y = np.arange(0, camera.height + self._SPACING, self._SPACING, dtype=np.float32)
        nodes = np.stack(np.meshgrid(x, y), axis=-1)
        self._grid = camera.rays(nodes.reshape(-1, 2))[:, :2].reshape(nodes.shape)

    def __call__(self, points: Float32) -> Float32:
        """Pixels float32 [N, 2] to the unit plane, float32 [N, 2]; NaN where the lens model has no inverse."""
        places = points[None] / np.float32(self._SPACING)
        return np.asarray(cv2.remap(self._grid, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0])


def sampson(matrix: NDArray[np.float64], first: Float32, second: Float32) -> Float32:
    """First-order distance of correspondences to an epipolar geometry (Hartley and Zisserman, 2nd ed., eq. 11.9).

    :param matrix: float64 [3, 3], second^T matrix first = 0.
    :param first: float32 [N, 2].
    :param second: float32 [N, 2].
    :returns: float32 [N], in the unit of the points.
    """
    matrix = matrix.astype(np.float32)
    line = first @ matrix[:, :2].T + matrix[:, 2]
    back = second @ matrix[:2, :2] + matrix[2, :2]
    algebraic = np.einsum("nc,nc->n", second, line[:, :2]) + line[:, 2]
    gradient = np.einsum("nc,nc->n", line[:, :2], line[:, :2]) + np.einsum("nc,nc->n", back, back)
    return np.asarray(np.abs(algebraic) / np.sqrt(np.maximum(gradient, 1e-12)))


def epipolar_distance(first: Float32, second: Float32, rays: RayMap | None, threshold: float, fit_on: int) -> Float32:
    """How far each correspondence is from the epipolar geometry of the two frames.

    With a camera this is an essential matrix on undistorted rays, otherwise a fundamental matrix on pixels. Both come
    from a RANSAC whose seed is fixed.

    :param first: float32 [N, 2], pixels of the first frame.
    :param second: float32 [N, 2], pixels of the second.
    :param rays: of the camera, where it is known.
    :param threshold: inlier distance, pixels.
    :param fit_on: the geometry is fitted to at most this many of the points.
    :returns: float32 [N], pixels; 0 for all where the points are too few or too degenerate to tell, infinity for all
        where there are enough and most of them fit no geometry.
    """
    unknown = np.zeros(len(first), np.float32)
    if len(first) < _FEWEST:
        return unknown
    if rays is None:
        unit, a, b = 1.0, first, second
    else:
        unit, a, b = float(rays.camera.matrix[0, 0] + rays.camera.matrix[1, 1]) / 2, rays(first), rays(second)
    finite = np.isfinite(a + b).all(1)
    chosen = np.flatnonzero(finite)
    if len(chosen) < _FEWEST:
        return unknown
    chosen = chosen[:: max(1, len(chosen) // fit_on)][:fit_on]
    sample, image = a[chosen].astype(np.float64), b[chosen].astype(np.float64)
    params = _usac(threshold / unit)
    try:
        if rays is None:
            matrix, _ = cv2.findFundamentalMat(sample, image, params)
        else:
            eye = np.eye(3)
            matrix, _ = cv2.findEssentialMat(sample, image, eye, eye, np.zeros(5), np.zeros(5), params)
    except cv2.error:
        # Degenerate point sets (all on a line, all at one place) have no epipolar geometry.
        return unknown
    if matrix is None or matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return unknown
    distance = np.where(finite, sampson(matrix, a, b) * np.float32(unit), np.float32(0))
    if np.median(distance) > threshold:
        return np.full(len(first), np.inf, np.float32)
    return np.asarray(distance, np.float32)
