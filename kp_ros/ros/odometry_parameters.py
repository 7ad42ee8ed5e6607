"""The parameters that the odometry node has beside those of the keypoint node."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

from kp_ros.odometry.base import Mode
from kp_ros.ros.parameters import Change, Settings, setting


@dataclass(frozen=True)
class OdometrySettings(Settings):
    """See :class:`kp_ros.ros.parameters.Settings`."""

    mode: str = setting(
        "rgbd",
        "What tells depth: nothing (mono, up to scale), a rectified second camera on right_image, or a depth image on "
        "depth that is registered with the image.",
        Change.UNCONFIGURED,
        choices=tuple(mode.value for mode in Mode),
    )
    sync_tolerance: float = setting(
        0.02,
        "The most that the stamps of an image and its right or depth image differ, seconds.",
        Change.UNCONFIGURED,
        limits=(0.0, 1.0),
    )
    sync_queue: int = setting(
        10,
        "Images of each topic that wait for their partner; older ones are left out.",
        Change.UNCONFIGURED,
        limits=(1, 100),
    )
    depth_transport: str = setting(
        "raw",
        "raw subscribes to sensor_msgs/Image on the topic depth, compressedDepth to sensor_msgs/CompressedImage on "
        "depth/compressedDepth.",
        Change.UNCONFIGURED,
        choices=("raw", "compressedDepth"),
    )
    baseline: float = setting(
        0.0,
        "Of stereo: metres from the left to the right camera. 0: as the right CameraInfo has it: -P[3] / P[0].",
        Change.UNCONFIGURED,
        limits=(0.0, 100.0),
    )
    odom_frame: str = setting(
        "odom", "The frame that poses are given in: the base as it was when odometry began.", Change.UNCONFIGURED
    )
    base_frame: str = setting(
        "base_link", "The robot's frame, whose motion is published: x forward, y left, z up.", Change.UNCONFIGURED
    )
    mounting: str = setting(
        "parameters",
        "Where the camera's pose on the robot comes from: the parameters camera_x to camera_yaw, or tf: the transform "
        "from base_frame to the frame of the images.",
        Change.UNCONFIGURED,
        choices=("parameters", "tf"),
    )
    camera_x: float = setting(
        0.0, "The camera's place in base_frame, metres forward.", Change.UNCONFIGURED, limits=(-100.0, 100.0)
    )
    camera_y: float = setting(
        0.0, "The camera's place in base_frame, metres to the left.", Change.UNCONFIGURED, limits=(-100.0, 100.0)
    )
    camera_z: float = setting(
        0.0, "The camera's place in base_frame, metres upwards.", Change.UNCONFIGURED, limits=(-100.0, 100.0)
    )
    camera_roll: float = setting(
        0.0, "How far the camera is turned about its viewing direction, radians.", Change.UNCONFIGURED, limits=(-pi, pi)
    )
    camera_pitch: float = setting(0.0, "How far the camera looks down, radians.", Change.UNCONFIGURED, limits=(-pi, pi))
    camera_yaw: float = setting(
        0.0, "How far the camera looks to the left, radians.", Change.UNCONFIGURED, limits=(-pi, pi)
    )
    publish_tf: bool = setting(
        True,
        "Publish the transform from odom_frame to base_frame. Set it to false where a filter publishes it.",
        Change.UNCONFIGURED,
    )
    path_length: int = setting(
        1000, "The most poses that ~/path has; the oldest go first.", Change.ANY_TIME, limits=(1, 100000)
    )
    path_step: float = setting(
        0.05, "Metres that the base moves from one pose of ~/path to the next.", Change.ANY_TIME, limits=(0.0, 100.0)
    )
