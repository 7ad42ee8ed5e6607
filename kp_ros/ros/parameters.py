"""The node's parameters: what there is, what it means, what is allowed, and when it may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from enum import Enum
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from kp_ros.detectors import BACKENDS, PRECISIONS


class Change(Enum):
    """When a parameter may change; the value says so to the user."""

    ANY_TIME = "Takes effect with the next image."
    UNCONFIGURED = "Takes effect when the node is configured; refused while it is inactive or active."
    START = "Read only: set it when the node starts."


def setting(
    default: Any,
    description: str,
    change: Change,
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A parameter as the field of a dataclass.

    :param limits: the least and the greatest value of a number.
    :param choices: all values of a text.
    """
    metadata = {"description": description, "change": change, "limits": limits, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The values of all parameters at one moment; defaults, limits and descriptions are in the fields' metadata."""

    autostart: bool = setting(
        True,
        "Configure and activate without being told. With false the node waits, unconfigured, for a lifecycle manager.",
        Change.START,
    )
    model: str = setting(
        "",
        "A shipped model's name, a path to an exported .onnx file, or orb, sift or gftt. Empty: the default model.",
        Change.UNCONFIGURED,
    )
    backend: str = setting("auto", "What runs the model.", Change.UNCONFIGURED, choices=BACKENDS)
    precision: str = setting("fp16", "Of TensorRT's convolutions.", Change.UNCONFIGURED, choices=PRECISIONS)
    max_keypoints: int = setting(
        1024, "The most keypoints that are detected in an image.", Change.UNCONFIGURED, limits=(1, 3840)
    )
    threads: int = setting(
        0, "Processor threads of the inference. 0: the backend's choice.", Change.UNCONFIGURED, limits=(0, 256)
    )
    score_threshold: float = setting(
        0.0,
        "Keypoints of a learned model with a lower score are left out. OpenCV's detectors do not heed it.",
        Change.ANY_TIME,
        limits=(0.0, 1.0),
    )
    max_tracks: int = setting(1024, "The most points that are followed.", Change.ANY_TIME, limits=(1, 16384))
    image_transport: str = setting(
        "raw",
        "raw subscribes to sensor_msgs/Image on the topic image, compressed to sensor_msgs/CompressedImage on "
        "image/compressed.",
        Change.UNCONFIGURED,
        choices=("raw", "compressed"),
    )
    rectified: bool = setting(
        False,
        "The images are rectified (image_rect): CameraInfo's P describes them, and they have no distortion.",
        Change.UNCONFIGURED,
    )
    image_timeout: float = setting(
        2.0,
        "Seconds without an image after which the diagnostics warn.",
        Change.ANY_TIME,
        limits=(0.1, 3600.0),
    )
    min_tracks: int = setting(
        50, "Diagnostics warn when fewer points are followed.", Change.ANY_TIME, limits=(0, 16384)
    )
    debug_tail: int = setting(
        15, "How many frames the tails of tracks reach back on ~/debug_image.", Change.ANY_TIME, limits=(0, 200)
    )
    diagnostics_period: float = setting(
        1.0, "Seconds between two messages on /diagnostics.", Change.START, limits=(0.1, 60.0)
    )


Values = TypeVar("Values", bound=Settings)


def declare(node: Node, kind: type[Values]) -> Values:
    """Declare every parameter on the node, with the overrides it was started with.

    :param kind: the dataclass of the node's parameters.
    :raises ValueError: an override is not among a parameter's choices.
    :raises rclpy.exceptions.InvalidParameterException: an override has the wrong type or is out of range.
    """
    for one in fields(kind):
        node.declare_parameter(one.name, one.default, descriptor_of(one))
    settings = kind(**{one.name: node.get_parameter(one.name).value for one in fields(kind)})
    reason = refusal(asdict(settings), settings, configured=False)
    if reason:
        raise ValueError(reason)
    return settings


def descriptor_of(setting: Field[Any]) -> ParameterDescriptor:
    """Describe a parameter to ROS: meaning, limits, and when it may change."""
    change, limits, choices = (setting.metadata[key] for key in ("change", "limits", "choices"))
    constraints = [f"One of: {', '.join(choices)}."] if choices else []
    descriptor = ParameterDescriptor(
        description=setting.metadata["description"],
        additional_constraints=" ".join([*constraints, change.value]),
        read_only=change is Change.START,
    )
    if limits is None:
        return descriptor
    if isinstance(setting.default, int):
        descriptor.integer_range = [IntegerRange(from_value=limits[0], to_value=limits[1], step=1)]
    else:
        descriptor.floating_point_range = [FloatingPointRange(from_value=limits[0], to_value=limits[1], step=0.0)]
    return descriptor


def refusal(changes: Mapping[str, Any], current: Settings, configured: bool) -> str:
    """Say why a change cannot be made; empty where it can. Types and limits are rclpy's to check.

    :param changes: name -> new value; names of other parameters are passed over.
    :param configured: whether the node is inactive or active.
    """
    for one in fields(current):
        if one.name not in changes:
            continue
        value, choices = changes[one.name], one.metadata["choices"]
        if choices and value not in choices:
            return f"{one.name} is '{value}'; choose one of: {', '.join(choices)}"
        fixed = configured and one.metadata["change"] is Change.UNCONFIGURED
        if fixed and value != getattr(current, one.name):
            return f"{one.name} takes effect when the node is configured; deactivate and clean it up first"
    return ""
