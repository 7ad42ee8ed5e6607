"""Where the camera probably is, before its image is looked at."""

from __future__ import annotations

import numpy as np

from kp_ros.odometry.base import Float64
from kp_ros.odometry.pose import Prior
from kp_ros.odometry.rigid_motion import pose_of, rotation, rotation_vector

#: Standard deviation of the prediction: of the shift as a share of the last one, and of the scene's depth ...
_SHIFT_SHARE, _SHIFT_OF_DEPTH = 0.5, 0.05
#: ... and of the turn, radians, without and with a gyroscope.
_TURN, _TURN_MEASURED = 0.1, 0.01


def predict(
    last: Float64, step: Float64, ratio: float, seconds: float, angular_velocity: Float64 | None, scene_depth: float
) -> Prior:
    """Carry the last motion on.

    :param last: float64 [4, 4], the last image's pose.
    :param step: float64 [4, 4], from the image before it to the last one.
    :param ratio: time since the last image over the time of that step.
    :param seconds: time since the last image.
    :param angular_velocity: float64 [3], radians a second in the camera's frame, where a gyroscope tells it; it takes
        the place of the last turn.
    :param scene_depth: median depth of the landmarks.
    """
    turn = rotation_vector(step[:3, :3]) * ratio
    spread = _TURN
    if angular_velocity is not None:
        turn, spread = angular_velocity * seconds, _TURN_MEASURED
    shift = step[:3, 3] * ratio
    pose = last @ pose_of(rotation(turn), shift)
    of_shift = _SHIFT_SHARE * float(np.linalg.norm(shift)) + _SHIFT_OF_DEPTH * scene_depth
    deviation = np.array([of_shift] * 3 + [spread + 0.5 * float(np.linalg.norm(turn))] * 3)
    return Prior(pose, np.diag(1 / deviation**2))
