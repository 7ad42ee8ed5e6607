"""What odometry reads: the images of a camera, with those of a second one or with depth, calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from kp_ros.camera import Camera
from kp_ros.features import Float32
from kp_ros.image_decoding import Grey
from kp_ros.recordings.messages import NANOSECONDS


@dataclass(frozen=True)
class SensorFrame:
    """One image of a recording, and what belongs to it.

    :ivar name: of the frame; names sort by time.
    :ivar stamp_ns: nanoseconds, ascending: what motion is timed by.
    :ivar time: as the input has it, in decimal: seconds, or the number of the frame where frames are only numbered.
    :ivar image: uint8 [H, W], grey.
    :ivar camera: of the image.
    :ivar right: of stereo, uint8 [H, W], grey, rectified with ``image``.
    :ivar baseline: of stereo, metres from the left to the right camera.
    :ivar depth: of RGB-D, float32 [H, W], metres along z, registered with ``image``; 0 or not finite where unknown.
    """

    name: str
    stamp_ns: int
    time: str
    image: Grey
    camera: Camera
    right: Grey | None = None
    baseline: float | None = None
    depth: Float32 | None = None


class SensorRecording(Protocol):
    """An open recording of a camera that measures depth, or of one that does not."""

    path: Path
    #: What the user should know and no error is. It may grow while frames are read.
    notices: list[str]

    @property
    def frame_count(self) -> int | None:
        """How many frames it has, as far as is known."""
        ...

    def frames(self) -> Iterator[SensorFrame]:
        """All frames from the first on; may be called again."""
        ...

    def close(self) -> None:
        """Close the recording's files."""
        ...


def decimal_seconds(stamp_ns: int) -> str:
    """Nanoseconds as seconds with nine decimals."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return f"{seconds}.{nanoseconds:09d}"


def nanoseconds_of(seconds: str) -> int:
    """Seconds in decimal to nanoseconds, exactly: a float of today's time is good to 0.2 microseconds only.

    :raises ValueError: the text is no number.
    """
    try:
        return int((Decimal(seconds) * NANOSECONDS).to_integral_value())
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"'{seconds}' is no time in seconds") from error
