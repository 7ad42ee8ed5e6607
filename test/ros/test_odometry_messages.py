from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from kp_ros.mounting import base_motion, mounted
from kp_ros.odometry import Estimate, Health, Landmarks, State
from kp_ros.ros.camera_mounting import GivenMounting, TransformMounting, camera_mounting
from kp_ros.ros.odometry_messages import (
    matrix_of,
    odometry_message,
    odometry_status,
    pack_landmarks,
    path_message,
    stamped_pose,
    transform_message,
)
from kp_ros.ros.odometry_parameters import OdometrySettings

STAMP = 1_700_000_000_123_456_789


def estimate(state: State = State.GOOD, reason: str = "", deviation: float = 0.1) -> Estimate:
    pose = np.eye(4)
    pose[:3, 3] = [0.5, -0.25, 2.0]
    return Estimate(
        stamp_ns=STAMP,
        state=state,
        segment=3,
        pose=pose,
        covariance=np.diag([deviation**2] * 6),
        velocity=np.array([0.0, 0.0, 1.5, 0.0, -0.2, 0.0]),
        velocity_covariance=np.diag([0.01] * 6),
        keyframe=True,
        health=Health(120, 0.9, 0.8, 0.5, 0.02, reason),
    )


def test_odometry_is_in_odom_and_its_twist_in_the_base() -> None:
    motion = base_motion(estimate(), mounted(0, 0, 0, 0, 0, 0))
    message = odometry_message(motion, STAMP, "odom", "base_link")
    assert (message.header.frame_id, message.child_frame_id) == ("odom", "base_link")
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    place, twist = message.pose.pose.position, message.twist.twist
    assert (place.x, place.y, place.z) == pytest.approx((2.0, -0.5, 0.25))
    assert (twist.linear.x, twist.linear.y, twist.angular.z) == pytest.approx((1.5, 0.0, 0.2))
    covariance = np.reshape(message.pose.covariance, (6, 6))
    np.testing.assert_allclose(covariance, motion.covariance)
    np.testing.assert_array_equal(covariance, covariance.T)


def test_a_transform_comes_back_as_it_went() -> None:
    pose = mounted(1.0, 2.0, 3.0, 0.1, 0.2, 0.3)
    message = transform_message(pose, STAMP, "odom", "base_link")
    assert (message.header.frame_id, message.child_frame_id) == ("odom", "base_link")
    np.testing.assert_allclose(matrix_of(message.transform), pose, atol=1e-12)


def test_a_path_holds_its_poses() -> None:
    poses = [stamped_pose(mounted(x, 0, 0, 0, 0, 0), STAMP + int(x), "odom") for x in (1.0, 2.0)]
    path = path_message(poses, STAMP, "odom")
    assert [pose.pose.position.x for pose in path.poses] == [1.0, 2.0]
    assert path.header.frame_id == path.poses[0].header.frame_id == "odom"


def test_landmarks_are_a_cloud_in_odom() -> None:
    landmarks = Landmarks(np.array([7, 9], np.uint32), np.array([[0, 0, 5.0], [1, 0, 4.0]]), np.array([0.1, 0.2]))
    cloud = pack_landmarks(landmarks, mounted(0.5, 0, 0, 0, 0, 0), STAMP, "odom")
    message = deserialize_message(cloud.to_cdr(), PointCloud2)
    assert [field.name for field in message.fields] == ["x", "y", "z", "track_id", "deviation"]
    values = np.frombuffer(bytes(message.data), "<f4").reshape(2, 5)
    np.testing.assert_allclose(values[:, :3], [[5.5, 0, 0], [4.5, -1, 0]], atol=1e-6)
    np.testing.assert_allclose(values[:, 4], [0.1, 0.2])
    assert message.header.frame_id == "odom"


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (State.GOOD, DiagnosticStatus.OK),
        (State.WEAK, DiagnosticStatus.WARN),
        (State.INITIALISING, DiagnosticStatus.WARN),
        (State.LOST, DiagnosticStatus.ERROR),
    ],
)
def test_the_status_says_how_far_the_pose_can_be_trusted(state: State, level: bytes) -> None:
    reason = "" if state is State.GOOD else "the lens is covered"
    status = odometry_status(estimate(state, reason, deviation=1e3), "/robot/odometry_node", "camera")
    assert status.level == level
    assert status.name == "robot/odometry_node: odometry"
    assert status.message == (f"{state.value}: {reason}" if reason else "good")
    values = {item.key: item.value for item in status.values}
    assert values["state"] == state.value
    assert values["segment"] == "3"
    assert float(values["position's deviation (m)"]) == pytest.approx(1e3 * 3**0.5, rel=1e-3)


def test_the_mounting_of_the_parameters() -> None:
    given = GivenMounting(OdometrySettings(camera_x=0.3, camera_pitch=0.2))
    np.testing.assert_array_equal(given.base_from_camera("any"), mounted(0.3, 0, 0, 0, 0.2, 0))


class Buffer:
    """tf2's, which learns of the transform at the third question."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def lookup_transform(self, target: str, source: str, time: object) -> TransformStamped:
        self.asked.append((target, source))
        if len(self.asked) < 3:
            raise LookupError(f'"{target}" does not exist')
        transform = Transform(translation=Vector3(x=0.5), rotation=Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5))
        return TransformStamped(transform=transform)


def test_the_mounting_of_tf_is_waited_for_and_kept() -> None:
    buffer = Buffer()
    mounting = TransformMounting(buffer, "base_link")
    assert mounting.base_from_camera("camera_optical") is None
    assert "no transform from camera_optical to base_link yet" in mounting.problem
    assert mounting.base_from_camera("camera_optical") is None
    found = mounting.base_from_camera("camera_optical")
    assert mounting.problem == ""
    # The rotation of every camera that looks forward.
    assert found is not None
    np.testing.assert_allclose(found, mounted(0.5, 0, 0, 0, 0, 0), atol=1e-12)
    mounting.base_from_camera("camera_optical")
    assert buffer.asked == [("base_link", "camera_optical")] * 3


def test_without_tf2_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from kp_ros.errors import UserError

    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(UserError, match="tf2_ros is not installed"):
        camera_mounting(SimpleNamespace(), OdometrySettings(mounting="tf"))  # type: ignore[arg-type]
