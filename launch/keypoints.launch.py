"""Start the keypoint node and take it to active.

ros2 launch kp_ros keypoints.launch.py image_topic:=/camera/image_raw
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction

from kp_ros.ros.launching import common_arguments, start_node
from launch import LaunchContext, LaunchDescription

#: Installed, launch files and configuration lie side by side, as they do in a checkout.
PARAMETERS = Path(__file__).resolve().parents[1] / "config" / "keypoints.yaml"

ARGUMENTS = [
    *common_arguments("keypoint_node", PARAMETERS),
    DeclareLaunchArgument("image_topic", default_value="image", description="Where the images come from."),
]


def start(context: LaunchContext) -> list[Any]:
    topics = {"image": "image_topic", "camera_info": "camera_info_topic"}
    return start_node(context, "keypoint_node", topics, ("model", "image_transport"))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
