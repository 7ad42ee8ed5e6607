"""How the camera is mounted on the robot, from parameters or from TF."""

from __future__ import annotations

from typing import Any, Protocol

from rclpy.node import Node
from rclpy.time import Time

from kp_ros.errors import UserError
from kp_ros.mounting import Float64, mounted
from kp_ros.ros.odometry_messages import matrix_of
from kp_ros.ros.odometry_parameters import OdometrySettings


class CameraMounting(Protocol):
    """Tells a camera's pose on the robot."""

    #: Why it is not known, and what to do; empty where it is.
    problem: str

    def base_from_camera(self, camera_frame: str) -> Float64 | None:
        """The pose of a camera's optical frame in the base's, float64 [4, 4]; None while it is not known."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class GivenMounting:
    """The parameters' mounting."""

    problem = ""

    def __init__(self, settings: OdometrySettings) -> None:
        self._pose = mounted(
            settings.camera_x,
            settings.camera_y,
            settings.camera_z,
            settings.camera_roll,
            settings.camera_pitch,
            settings.camera_yaw,
        )

    def base_from_camera(self, camera_frame: str) -> Float64 | None:
        """See :class:`CameraMounting`."""
        return self._pose

    def close(self) -> None:
        """See :class:`CameraMounting`."""


class TransformMounting:
    """The mounting that TF has. It is looked up until it is there, and then kept: a camera is mounted rigidly.

    :param buffer: tf2_ros.Buffer, or what answers ``lookup_transform(target, source, time)``.
    :param listener: what fills the buffer; ended with it.
    """

    def __init__(self, buffer: Any, base_frame: str, listener: Any = None) -> None:
        self.problem = ""
        self._buffer = buffer
        self._base_frame = base_frame
        self._listener = listener
        self._found: tuple[str, Float64] | None = None

    def base_from_camera(self, camera_frame: str) -> Float64 | None:
        """See :class:`CameraMounting`."""
        if self._found is not None and self._found[0] == camera_frame:
            return self._found[1]
        try:
            found = self._buffer.lookup_transform(self._base_frame, camera_frame, Time())
        except Exception as error:  # tf2 has exceptions of its own, which are there only where tf2 is
            self.problem = (
                f"no transform from {camera_frame} to {self._base_frame} yet ({error}); publish it, for example with "
                "static_transform_publisher, or set mounting to parameters"
            )
            return None
        self.problem = ""
        self._found = camera_frame, matrix_of(found.transform)
        return self._found[1]

    def close(self) -> None:
        """See :class:`CameraMounting`."""
        if self._listener is not None:
            self._listener.unregister()


def camera_mounting(node: Node, settings: OdometrySettings) -> CameraMounting:
    """The mounting that the parameters ask for.

    :raises UserError: TF is asked for and tf2_ros is not installed.
    """
    if settings.mounting == "parameters":
        return GivenMounting(settings)
    try:
        from tf2_ros import Buffer, TransformListener
    except ImportError as error:
        raise UserError(
            f"mounting is tf, but tf2_ros is not installed ({error}); source a distribution that has it, or give "
            "camera_x to camera_yaw and set mounting to parameters"
        ) from error
    buffer = Buffer()
    return TransformMounting(buffer, settings.base_frame, TransformListener(buffer, node))
