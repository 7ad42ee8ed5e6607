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

    :ivar matrix: float64 [3, 3], essential with a camera, else fundamental: second^T matrix first = 0.
    :ivar camera: of both frames, where it is known.
    """

    matrix: NDArray[np.float64]
    camera: Camera | None

    def distance(self, first: Float32, second: Float32) -> Float32:
        """How far correspondences are from the geometry.

        :param first: float32 [N, 2], pixels of the first frame.
        :param second: float32 [N, 2], pixels of the second.
        :returns: float32 [N], pixels; 0 where a pixel has no ray.
        """
        return self._distance(*_on_plane(first, second, self.camera))

    def _distance(self, first: Float32, second: Float32) -> Float32:
        """The same of points where the geometry holds: on the unit plane, if the camera is known."""
        if self.camera is None:
            return sampson(self.matrix, first, second)
        distance: Float32 = sampson(self.matrix, first, second) * np.float32(self.camera.focal)
        distance[np.isnan(distance)] = 0
        return distance


def _on_plane(first: Float32, second: Float32, camera: Camera | None) -> tuple[Float32, Float32]:
    """Pixels of two frames to where their geometry is fitted."""
    if camera is None:
        return first, second
    both = camera.quick_rays(np.concatenate([first, second]))[:, :2]
    return both[: len(first)], both[len(first) :]


def fit_geometry(
    first: Float32, second: Float32, camera: Camera | None, threshold: float, fit_on: int
) -> tuple[EpipolarGeometry, Float32] | None:
    """Find the epipolar geometry of two frames, by a RANSAC whose seed is fixed.

    With a camera this is an essential matrix on undistorted rays, otherwise a fundamental matrix on pixels.

    :param first: float32 [N, 2], pixels of the first frame.
    :param second: float32 [N, 2], pixels of the second.
    :param camera: of both frames, where it is known.
    :param threshold: inlier distance, pixels.
    :param fit_on: the geometry is fitted to at most this many of the points.
    :returns: the geometry and the distances of all points from it; None where the points are too few or too degenerate
        to tell.
    """
    if len(first) < _FEWEST:
        return None
    first, second = _on_plane(first, second, camera)
    chosen = slice(None, None, max(1, len(first) // fit_on))
    a, b = first[chosen], second[chosen]
    finite = np.isfinite(a + b).all(1)
    a, b = (points[finite][:fit_on].astype(np.float64) for points in (a, b))
    if len(a) < _FEWEST:
        return None
    params = _usac(threshold if camera is None else threshold / camera.focal)
    try:
        if camera is None:
            matrix, _ = cv2.findFundamentalMat(a, b, params)
        else:
            eye = np.eye(3)
            matrix, _ = cv2.findEssentialMat(a, b, eye, eye, np.zeros(5), np.zeros(5), params)
    except cv2.error:
        # Degenerate point sets (all on a line, all at one place) have no epipolar geometry.
        return None
    if matrix is None or matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return None
    geometry = EpipolarGeometry(matrix, camera)
    return geometry, geometry._distance(first, second)
