"""Error of a relative pose as a loss (Bhowmik et al., Reinforced Feature Points, CVPR 2020)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def pose_error(estimated: NDArray[np.float64], true: NDArray[np.float64], shortest: float = 1e-6) -> float:
    """The larger of rotation error and error of the translation's direction, degrees.

    :param estimated: [3, 4] or [4, 4], second camera from first.
    :param true: the same, metric.
    :param shortest: a true translation shorter than this, metres, has no direction, and the rotation alone counts.
    """
    cosine = (np.trace(estimated[:3, :3].T @ true[:3, :3]) - 1) / 2
    rotation = math.degrees(math.acos(float(np.clip(cosine, -1, 1))))
    lengths = float(np.linalg.norm(estimated[:3, 3])), float(np.linalg.norm(true[:3, 3]))
    if lengths[1] < shortest:
        return rotation
    if lengths[0] == 0:
        return 180.0
    cosine = float(estimated[:3, 3] @ true[:3, 3]) / (lengths[0] * lengths[1])
    return max(rotation, math.degrees(math.acos(float(np.clip(cosine, -1, 1)))))


def pose_loss(error: float | None, knee: float = 25.0, cap: float = 75.0) -> float:
    """The error up to ``knee``, sqrt(knee x error) above it, at most ``cap``; a failed estimate (None) is the cap."""
    if error is None:
        return cap
    return min(error if error <= knee else math.sqrt(knee * error), cap)
