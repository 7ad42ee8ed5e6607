r"""Start visual odometry and take it to active.

ros2 launch kp_ros odometry.launch.py mode:=rgbd image_topic:=/camera/color/image_raw \
    depth_topic:=/camera/aligned_depth_to_color/image_raw
ros2 launch kp_ros odometry.launch.py mode:=stereo image_topic:=/left/image_rect right_topic:=/right/image_rect
ros2 launch kp_ros odometry.launch.py mode:=mono image_topic:=/camera/image_raw
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from launch import LaunchContext, LaunchDescription

#: Installed, launch files and configuration lie side by side, as they do in a checkout.
PARAMETERS = Path(__file__).resolve().parents[1] / "config" / "odometry.yaml"

ARGUMENTS = [
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its relative topics."),
    DeclareLaunchArgument("name", default_value="odometry_node", description="Name of the node; its topics begin so."),
    DeclareLaunchArgument("params_file", default_value=str(PARAMETERS), description="YAML file of parameters."),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Take the time from /clock. Stamps are the images' own either way.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        choices=["true", "false"],
        description="Configure and activate the node. With false a lifecycle manager has to.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Least severity that is logged.",
    ),
    DeclareLaunchArgument(
        "model",
        default_value="",
        description="A shipped model's name, a path to an .onnx file, orb, sift or gftt. Empty: as in params_file.",
    ),
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
        "camera_info_topic",
        default_value="",
        description="Where the calibration comes from. Empty: camera_info beside the image topic.",
    ),
    DeclareLaunchArgument(
        "right_camera_info_topic",
        default_value="",
        description="Where the right camera's calibration comes from. Empty: camera_info beside the right image topic.",
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="",
        choices=["", "raw", "compressed"],
        description="raw, or compressed for IMAGE_TOPIC/compressed. Empty: as in params_file.",
    ),
]


def start(context: LaunchContext) -> list[Any]:
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    remappings = {
        "image": given["image_topic"],
        "camera_info": given["camera_info_topic"],
        "right_image": given["right_topic"],
        "right_camera_info": given["right_camera_info_topic"],
        "depth": given["depth_topic"],
    }
    overrides: dict[str, Any] = {name: given[name] for name in ("mode", "model", "image_transport") if given[name]}
    node = LifecycleNode(
        package="kp_ros",
        executable="odometry_node",
        name=given["name"],
        namespace=given["namespace"],
        # The transitions come from here, where their order and failure show in the launch log.
        parameters=[
            given["params_file"],
            {**overrides, "use_sim_time": given["use_sim_time"] == "true", "autostart": False},
        ],
        remappings=[(name, topic) for name, topic in remappings.items() if topic],
        arguments=["--ros-args", "--log-level", f"{given['name']}:={given['log_level']}"],
        output="screen",
    )
    if given["autostart"] == "false":
        return [node]
    activate = OnStateTransition(
        target_lifecycle_node=node,
        start_state="configuring",
        goal_state="inactive",
        entities=[request(node, Transition.TRANSITION_ACTIVATE)],
    )
    return [RegisterEventHandler(activate), node, request(node, Transition.TRANSITION_CONFIGURE)]


def request(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
