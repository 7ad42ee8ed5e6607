"""The newest CameraInfo as a camera, and what is wrong with it."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import CameraInfo

from kp_ros.camera import CalibrationError, Camera
from kp_ros.ros.messages import camera_of


class CameraWatch:
    """Turns the newest CameraInfo into the camera of each image; one that repeats the last costs a comparison.

    :param topic: where CameraInfo comes from; named in messages to the user.
    :param rectified: the images are rectified.
    :ivar info: the newest message. The executor's thread writes it, the worker's reads it.
    """

    def __init__(self, topic: str, rectified: bool) -> None:
        self.topic = topic
        self.info: CameraInfo | None = None
        self._rectified = rectified
        self._key: tuple[Any, ...] | None = None
        self._camera: Camera | None = None
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why there is no camera, and what to do; empty where there is one."""
        if self.info is None:
            return f"no message on {self.topic} yet; publish the camera's CameraInfo there, or remap camera_info"
        return self._problem

    def camera_of_image(self, width: int, height: int) -> Camera | None:
        """Give the camera of an image of this size; None where there is none, and :attr:`problem` says why."""
        info = self.info
        if info is None:
            return None
        roi = info.roi
        key = (
            *(width, height, info.width, info.height, info.distortion_model),
            *(info.d.tobytes(), info.k.tobytes(), info.p.tobytes(), info.binning_x, info.binning_y),
            *(roi.x_offset, roi.y_offset, roi.width, roi.height),
        )
        if key != self._key:
            self._key = key
            try:
                self._camera, self._problem = camera_of(info, self._rectified).resized(width, height), ""
            except CalibrationError as error:
                self._camera, self._problem = None, f"{self.topic}: {error}"
        return self._camera
