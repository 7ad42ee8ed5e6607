"""From a recorded message to what the frontend takes: a grey image and its camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kp_ros.camera import CalibrationError, Camera, camera_from_info
from kp_ros.image_decoding import Grey, ImageError, decode_compressed, decode_image
from kp_ros.recordings.messages import COMPRESSED_IMAGE
from kp_ros.recordings.recording import Frame, Recording

#: So many skipped frames are named; of more, the number tells enough.
NAMED = 5


@dataclass(frozen=True)
class DecodedFrame:
    """A frame and what is in it.

    :ivar frame: as recorded.
    :ivar image: uint8 [H, W], grey.
    :ivar camera: of the image; None without a usable calibration.
    """

    frame: Frame
    image: Grey
    camera: Camera | None


@dataclass
class Decoding:
    """Decodes a recording's frames one by one and remembers what could not be used.

    :ivar recording: what is decoded.
    :ivar rectified: the images are rectified: P of their CameraInfo describes them.
    :ivar skipped: frames that could not be decoded: name and reason.
    """

    recording: Recording
    rectified: bool = False
    skipped: list[tuple[str, str]] = field(default_factory=list)
    _calibration_problem: str | None = None

    def frames(self) -> Iterator[DecodedFrame]:
        """Every frame that can be decoded, in order."""
        for frame in self.recording.frames():
            try:
                image = decode(frame.message)
            except ImageError as error:
                self.skipped.append((frame.name, str(error)))
                continue
            yield DecodedFrame(frame, image, self._camera(frame.camera_info, image))

    def _camera(self, info: Any, image: Grey) -> Camera | None:
        if info is None:
            return None
        try:
            return camera_of(info, self.rectified).resized(image.shape[1], image.shape[0])
        except CalibrationError as error:
            self._calibration_problem = f"keypoints get no rays (x y z are NaN): {error}"
            return None

    @property
    def notices(self) -> list[str]:
        """What the user should know after the last frame: the recording's own notices, and what was skipped."""
        notices = list(self.recording.notices)
        if self._calibration_problem:
            notices.append(self._calibration_problem)
        if self.skipped:
            names = ", ".join(f"{name} ({reason})" for name, reason in self.skipped[:NAMED])
            more = f" and {len(self.skipped) - NAMED} more" if len(self.skipped) > NAMED else ""
            plural = "frame" if len(self.skipped) == 1 else "frames"
            notices.append(f"{len(self.skipped)} {plural} could not be decoded and skipped: {names}{more}")
        return notices


def decode(message: Any) -> Grey:
    """Decode rosbags' sensor_msgs/Image or CompressedImage as the live node does.

    :raises ImageError: it is damaged, or of an unknown encoding.
    """
    if message.__msgtype__ == COMPRESSED_IMAGE:
        return decode_compressed(message.format, message.data)
    return decode_image(
        message.encoding, message.height, message.width, message.step, bool(message.is_bigendian), message.data
    )


def camera_of(info: Any, rectified: bool = False) -> Camera:
    """The camera of rosbags' sensor_msgs/CameraInfo.

    :param rectified: the images are rectified: P describes them.
    :raises CalibrationError: it is uncalibrated, or makes no camera.
    """
    return camera_from_info(
        width=info.width,
        height=info.height,
        distortion_model=info.distortion_model,
        d=info.d,
        k=info.k,
        p=info.p,
        binning=(info.binning_x, info.binning_y),
        roi=(info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height),
        rectified=rectified,
    )
