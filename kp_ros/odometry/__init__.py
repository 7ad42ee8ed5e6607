"""Visual odometry from tracks: monocular, rectified stereo and RGB-D. Free of ROS."""

from __future__ import annotations

from kp_ros.odometry.base import Estimate, Health, Landmarks, Mode, Odometry, OdometryFrame, State
from kp_ros.odometry.odometry import VisualOdometry
from kp_ros.odometry.options import OdometryOptions

__all__ = [
    "Estimate",
    "Health",
    "Landmarks",
    "Mode",
    "Odometry",
    "OdometryFrame",
    "OdometryOptions",
    "State",
    "make_odometry",
]


def make_odometry(mode: Mode, options: OdometryOptions | None = None) -> Odometry:
    """Make odometry.

    >>> odometry = make_odometry(Mode.RGBD)
    >>> estimate = odometry.process(OdometryFrame(stamp_ns, image, camera, tracks, depth=depth))

    :param mode: what tells depth.
    :param options: None takes the defaults.
    :raises kp_ros.errors.UserError: a library that odometry needs is not installed.
    """
    return VisualOdometry(mode, options or OdometryOptions())
