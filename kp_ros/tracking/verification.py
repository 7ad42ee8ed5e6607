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
    params.loIterations = 5
    params.loSampleSize = 14
    params.final_polisher = cv2.LSQ_POLISHER
    params.final_polisher_iterations = 3
    return params


def sampson(
    matrix: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """First-order distance of correspondences to an epipolar geometry (Hartley and Zisserman, 2nd ed., eq. 11.9).

    :param matrix: float64 [3, 3], second^T matrix first = 0.
    :param first: float64 [N, 2].
    :param second: float64 [N, 2].
    :returns: float64 [N], in the unit of the points.
    """
    a = np.column_stack([first, np.ones(len(first))])
    b = np.column_stack([second, np.ones(len(second))])
    line, back = a @ matrix.T, b @ matrix
    algebraic = np.einsum("ij,ij->i", b, line)
    gradient = line[:, 0] ** 2 + line[:, 1] ** 2 + back[:, 0] ** 2 + back[:, 1] ** 2
    return np.asarray(np.abs(algebraic) / np.sqrt(np.maximum(gradient, 1e-18)))


def epipolar_distance(first: Float32, second: Float32, camera: Camera | None, threshold: float, fit_on: int) -> Float32:
    """How far each correspondence is from the epipolar geometry of the two frames.

    With a camera this is an essential matrix on undistorted rays, otherwise a fundamental matrix on pixels. Both come
    from a RANSAC whose seed is fixed.

    :param first: float32 [N, 2], pixels of the first frame.
    :param second: float32 [N, 2], pixels of the second.
    :param camera: intrinsics, where they are known.
    :param threshold: inlier distance, pixels.
    :param fit_on: the geometry is fitted to at most this many of the points.
    :returns: float32 [N], pixels; 0 for all where the points are too few or too degenerate to tell, infinity for all
        where there are enough and most of them fit no geometry.
    """
    unknown = np.zeros(len(first), np.float32)
    if len(first) < _FEWEST:
        return unknown
    if camera is None:
        unit, a, b = 1.0, first.astype(np.float64), second.astype(np.float64)
    else:
        unit = float(camera.matrix[0, 0] + camera.matrix[1, 1]) / 2
        a, b = camera.rays(first)[:, :2].astype(np.float64), camera.rays(second)[:, :2].astype(np.float64)
    finite = np.isfinite(np.hstack([a, b])).all(axis=1)
    chosen = np.flatnonzero(finite)
    if len(chosen) < _FEWEST:
        return unknown
    chosen = chosen[:: max(1, len(chosen) // fit_on)][:fit_on]
    params = _usac(threshold / unit)
    try:
        if camera is None:
            matrix, _ = cv2.findFundamentalMat(a[chosen], b[chosen], params)
        else:
            eye = np.eye(3)
            matrix, _ = cv2.findEssentialMat(a[chosen], b[chosen], eye, eye, np.zeros(5), np.zeros(5), params)
    except cv2.error:
        # Degenerate point sets (all on a line, all at one place) have no epipolar geometry.
        return unknown
    if matrix is None or matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return unknown
    distance = sampson(matrix, np.nan_to_num(a), np.nan_to_num(b)) * unit
    distance[~finite] = 0
    if np.median(distance) > threshold:
        return np.full(len(first), np.inf, np.float32)
    return distance.astype(np.float32)
