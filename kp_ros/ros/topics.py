"""Where images and their calibration come from."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node


@dataclass(frozen=True)
class InputTopics:
    """Fully qualified names, remapping applied."""

    image: str
    camera_info: str


def input_topics(node: Node, image_transport: str) -> InputTopics:
    """Resolve the node's input topics as image_transport does.

    ``compressed`` images are on ``IMAGE/compressed``. CameraInfo is on ``camera_info`` where that name is remapped, and
    else beside the image: ``/front/image_raw`` has ``/front/camera_info``.
    """
    image = node.resolve_topic_name("image")
    camera_info = node.resolve_topic_name("camera_info")
    if camera_info == node.resolve_topic_name("camera_info", only_expand=True):
        camera_info = f"{image.rpartition('/')[0]}/camera_info"
    return InputTopics(image if image_transport == "raw" else f"{image}/{image_transport}", camera_info)
