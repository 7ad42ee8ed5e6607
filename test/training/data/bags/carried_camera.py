"""Writes what a carried camera records as an MCAP bag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kp_ros.recordings import messages
from kp_ros.recordings.mcap_writer import McapWriter
from training.data.sequence import SequenceFrame

CAMERA_FRAME = "camera_optical_frame"
PERIOD_NS = 100_000_000
START_NS = 1_700_000_000_000_000_000
#: The camera on its robot: 0.2 m before and 0.5 m above its middle, looking forward and 10 degrees down.
MOUNTED = np.eye(4)
MOUNTED[:3, :3] = Rotation.from_euler("y", [[10.0]], degrees=True).as_matrix()[0] @ np.array(
    [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
)
MOUNTED[:3, 3] = [0.2, 0.0, 0.5]


@dataclass(frozen=True)
class Recording:
    """What goes into the bag, and how wrong it is.

    :ivar info: write CameraInfo.
    :ivar depth: encoding of the depth images; empty for none.
    :ivar poses: ``odometry`` of the camera, ``base`` (odometry of a robot, camera in /tf_static), ``tf``,
        ``pose`` (PoseStamped of a robot, no /tf), or empty.
    :ivar depth_late_ns: added to the depth's stamps.
    :ivar pose_late_ns: added to the poses' stamps.
    :ivar jpeg: compressed images.
    """

    info: bool = True
    depth: str = "16UC1"
    poses: str = "odometry"
    depth_late_ns: int = 0
    pose_late_ns: int = 0
    jpeg: bool = False


def write_bag(path: Path, frames: list[SequenceFrame], recording: Recording = Recording()) -> Path:
    """One message of each kind a frame, a tenth of a second apart."""
    with McapWriter(path) as bag:
        if recording.poses in ("base", "tf"):
            fixed = transform("base_link", CAMERA_FRAME, MOUNTED, START_NS)
            bag.write("/tf_static", tf(fixed), START_NS)
        for index, frame in enumerate(frames):
            now = START_NS + index * PERIOD_NS
            write_frame(bag, frame, now, recording)
    return path


def write_frame(bag: McapWriter, frame: SequenceFrame, now: int, recording: Recording) -> None:
    if recording.info:
        assert frame.camera is not None
        bag.write("/camera/camera_info", messages.camera_info(frame.camera, now, CAMERA_FRAME), now)
    if recording.jpeg:
        data = cv2.imencode(".jpg", frame.image)[1].tobytes()
        bag.write("/camera/image/compressed", messages.compressed_image(data, "jpeg", now, CAMERA_FRAME), now)
    else:
        bag.write("/camera/image", messages.image(frame.image, "bgr8", now, CAMERA_FRAME), now)
    if recording.depth:
        assert frame.depth is not None
        depth = np.where(np.isfinite(frame.depth), frame.depth, 0)
        values = depth if recording.depth == "32FC1" else np.rint(depth * 1000).astype(np.uint16)
        stamp = now + recording.depth_late_ns
        bag.write("/camera/depth", messages.image(values, recording.depth, stamp, CAMERA_FRAME), now)
    if recording.poses:
        assert frame.pose is not None
        robot = frame.pose @ np.linalg.inv(MOUNTED)
        stamp = now + recording.pose_late_ns
        kind = {
            "odometry": lambda: ("/odom", odometry(frame.pose, stamp, CAMERA_FRAME)),
            "base": lambda: ("/odom", odometry(robot, stamp, "base_link")),
            "tf": lambda: ("/tf", tf(transform("odom", "base_link", robot, stamp))),
            "pose": lambda: ("/robot_pose", pose_stamped(forward(frame.pose), stamp)),
        }
        topic, message = kind[recording.poses]()
        bag.write(topic, message, now)


def forward(camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """The pose of a body at the camera's place that looks along its x axis, as the camera does along z."""
    turned = np.eye(4)
    turned[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    return np.asarray(camera @ np.linalg.inv(turned), np.float64)


def _parts(pose: NDArray[np.float64]) -> tuple[dict[str, float], dict[str, float]]:
    quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
    return (
        {name: float(value) for name, value in zip("xyz", pose[:3, 3], strict=True)},
        {name: float(value) for name, value in zip("xyzw", quaternion, strict=True)},
    )


def _pose(pose: NDArray[np.float64]) -> Any:
    position, orientation = _parts(pose)
    return messages.make(
        "geometry_msgs/msg/Pose",
        position=messages.make("geometry_msgs/msg/Point", **position),
        orientation=messages.make("geometry_msgs/msg/Quaternion", **orientation),
    )


def odometry(pose: NDArray[np.float64], stamp_ns: int, child: str) -> Any:
    still = messages.make("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
    return messages.make(
        "nav_msgs/msg/Odometry",
        header=messages.header(stamp_ns, "odom"),
        child_frame_id=child,
        pose=messages.make("geometry_msgs/msg/PoseWithCovariance", pose=_pose(pose), covariance=np.zeros(36)),
        twist=messages.make(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=messages.make("geometry_msgs/msg/Twist", linear=still, angular=still),
            covariance=np.zeros(36),
        ),
    )


def pose_stamped(pose: NDArray[np.float64], stamp_ns: int) -> Any:
    return messages.make("geometry_msgs/msg/PoseStamped", header=messages.header(stamp_ns, "map"), pose=_pose(pose))


def transform(parent: str, child: str, pose: NDArray[np.float64], stamp_ns: int) -> Any:
    position, orientation = _parts(pose)
    return messages.make(
        "geometry_msgs/msg/TransformStamped",
        header=messages.header(stamp_ns, parent),
        child_frame_id=child,
        transform=messages.make(
            "geometry_msgs/msg/Transform",
            translation=messages.make("geometry_msgs/msg/Vector3", **position),
            rotation=messages.make("geometry_msgs/msg/Quaternion", **orientation),
        ),
    )


def tf(*transforms: Any) -> Any:
    return messages.make("tf2_msgs/msg/TFMessage", transforms=list(transforms))
