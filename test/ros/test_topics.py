from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.node import Node

from kp_ros.ros.topics import InputTopics, input_topics

MakeNode = Callable[..., Node]


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    """A node in the namespace /robot with remappings."""
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes: list[Node] = []

    def make(*remappings: str) -> Node:
        arguments = ["--ros-args", *(part for remapping in remappings for part in ("-r", remapping))]
        nodes.append(rclpy.create_node("n", context=context, namespace="/robot", cli_args=arguments))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    context.shutdown()


@pytest.mark.parametrize(
    ("remappings", "transport", "expected"),
    [
        ((), "raw", InputTopics("/robot/image", "/robot/camera_info")),
        ((), "compressed", InputTopics("/robot/image/compressed", "/robot/camera_info")),
        (("image:=/cam/image_raw",), "raw", InputTopics("/cam/image_raw", "/cam/camera_info")),
        (
            ("image:=cam/image_raw",),
            "compressed",
            InputTopics("/robot/cam/image_raw/compressed", "/robot/cam/camera_info"),
        ),
        (("image:=/image",), "raw", InputTopics("/image", "/camera_info")),
        (
            ("image:=/cam/image_rect", "camera_info:=/other/info"),
            "raw",
            InputTopics("/cam/image_rect", "/other/info"),
        ),
    ],
)
def test_camera_info_is_beside_the_image_unless_it_is_remapped(
    make_node: MakeNode, remappings: tuple[str, ...], transport: str, expected: InputTopics
) -> None:
    assert input_topics(make_node(*remappings), transport) == expected
