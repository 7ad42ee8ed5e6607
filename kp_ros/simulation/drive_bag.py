"""A drive through a rendered street as a bag: what a robot with a depth camera and a perfect odometer would record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.recordings import messages
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.simulation.rendering import Matrix, RenderedFrame, render
from kp_ros.simulation.trajectory import Trajectory
from kp_ros.simulation.world import World
from kp_ros.trajectories import quaternion_of

IMAGE_TOPIC = "/camera/image_raw"
CAMERA_INFO_TOPIC = "/camera/camera_info"
DEPTH_TOPIC = "/camera/depth"
ODOMETRY_TOPIC = "/ground_truth/odometry"
CAMERA_FRAME = "camera_optical_frame"
WORLD_FRAME = "world"
#: Threads that render: numpy and OpenCV let others run while they work.
RENDERERS = 2


@dataclass(frozen=True)
class Drive:
    """A camera on its way through a world."""

    world: World
    camera: Camera
    trajectory: Trajectory


def demo_camera() -> Camera:
    """640 x 480 pixels, 70 degrees wide, without distortion."""
    return Camera(640, 480, np.array([[460.0, 0, 319.5], [0, 460.0, 239.5], [0, 0, 1]]), np.zeros(5))


def record(drive: Drive, path: Path) -> Iterator[int]:
    """Render every frame and write images (bgr8), depth (16UC1), CameraInfo and ground-truth Odometry.

    :returns: the number of frames written so far, after each. The file appears when the last one is taken.
    :raises OutputError: the file cannot be written.
    """
    # Made before the threads start: both would make it.
    _ = drive.world.atlas, drive.world.geometry
    with McapWriter(path) as bag:
        for index, frame in enumerate(_rendered(drive)):
            stamp_ns = int(drive.trajectory.stamps_ns[index])
            bag.write(CAMERA_INFO_TOPIC, messages.camera_info(drive.camera, stamp_ns, CAMERA_FRAME), stamp_ns)
            depth = messages.image(_millimetres(frame.depth), "16UC1", stamp_ns, CAMERA_FRAME)
            bag.write(DEPTH_TOPIC, depth, stamp_ns)
            bag.write(IMAGE_TOPIC, messages.image(frame.image, "bgr8", stamp_ns, CAMERA_FRAME), stamp_ns)
            bag.write(ODOMETRY_TOPIC, odometry(drive.trajectory, index), stamp_ns)
            yield index + 1


def _millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Metres as a depth camera sends them: 0 where it is too far for 16 bits."""
    millimetres = np.rint(depth * 1000)
    return np.where(millimetres < 65536, millimetres, 0).astype(np.uint16)


def _rendered(drive: Drive) -> Iterator[RenderedFrame]:
    """The frames in order, a few ahead of whoever takes them."""
    with ThreadPoolExecutor(RENDERERS) as pool:
        poses = drive.trajectory.poses
        for start in range(0, len(poses), 2 * RENDERERS):
            batch: Iterable[Matrix] = poses[start : start + 2 * RENDERERS]
            yield from pool.map(lambda pose: render(drive.world, drive.camera, pose), batch)


def odometry(trajectory: Trajectory, index: int) -> Any:
    """nav_msgs/Odometry of the camera's optical frame in the world: pose, and velocity in the camera's frame."""
    pose = trajectory.poses[index]
    before, after = max(index - 1, 0), min(index + 1, len(trajectory) - 1)
    seconds = (trajectory.stamps_ns[after] - trajectory.stamps_ns[before]) * 1e-9
    first, last = trajectory.poses[before], trajectory.poses[after]
    linear = pose[:3, :3].T @ (last[:3, 3] - first[:3, 3]) / seconds
    angular = cv2.Rodrigues(first[:3, :3].T @ last[:3, :3])[0][:, 0] / seconds
    x, y, z, w = quaternion_of(pose[:3, :3])
    make = messages.make
    return make(
        "nav_msgs/msg/Odometry",
        header=messages.header(int(trajectory.stamps_ns[index]), WORLD_FRAME),
        child_frame_id=CAMERA_FRAME,
        pose=make(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=make(
                "geometry_msgs/msg/Pose",
                position=make("geometry_msgs/msg/Point", **dict(zip("xyz", map(float, pose[:3, 3]), strict=True))),
                orientation=make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
            ),
            covariance=np.zeros(36),
        ),
        twist=make(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=make("geometry_msgs/msg/Twist", linear=_vector(linear), angular=_vector(angular)),
            covariance=np.zeros(36),
        ),
    )


def _vector(values: Matrix) -> Any:
    x, y, z = (float(value) for value in values)
    return messages.make("geometry_msgs/msg/Vector3", x=x, y=y, z=z)
