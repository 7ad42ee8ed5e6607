"""What every recording gives: frames, whatever it is stored as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kp_ros.errors import UserError


class RecordingError(UserError):
    """A recording that cannot be read. The message names it, what is wrong and what to do."""


@dataclass(frozen=True)
class Frame:
    """One image of a recording, as the message that a live camera would publish.

    :ivar name: the file's name in a folder; else the frame's number, in bags with the stamp. Names sort by time.
    :ivar recorded_ns: when it was recorded, nanoseconds: what a replay keeps time by. The stamp is in the message.
    :ivar message: rosbags' sensor_msgs/Image or sensor_msgs/CompressedImage of ROS 2.
    :ivar camera_info: rosbags' sensor_msgs/CameraInfo that holds for it, or None.
    :ivar companions: messages of other topics that were recorded since the image before, where those were asked for:
        topic and message of rosbags.
    """

    name: str
    recorded_ns: int
    message: Any
    camera_info: Any
    companions: tuple[tuple[str, Any], ...] = ()


class Recording(Protocol):
    """An open recording of one camera."""

    #: What is read.
    path: Path
    #: Of the images: as recorded; for videos and folders, what a replay publishes.
    topic: str
    #: Of the camera's calibration, whether or not it is there.
    camera_info_topic: str
    #: How many frames it has, as far as is known; progress bars count to it.
    frame_count: int | None
    #: What the user should know and no error is: no calibration, a bag that is cut off, frames that could not be read.
    #: It may grow while frames are read.
    notices: list[str]

    def frames(self) -> Iterator[Frame]:
        """All frames from the first on; may be called again."""
        ...

    def close(self) -> None:
        """Close the recording's files."""
        ...


def camera_info_topic(image_topic: str) -> str:
    """Where a camera's calibration is published: beside its image, as image_transport has it.

    ``/camera/image_raw`` and ``/camera/image_raw/compressed`` give ``/camera/camera_info``.
    """
    base = image_topic.removesuffix("/compressed")
    return f"{base.rpartition('/')[0]}/camera_info"
