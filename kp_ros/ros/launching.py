"""What the launch files share: their arguments, and a lifecycle node that is taken to active."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from launch import LaunchContext


def common_arguments(name: str, parameters: Path) -> list[DeclareLaunchArgument]:
    """Arguments that every node's launch file has.

    :param name: of the node, unless the user gives another.
    :param parameters: the YAML file of its parameters, likewise.
    """
    return [
        DeclareLaunchArgument(
            "namespace", default_value="", description="Namespace of the node and its relative topics."
        ),
        DeclareLaunchArgument("name", default_value=name, description="Name of the node; its topics begin so."),
        DeclareLaunchArgument("params_file", default_value=str(parameters), description="YAML file of parameters."),
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
            "camera_info_topic",
            default_value="",
            description="Where the calibration comes from. Empty: camera_info beside the image topic.",
        ),
        DeclareLaunchArgument(
            "image_transport",
            default_value="",
            choices=["", "raw", "compressed"],
            description="raw, or compressed for IMAGE_TOPIC/compressed. Empty: as in params_file.",
        ),
    ]


def start_node(
    context: LaunchContext, executable: str, remappings: Mapping[str, str], overrides: tuple[str, ...]
) -> list[Any]:
    """Start a node, and take it to active unless ``autostart`` is false.

    :param executable: of this package.
    :param remappings: the node's topic -> the argument that says where it is; an empty argument remaps nothing.
    :param overrides: arguments that, unless they are empty, stand above ``params_file``; parameters of the same names.
    """

    def given(argument: str) -> str:
        return str(LaunchConfiguration(argument).perform(context))

    topics = {topic: given(argument) for topic, argument in remappings.items()}
    values: dict[str, Any] = {name: given(name) for name in overrides if given(name)}
    node = LifecycleNode(
        package="kp_ros",
        executable=executable,
        name=given("name"),
        namespace=given("namespace"),
        # The transitions come from here, where their order and failure show in the launch log.
        parameters=[
            given("params_file"),
            {**values, "use_sim_time": given("use_sim_time") == "true", "autostart": False},
        ],
        remappings=[(name, topic) for name, topic in topics.items() if topic],
        arguments=["--ros-args", "--log-level", f"{given('name')}:={given('log_level')}"],
        output="screen",
    )
    if given("autostart") == "false":
        return [node]
    activate = OnStateTransition(
        target_lifecycle_node=node,
        start_state="configuring",
        goal_state="inactive",
        entities=[_request(node, Transition.TRANSITION_ACTIVATE)],
    )
    return [RegisterEventHandler(activate), node, _request(node, Transition.TRANSITION_CONFIGURE)]


def _request(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))
