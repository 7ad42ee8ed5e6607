"""Odometry as standard messages."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Transform, TransformStamped, Twist, Vector3
from nav_msgs.msg import Odometry, Path
from numpy.typing import NDArray

from kp_ros.mounting import BaseMotion, in_odom
from kp_ros.odometry.base import Estimate, Landmarks, State
from kp_ros.point_cloud import PointCloud
from kp_ros.ros.messages import make_header
from kp_ros.trajectories import quaternion_of, rotation_of

Float64 = NDArray[np.float64]
#: A point of ``~/landmarks``: 20 bytes.
LANDMARK_DTYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("track_id", "<u4"), ("deviation", "<f4")])
LEVELS = {
    State.GOOD: DiagnosticStatus.OK,
    State.INITIALISING: DiagnosticStatus.WARN,
    State.WEAK: DiagnosticStatus.WARN,
    State.LOST: DiagnosticStatus.ERROR,
}


def pose_message(pose: Float64) -> Pose:
    """geometry_msgs/Pose of float64 [4, 4]."""
    x, y, z, w = quaternion_of(pose[:3, :3])
    px, py, pz = pose[:3, 3].tolist()
    return Pose(position=Point(x=px, y=py, z=pz), orientation=Quaternion(x=x, y=y, z=z, w=w))


def odometry_message(motion: BaseMotion, stamp_ns: int, odom_frame: str, base_frame: str) -> Odometry:
    """nav_msgs/Odometry: the pose in ``odom_frame``, the twist in ``base_frame``, as the message has it."""
    message = Odometry(header=make_header(stamp_ns, odom_frame), child_frame_id=base_frame)
    message.pose.pose = pose_message(motion.pose)
    message.pose.covariance = motion.covariance.ravel()
    vx, vy, vz, wx, wy, wz = motion.twist.tolist()
    message.twist.twist = Twist(linear=Vector3(x=vx, y=vy, z=vz), angular=Vector3(x=wx, y=wy, z=wz))
    message.twist.covariance = motion.twist_covariance.ravel()
    return message


def transform_message(pose: Float64, stamp_ns: int, parent: str, child: str) -> TransformStamped:
    """geometry_msgs/TransformStamped of ``child`` in ``parent``."""
    x, y, z, w = quaternion_of(pose[:3, :3])
    px, py, pz = pose[:3, 3].tolist()
    transform = Transform(translation=Vector3(x=px, y=py, z=pz), rotation=Quaternion(x=x, y=y, z=z, w=w))
    return TransformStamped(header=make_header(stamp_ns, parent), child_frame_id=child, transform=transform)


def matrix_of(transform: Transform) -> Float64:
    """Float64 [4, 4] of geometry_msgs/Transform."""
    place, turn = transform.translation, transform.rotation
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_of(np.array([turn.x, turn.y, turn.z, turn.w]))
    matrix[:3, 3] = place.x, place.y, place.z
    return matrix


def stamped_pose(pose: Float64, stamp_ns: int, frame: str) -> PoseStamped:
    """geometry_msgs/PoseStamped."""
    return PoseStamped(header=make_header(stamp_ns, frame), pose=pose_message(pose))


def path_message(poses: Iterable[PoseStamped], stamp_ns: int, frame: str) -> Path:
    """nav_msgs/Path."""
    return Path(header=make_header(stamp_ns, frame), poses=list(poses))


def pack_landmarks(landmarks: Landmarks, base_from_camera: Float64, stamp_ns: int, frame: str) -> PointCloud:
    """The points of the map for ``~/landmarks``: ``x y z`` in ``frame``, ``track_id``, ``deviation`` along the ray."""
    points = np.empty(len(landmarks.track_id), LANDMARK_DTYPE)
    places = in_odom(landmarks.points, base_from_camera)
    for axis, name in enumerate("xyz"):
        points[name] = places[:, axis]
    points["track_id"] = landmarks.track_id
    points["deviation"] = landmarks.deviation
    return PointCloud(stamp_ns, frame, points, bool(np.isfinite(places).all()))


def status_message(status: DiagnosticStatus, stamp_ns: int, frame: str) -> DiagnosticArray:
    """diagnostic_msgs/DiagnosticArray of one status."""
    return DiagnosticArray(header=make_header(stamp_ns, frame), status=[status])


def odometry_status(estimate: Estimate, node: str, hardware: str) -> DiagnosticStatus:
    """How far the pose can be trusted, and what that was decided by: good is OK, lost an error."""
    health, state = estimate.health, estimate.state
    place, turn = (np.sqrt(np.trace(estimate.covariance[part, part])) for part in (slice(0, 3), slice(3, 6)))
    values = {
        "state": state.value,
        "segment": estimate.segment,
        "inliers": health.inliers,
        "inlier ratio": f"{health.inlier_ratio:.2f}",
        "survival": f"{health.survival:.2f}",
        "coverage": f"{health.coverage:.2f}",
        "parallax (deg)": f"{np.degrees(health.parallax):.2f}",
        "position's deviation (m)": f"{place:.4g}",
        "rotation's deviation (deg)": f"{np.degrees(turn):.4g}",
    }
    return DiagnosticStatus(
        level=LEVELS[state],
        name=f"{node.lstrip('/')}: odometry",
        message=f"{state.value}: {health.reason}" if health.reason else state.value,
        hardware_id=hardware,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
