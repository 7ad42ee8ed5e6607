"""Depth from a registered depth image, where it is that of one smooth surface.

The inverse depth of a plane is linear in the image, so a plane is fitted to the inverse depths of nine places. What
does not fit one is a depth edge, on which a keypoint often sits: it is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_ros.features import Float32
from kp_ros.odometry.base import Float64
from kp_ros.odometry.observations import Depths

#: Places around a point whose depth is looked at, as shares of how far out they are.
AROUND = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]), axis=-1).reshape(-1, 2)
#: How far out they are of a keypoint, pixels.
_REACH = 2
#: Inverse depth may depart from a plane by so many deviations of its noise ...
_DEVIATIONS = 3.0
#: ... or by this share of itself: more is an edge.
_RELATIVE = 0.02


@dataclass(frozen=True)
class Planes:
    """What a depth image shows around N places.

    :ivar inverse: float64 [N], the plane's inverse depth at the place, 1 / metres along z; NaN where there is no plane.
    :ivar slope: float64 [N, 2], its change by pixels in x and y.
    :ivar deviation: float64 [N], standard deviation of one pixel's inverse depth, by the sensor's noise and by what the
        nine depart from the plane by.
    """

    inverse: Float64
    slope: Float64
    deviation: Float64


def fit_planes(depth: Float32, places: Float32, reach: int, constant: float, quadratic: float) -> Planes:
    """Fit a plane to nine inverse depths around each place.

    Deviation of depth z: ``constant + quadratic z^2``, as stereo and structured light have it (Khoshelham and Elberink,
    2012).

    :param depth: float32 [H, W], metres along z; not finite or 0 where unknown.
    :param places: float32 [N, 2], pixels; those outside the image have no plane.
    :param reach: how far out the nine are, pixels.
    :param constant: metres.
    :param quadratic: 1 / metres.
    """
    height, width = depth.shape
    offsets = AROUND * reach
    nearest = np.rint(places).astype(np.int64)
    x, y = nearest.T
    inside = (x >= reach) & (x < width - reach) & (y >= reach) & (y < height - reach)
    around = (offsets @ [1, width]).astype(np.int64)
    indices = np.where(inside, y * width + x, reach * (width + 1))[:, None] + around
    values = depth.reshape(-1).take(indices, mode="clip").astype(np.float64)
    # The least of what is not a number is none, and so is the largest.
    known = inside & (values.min(1) > 0) & (values.max(1) < np.inf)
    values[~known] = 1.0
    inverse = 1 / values
    mean = inverse.mean(1)
    slope = inverse @ offsets / (offsets**2).sum(0)
    departure = inverse - mean[:, None] - slope @ offsets.T
    noise = constant * mean**2 + quadratic
    smooth = np.abs(departure).max(1) <= np.maximum(_DEVIATIONS * noise, _RELATIVE * mean)
    found = mean + np.einsum("nc,nc->n", slope, places - nearest)
    deviation = np.sqrt(noise**2 + (departure**2).mean(1))
    return Planes(np.where(known & smooth & (found > 0), found, np.nan), slope, deviation)


def look_up(depth: Float32, keypoints: Float32, constant: float, quadratic: float, pixels: float) -> Depths:
    """Depth at keypoints.

    :param depth: as for :func:`fit_planes`, and so are ``constant`` and ``quadratic``.
    :param keypoints: float32 [N, 2], pixels.
    :param pixels: standard deviation of a keypoint: depth changes along a slope.
    """
    planes = fit_planes(depth, keypoints, _REACH, constant, quadratic)
    deviation = np.sqrt(planes.deviation**2 + pixels**2 * (planes.slope**2).sum(1))
    return Depths(planes.inverse, np.where(np.isfinite(planes.inverse), deviation, np.nan))
