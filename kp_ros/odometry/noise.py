"""How noisy observations are is learnt from what they depart by: cameras, trackers and depth sensors differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_ros.odometry.base import Float64
from kp_ros.odometry.median import median
from kp_ros.odometry.pose import PoseFit
from kp_ros.odometry.projection import MEDIAN_CHI_SQUARE

#: How fast it is learnt, as the share of an image.
_SPEED = 0.2
#: Bounds of the factors: on the deviation of keypoints and on that of depths, whose errors repeat from image to image
#: and are never taken for less than the options say.
_KEYPOINTS, _DEPTHS = (0.6, 2.0), (1.0, 20.0)
#: Fewer observations than this teach nothing.
_FEWEST = 40
#: A Gaussian's median magnitude.
_MEDIAN_MAGNITUDE = 0.6745


@dataclass(frozen=True)
class Noise:
    """Factors on the deviations that the options tell.

    :ivar keypoints: on that of keypoints.
    :ivar depths: on that of measured depths or disparities.
    """

    keypoints: float = 1.0
    depths: float = 1.0

    def learnt(self, fit: PoseFit, variance: Float64) -> Noise:
        """Follow what the points of an image depart by.

        :param fit: of the image's pose; its errors are in deviations as these factors had them.
        :param variance: float64 [N], of its points' inverse depths.
        """
        linear = fit.linearised
        keypoints, depths = self.keypoints, self.depths
        if linear.valid.sum() >= _FEWEST:
            error, by_depth = linear.error[:2], linear.by_depth[:2]
            uncertain = variance / (1 + variance * (by_depth**2).sum(0))
            squared = ((error**2).sum(0) - uncertain * (by_depth * error).sum(0) ** 2)[linear.valid]
            keypoints = _followed(keypoints, (median(squared) / MEDIAN_CHI_SQUARE) ** 0.5, _KEYPOINTS)
        judged = fit.inliers & linear.measured
        if judged.sum() >= _FEWEST:
            own = linear.error[2, judged] / np.sqrt(1 + variance[judged] * linear.by_depth[2, judged] ** 2)
            depths = _followed(depths, median(np.abs(own)) / _MEDIAN_MAGNITUDE, _DEPTHS)
        return Noise(keypoints, depths)


def _followed(factor: float, departure: float, bounds: tuple[float, float]) -> float:
    return float(np.clip(factor * max(departure, 1e-3) ** _SPEED, *bounds))
