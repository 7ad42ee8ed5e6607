"""Depth of tracked points from a registered depth image."""

from __future__ import annotations

import numpy as np

from kp_ros.features import Float32
from kp_ros.odometry.base import Float64
from kp_ros.odometry.observations import Depths

#: Places around a point whose depth is looked at, pixels, and how far out they are.
_REACH = 2
_OFFSETS = np.stack(np.meshgrid([-_REACH, 0.0, _REACH], [-_REACH, 0.0, _REACH]), axis=-1).reshape(-1, 2)
#: Inverse depth may depart from a plane by so many deviations of its noise ...
_DEVIATIONS = 3.0
#: ... or by this share of itself: more is an edge.
_RELATIVE = 0.02


def look_up(depth: Float32, keypoints: Float32, constant: float, quadratic: float, pixels: float) -> Depths:
    """Depth at keypoints, where it is the depth of one smooth surface.

    The inverse depth of a plane is linear in the image, so a plane is fitted to the inverse depths of nine places
    around the point. What does not fit one is a depth edge, on which a keypoint often sits: it is left out. Deviation
    of depth z: ``constant + quadratic z^2``, as stereo and structured light have it (Khoshelham and Elberink, 2012).

    :param depth: float32 [H, W], metres along z; not finite or 0 where unknown.
    :param keypoints: float32 [N, 2], pixels.
    :param constant: metres.
    :param quadratic: 1 / metres.
    :param pixels: standard deviation of a keypoint: depth changes along a slope.
    """
    if len(keypoints) == 0:
        return Depths.unknown(0)
    height, width = depth.shape
    nearest = np.rint(keypoints).astype(np.int64)
    x, y = nearest.T
    inside = (x >= _REACH) & (x < width - _REACH) & (y >= _REACH) & (y < height - _REACH)
    around = (_OFFSETS @ [1, width]).astype(np.int64)
    places = np.where(inside, y * width + x, _REACH * (width + 1))[:, None] + around
    values = depth.reshape(-1).take(places, mode="clip").astype(np.float64)
    # The least of what is not a number is none, and so is the largest.
    known = inside & (values.min(1) > 0) & (values.max(1) < np.inf)
    values[~known] = 1.0
    inverse = 1 / values
    mean = inverse.mean(1)
    slope = inverse @ _OFFSETS / (_OFFSETS**2).sum(0)
    departure = inverse - mean[:, None] - slope @ _OFFSETS.T
    noise = constant * mean**2 + quadratic
    smooth = np.abs(departure).max(1) <= np.maximum(_DEVIATIONS * noise, _RELATIVE * mean)
    found = mean + np.einsum("nc,nc->n", slope, keypoints - nearest)
    deviation: Float64 = np.sqrt(noise**2 + (departure**2).mean(1) + pixels**2 * (slope**2).sum(1))
    use = known & smooth & (found > 0)
    return Depths(np.where(use, found, np.nan), np.where(use, deviation, np.nan))
