"""The odometry node over DDS: what it publishes of a rendered drive, and how it takes what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from numpy.typing import NDArray
from robot import (
    ACTIVATE,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    FRAME_ID,
    NodeProcess,
    Robot,
    image_message,
    points,
    stamp_of,
    stamped,
)
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger

from kp_ros.camera import Camera
from kp_ros.detectors import load_detector
from kp_ros.frontend import Frontend
from kp_ros.mounting import base_motion, mounted
from kp_ros.odometry import Mode, make_odometry
from kp_ros.offline.odometry import OdometrySummary, estimate_poses
from kp_ros.recordings import messages
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.recordings.sensor_opening import open_sensors
from kp_ros.simulation import drive, load_textures, render, street
from kp_ros.tracking import load_tracker
from kp_ros.trajectories import quaternion_of

NODE = "/odometry_node"
FRAMES = 12
CAMERA_POSE = {"camera_x": 0.4, "camera_y": -0.1, "camera_z": 0.8, "camera_pitch": 0.1}


@dataclass(frozen=True)
class DepthDrive:
    """A short drive forward: grey images, depth in metres, and the truth."""

    images: list[NDArray[np.uint8]]
    depths: list[NDArray[np.float32]]
    stamps: list[int]
    poses: NDArray[np.float64]
    camera: Camera

    def info(self) -> CameraInfo:
        camera = self.camera
        info = CameraInfo(width=camera.width, height=camera.height, distortion_model="plumb_bob", d=[0.0] * 5)
        info.k = camera.matrix.ravel()
        info.p = np.hstack([camera.matrix, np.zeros((3, 1))]).ravel()
        return stamped(info, self.stamps[0])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def depth_drive() -> DepthDrive:
    trajectory = drive(seconds=2.0 + FRAMES / 30)
    world = street(trajectory, 1, load_textures())
    camera = Camera(320, 240, np.array([[230.0, 0, 159.5], [0, 230.0, 119.5], [0, 0, 1]]), np.zeros(5))
    # The vehicle has its speed after two seconds.
    poses, stamps = trajectory.poses[-FRAMES:], trajectory.stamps_ns[-FRAMES:].tolist()
    frames = [render(world, camera, pose) for pose in poses]
    images = [np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8) for frame in frames]
    return DepthDrive(images, [frame.depth for frame in frames], stamps, poses, camera)


@pytest.fixture(scope="module")
def offline(depth_drive: DepthDrive, tmp_path_factory: pytest.TempPathFactory) -> OdometrySummary:
    """What `kp_ros odometry` makes of a bag of the drive."""
    bag = tmp_path_factory.mktemp("drive") / "drive.mcap"
    with McapWriter(bag) as writer:
        for index, stamp_ns in enumerate(depth_drive.stamps):
            info = messages.camera_info(depth_drive.camera, stamp_ns, FRAME_ID)
            writer.write("/camera/camera_info", info, stamp_ns)
            depth = messages.image(depth_drive.depths[index], "32FC1", stamp_ns, FRAME_ID)
            writer.write("/camera/depth", depth, stamp_ns)
            image = messages.image(depth_drive.images[index], "mono8", stamp_ns, FRAME_ID)
            writer.write("/camera/image", image, stamp_ns)
    frontend = Frontend(load_detector("orb", max_keypoints=500), load_tracker(max_tracks=500))
    odometry = make_odometry(Mode.RGBD)
    summary = estimate_poses(open_sensors(bag, None), frontend, odometry)
    odometry.close()
    return summary


class OdometryRobot(Robot):
    """A robot with a depth camera, which hears what the odometry node says."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain, NODE)
        self.depth_publisher = self.node.create_publisher(Image, "/depth", 10)
        self.listen(Odometry, f"{NODE}/odometry", "odometry")
        self.listen(DiagnosticArray, f"{NODE}/status", "status")
        self.listen(PointCloud2, f"{NODE}/landmarks", "landmarks")
        self.listen(PathMessage, f"{NODE}/path", "path")

    def answers(self, stamp_ns: int) -> dict[str, Any]:
        """What the node says of an image, by topic; empty unless all of it is there."""
        topics = ("odometry", "status", "landmarks", "tracks")
        found = {topic: m for topic in topics for m in self.heard[topic] if stamp_of(m) == stamp_ns}
        return found if len(found) == len(topics) else {}

    def drive(self, what: DepthDrive, index: int) -> dict[str, Any]:
        """Send an image and its depth, and wait for what the node says of them."""
        return self.show(what.images[index], what.depths[index], what.stamps[index])

    def show(self, image: NDArray[np.uint8], depth: NDArray[np.float32], stamp_ns: int) -> dict[str, Any]:
        """Send any image and depth, and wait for what the node says of them."""
        self.depth_publisher.publish(image_message(depth, "32FC1", stamp_ns))
        self.image_publisher.publish(image_message(image, "mono8", stamp_ns))
        return self.wait_for("pose", lambda: self.answers(stamp_ns))

    def activate(self) -> None:
        assert self.transition(ACTIVATE)
        self.wait_until_it_listens()
        self.wait_until_it_listens(self.depth_publisher)


@pytest.fixture
def robot(domain: int) -> Iterator[OdometryRobot]:
    robot = OdometryRobot(domain)
    yield robot
    robot.close()


@pytest.fixture
def node(domain: int, tmp_path: Path, robot: OdometryRobot) -> Iterator[NodeProcess]:
    """An active node with ORB, a mounted camera and the calibration."""
    parameters = {
        "model": "orb",
        "autostart": False,
        "diagnostics_period": 0.2,
        "max_keypoints": 500,
        "max_tracks": 500,
        "path_step": 0.0,
        "image_timeout": 1.0,
        **CAMERA_POSE,
    }
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    process = NodeProcess(domain, tmp_path / "node.log", *arguments, node=NODE)
    assert robot.transition(CONFIGURE)
    robot.activate()
    yield process
    process.close()
    print(process.log)


def pose_of(message: Odometry) -> NDArray[np.float64]:
    pose = message.pose.pose
    place, turn = pose.position, pose.orientation
    return np.array([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w])


def test_a_drive_gives_what_the_offline_command_gives(
    node: NodeProcess, robot: OdometryRobot, depth_drive: DepthDrive, offline: OdometrySummary
) -> None:
    robot.send_calibration(depth_drive.info())
    answers = [robot.drive(depth_drive, index) for index in range(FRAMES)]
    base_from_camera = mounted(x=0.4, y=-0.1, z=0.8, roll=0.0, pitch=0.1, yaw=0.0)
    for answer, frame in zip(answers, offline.frames, strict=True):
        motion = base_motion(frame.estimate, base_from_camera)
        message = answer["odometry"]
        expected = [*motion.pose[:3, 3], *quaternion_of(motion.pose[:3, :3])]
        np.testing.assert_allclose(pose_of(message), expected, atol=1e-9)
        np.testing.assert_allclose(np.reshape(message.pose.covariance, (6, 6)), motion.covariance, atol=1e-12)
        np.testing.assert_allclose(np.reshape(message.twist.covariance, (6, 6)), motion.twist_covariance, atol=1e-12)
        assert (message.header.frame_id, message.child_frame_id) == ("odom", "base_link")
        state = answer["status"].status[0]
        assert state.message.startswith(frame.estimate.state.value)
    last = answers[-1]["odometry"]
    driven = np.linalg.norm(depth_drive.poses[-1][:3, 3] - depth_drive.poses[0][:3, 3])
    # The camera looks 0.1 rad down and moves along the street: forward is x.
    assert last.pose.pose.position.x == pytest.approx(driven, rel=0.1)
    assert abs(last.pose.pose.position.y) < 0.2 * driven
    assert last.twist.twist.linear.x == pytest.approx(5.0, rel=0.2)
    landmarks = points(answers[-1]["landmarks"])
    assert len(landmarks) > 50
    assert answers[-1]["landmarks"].header.frame_id == "odom"
    # Before the robot, not above it.
    assert np.median(landmarks["x"]) > 1
    path = robot.wait_for("path", lambda: robot.heard["path"])[-1]
    assert path.header.frame_id == "odom"
    assert path.poses[0].pose.position.x == pytest.approx(0, abs=1e-9)


def test_reset_and_lifecycle_begin_anew(node: NodeProcess, robot: OdometryRobot, depth_drive: DepthDrive) -> None:
    robot.send_calibration(depth_drive.info())
    for index in range(4):
        before = robot.drive(depth_drive, index)["odometry"]
    assert before.pose.pose.position.x > 0.3
    assert robot.call(Trigger, "reset", Trigger.Request()).success
    after = robot.drive(depth_drive, 4)["odometry"]
    np.testing.assert_allclose(pose_of(after), [0, 0, 0, 0, 0, 0, 1], atol=1e-9)
    assert robot.drive(depth_drive, 6)["odometry"].pose.pose.position.x > 0.2

    assert robot.transition(DEACTIVATE)
    refused = robot.call(Trigger, "reset", Trigger.Request())
    assert not refused.success
    assert "not active" in refused.message
    assert robot.transition(CLEANUP)
    assert robot.state() == "unconfigured"
    assert robot.transition(CONFIGURE)
    robot.activate()
    robot.send_calibration(depth_drive.info())
    again = robot.drive(depth_drive, 7)["odometry"]
    np.testing.assert_allclose(pose_of(again), [0, 0, 0, 0, 0, 0, 1], atol=1e-9)


def state_of(answer: dict[str, Any]) -> dict[str, str]:
    return {item.key: item.value for item in answer["status"].status[0].values}


def test_a_covered_lens_is_lost_and_the_pose_goes_on_without_a_jump(
    node: NodeProcess, robot: OdometryRobot, depth_drive: DepthDrive
) -> None:
    robot.send_calibration(depth_drive.info())
    for index in range(4):
        seen = robot.drive(depth_drive, index)
    assert state_of(seen)["state"] == "good"
    stamp_ns, dark, unknown = depth_drive.stamps[3], np.zeros((240, 320), np.uint8), np.zeros((240, 320), np.float32)
    for _ in range(60):
        stamp_ns += 33_333_333
        answer = robot.show(dark, unknown, stamp_ns)
        if state_of(answer)["state"] == "lost":
            break
    lost = answer["odometry"]
    assert state_of(answer)["state"] == "lost"
    assert answer["status"].status[0].level == DiagnosticStatus.ERROR
    # A robot must not take it for a measurement: it may be metres away.
    covariance = np.reshape(lost.pose.covariance, (6, 6))
    assert np.sqrt(np.diag(covariance)[:3]).min() > 1.0
    for index in range(4, FRAMES):
        stamp_ns += 33_333_333
        answer = robot.show(depth_drive.images[index], depth_drive.depths[index], stamp_ns)
        if state_of(answer)["state"] == "good":
            break
    again = answer["odometry"]
    assert state_of(answer) | {"state": "good", "segment": "1"} == state_of(answer)
    assert np.linalg.norm(pose_of(again)[:3] - pose_of(lost)[:3]) < 0.3
    assert np.sqrt(np.diag(np.reshape(again.pose.covariance, (6, 6)))[:3]).max() < 0.5


def test_a_missing_depth_image_is_told(node: NodeProcess, robot: OdometryRobot, depth_drive: DepthDrive) -> None:
    robot.send_calibration(depth_drive.info())
    image = iter(range(10**9))

    def told() -> bool:
        index = next(image)
        robot.image_publisher.publish(image_message(depth_drive.images[0], "mono8", depth_drive.stamps[0] + index))
        statuses = [status for message in robot.heard["diagnostics"] for status in message.status]
        robot.heard["diagnostics"].clear()
        return any(
            "no depth image on /depth" in status.message and "/image" in status.message
            for status in statuses
            if status.name.endswith("input")
        )

    robot.wait_for("diagnosis", told)
    assert not robot.heard["odometry"]
    assert "no depth image on /depth" in node.log
