r"""Start visual odometry and take it to active.

ros2 launch kp_ros odometry.launch.py mode:=rgbd image_topic:=/camera/color/image_raw \
    depth_topic:=/camera/aligned_depth_to_color/image_raw
ros2 launch kp_ros odometry.launch.py mode:=stereo image_topic:=/left/image_rect right_topic:=/right/image_rect
ros2 launch kp_ros odometry.launch.py mode:=mono image_topic:=/camera/image_raw
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction

from kp_ros.ros.launching import common_arguments, start_node
from launch import LaunchContext, LaunchDescription

#: Installed, launch files and configuration lie side by side, as they do in a checkout.
PARAMETERS = Path(__file__).resolve().parents[1] / "config" / "odometry.yaml"

ARGUMENTS = [
    *common_arguments("odometry_node", PARAMETERS),
    DeclareLaunchArgument(
        "mode",
        default_value="",
        choices=["", "mono", "stereo", "rgbd"],
        description="What tells depth: nothing, a second camera, or depth images. Empty: as in params_file.",
    ),
    DeclareLaunchArgument("image_topic", default_value="image", description="Where the (left) images come from."),
    DeclareLaunchArgument("right_topic", default_value="", description="Of stereo: where the right images come from."),
    DeclareLaunchArgument("depth_topic", default_value="", description="Of rgbd: where the depth images come from."),
    DeclareLaunchArgument(
        "right_camera_info_topic",
        default_value="",
        description="Where the right camera's calibration comes from. Empty: camera_info beside the right image topic.",
    ),
]


def start(context: LaunchContext) -> list[Any]:
    topics = {
        "image": "image_topic",
        "camera_info": "camera_info_topic",
        "right_image": "right_topic",
        "right_camera_info": "right_camera_info_topic",
        "depth": "depth_topic",
    }
    return start_node(context, "odometry_node", topics, ("mode", "model", "image_transport"))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
