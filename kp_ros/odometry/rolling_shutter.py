"""Most cameras read an image row by row while they move: the lower rows are seen from a later pose.

An image's pose is that of its middle row. Each point is predicted from the pose that its row was read at: to first
order, the prediction moves by the time since the middle row times the camera's velocity, which is that since the image
before (Hedborg et al., Rolling shutter bundle adjustment, 2012).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kp_ros.odometry.base import Float64
from kp_ros.odometry.observations import Observations
from kp_ros.odometry.projection import Linearised
from kp_ros.odometry.rigid_motion import velocity


def image_motion(rays: Float64, inverse_depth: Float64, speed: Float64) -> Float64:
    """How fast points move on the unit plane, float64 [2, N], a second (Longuet-Higgins and Prazdny, 1980).

    :param rays: float64 [N, 3], z = 1.
    :param inverse_depth: float64 [N], 1 / metres along z.
    :param speed: float64 [6], of the camera, metres and radians a second, its own axes.
    """
    x, y = rays[:, 0], rays[:, 1]
    return np.stack(
        [
            inverse_depth * (x * speed[2] - speed[0]) + x * y * speed[3] - (1 + x * x) * speed[4] + y * speed[5],
            inverse_depth * (y * speed[2] - speed[1]) + (1 + y * y) * speed[3] - x * y * speed[4] - x * speed[5],
        ]
    )


@dataclass(frozen=True)
class RowMotion:
    """How a camera moved while it read the rows of an image.

    :ivar delay: float64 [N], seconds from the reading of the middle row to that of each point's row.
    :ivar deviation: float64 [N], standard deviation of it.
    :ivar last: float64 [4, 4], pose of the image before.
    :ivar seconds: since then.
    """

    delay: Float64
    deviation: Float64
    last: Float64
    seconds: float

    def __getitem__(self, index: Any) -> RowMotion:
        return replace(self, delay=self.delay[index], deviation=self.deviation[index])

    def seen_by_row(self, linear: Linearised, pose: Float64) -> Linearised:
        """Predict each point from the pose of its row instead of from the image's; ``linear`` is changed.

        Where points move and it is not known yet how long the reading takes, those far from the middle row count less.
        """
        count = len(self.delay)
        speed = velocity(self.last, pose, self.seconds)
        moved = (speed @ linear.by_pose.reshape(6, -1)[:, : 2 * count]).reshape(2, count)
        linear.error[:2] -= self.delay * moved
        linear.by_pose[:, :2] *= 1 + self.delay / self.seconds
        certainty = 1 / np.sqrt(1 + self.deviation**2 * (moved[0] ** 2 + moved[1] ** 2))
        for values in (linear.error, linear.by_depth):
            values[:2] *= certainty
        linear.by_pose[:, :2] *= certainty
        return linear

    def straightened(self, observations: Observations, pose: Float64, inverse_depth: Float64) -> Observations:
        """Give the rays as the image's pose would have seen them.

        :param inverse_depth: float64 [N], 1 / metres along z.
        """
        rays = observations.rays.copy()
        rays[:, :2] -= (self.delay * image_motion(rays, inverse_depth, velocity(self.last, pose, self.seconds))).T
        return replace(observations, rays=rays)
