"""When is an image worth keeping?"""

from __future__ import annotations

from kp_ros.odometry.options import OdometryOptions


def wanted(frames: int, survival: float, parallax: float, options: OdometryOptions) -> bool:
    """Decide whether an image becomes a keyframe.

    :param frames: since the last one.
    :param survival: share of the last one's landmarks that still agree, 0 to 1.
    :param parallax: median angle between its rays and those now, rotation taken out, radians.
    :param options: holds the thresholds.
    """
    if frames < options.keyframe_gap:
        return False
    return survival < options.keyframe_survival or parallax > options.keyframe_parallax
