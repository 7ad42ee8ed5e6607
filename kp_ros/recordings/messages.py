"""ROS 2 messages without ROS: rosbags' types, for what this project reads and writes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from kp_ros.camera import Camera

NANOSECONDS = 1_000_000_000

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


@cache
def typestore() -> Typestore:
    """The message types of ROS 2 Jazzy; those of sensors, geometry and navigation have been the same since Humble."""
    return get_typestore(Stores.ROS2_JAZZY)


def make(message_type: str, **fields: Any) -> Any:
    """A message of rosbags, by type name and field: ``make("std_msgs/msg/String", data="hello")``."""
    return typestore().types[message_type](**fields)


def header(stamp_ns: int, frame_id: str) -> Any:
    """std_msgs/Header of a stamp in nanoseconds."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return make(
        "std_msgs/msg/Header",
        stamp=make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds),
        frame_id=frame_id,
    )


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message's ``header.stamp``."""
    return int(message.header.stamp.sec) * NANOSECONDS + int(message.header.stamp.nanosec)


def image(pixels: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """sensor_msgs/Image of an array.

    :param pixels: [H, W] or [H, W, C], of the dtype and channels that ``encoding`` names; little-endian.
    :param encoding: as sensor_msgs/image_encodings.hpp spells it: ``mono8``, ``bgr8``, ``32FC1``, ...
    """
    data = np.ascontiguousarray(pixels)
    return make(
        IMAGE,
        header=header(stamp_ns, frame_id),
        height=data.shape[0],
        width=data.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=data.strides[0],
        data=data.reshape(-1).view(np.uint8),
    )


def compressed_image(data: bytes, image_format: str, stamp_ns: int, frame_id: str) -> Any:
    """sensor_msgs/CompressedImage of an encoded file's bytes; ``image_format`` is ``jpeg`` or ``png``."""
    return make(
        COMPRESSED_IMAGE,
        header=header(stamp_ns, frame_id),
        format=image_format,
        data=np.frombuffer(data, np.uint8),
    )


def camera_info(camera: Camera, stamp_ns: int, frame_id: str) -> Any:
    """sensor_msgs/CameraInfo of a monocular camera: no rectification, no binning, full region of interest."""
    projection = np.zeros((3, 4))
    projection[:, :3] = camera.matrix
    return make(
        CAMERA_INFO,
        header=header(stamp_ns, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model=camera.model,
        d=np.asarray(camera.distortion, np.float64),
        k=np.asarray(camera.matrix, np.float64).ravel(),
        r=np.eye(3).ravel(),
        p=projection.ravel(),
        binning_x=0,
        binning_y=0,
        roi=make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )
