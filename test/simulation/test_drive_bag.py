from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from kp_ros.recordings.decoding import Decoding
from kp_ros.recordings.opening import open_recording
from kp_ros.recordings.output import OutputError
from kp_ros.simulation import drive, render, street
from kp_ros.simulation.drive_bag import Drive, demo_camera, odometry, record


@pytest.fixture(scope="module")
def scene() -> Drive:
    trajectory = drive(seconds=0.3)
    return Drive(street(trajectory, seed=1), demo_camera(), trajectory)


def test_a_bag_holds_what_was_rendered(scene: Drive, tmp_path: Path) -> None:
    path = tmp_path / "drive.mcap"
    assert list(record(scene, path)) == list(range(1, 10))
    with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        found = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
        assert found == {
            "/camera/camera_info": ("sensor_msgs/msg/CameraInfo", 9),
            "/camera/depth": ("sensor_msgs/msg/Image", 9),
            "/camera/image_raw": ("sensor_msgs/msg/Image", 9),
            "/ground_truth/odometry": ("nav_msgs/msg/Odometry", 9),
        }
        images = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages() if c.topic.endswith("raw")]
    third = images[2]
    assert (third.encoding, third.width, third.height, third.step) == ("bgr8", 640, 480, 1920)
    assert third.header.stamp.sec * 10**9 + third.header.stamp.nanosec == scene.trajectory.stamps_ns[2]
    rendered = render(scene.world, scene.camera, scene.trajectory.poses[2])
    np.testing.assert_array_equal(third.data.reshape(480, 640, 3), rendered.image)
    # The depth comes along with the image, in millimetres; what is too far for 16 bits is unknown.
    recording = open_recording(path, companions=("/camera/depth",))
    frames = list(recording.frames())
    recording.close()
    (topic, depth), *others = frames[2].companions
    assert (topic, others, depth.encoding) == ("/camera/depth", [], "16UC1")
    metres = depth.data.view(np.uint16).reshape(480, 640) / 1000
    known = rendered.depth < 65.5
    np.testing.assert_allclose(metres[known], rendered.depth[known], atol=0.00051)
    assert (metres[~known] == 0).all()


def test_our_own_tools_read_the_bag(scene: Drive, tmp_path: Path) -> None:
    list(record(scene, tmp_path / "drive.mcap"))
    recording = open_recording(tmp_path / "drive.mcap")
    frames = list(Decoding(recording).frames())
    recording.close()
    assert len(frames) == 9
    assert frames[0].image.shape == (480, 640)
    assert frames[0].camera is not None
    np.testing.assert_allclose(frames[0].camera.matrix, scene.camera.matrix)


def test_a_drive_that_is_cut_short_leaves_no_file(scene: Drive, tmp_path: Path) -> None:
    frames = record(scene, tmp_path / "drive.mcap")
    next(frames)
    frames.close()
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_named(scene: Drive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        next(record(scene, tmp_path / "file" / "drive.mcap"))


def test_odometry_is_the_true_motion() -> None:
    trajectory = drive(seconds=9.0)
    for index in (100, 160, 240):
        message = odometry(trajectory, index)
        pose = trajectory.poses[index]
        q = message.pose.pose.orientation
        x, y, z, w = q.x, q.y, q.z, q.w
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )
        np.testing.assert_allclose(rotation, pose[:3, :3], atol=1e-9)
        position = message.pose.pose.position
        np.testing.assert_allclose([position.x, position.y, position.z], pose[:3, 3])
        # Forward is the optical frame's z.
        assert message.twist.twist.linear.z == pytest.approx(5.0, rel=0.01)
        assert abs(message.twist.twist.linear.x) < 0.1
    # The first turn is to the left: about the optical frame's y axis, downwards, that is negative.
    assert odometry(trajectory, 130).twist.twist.angular.y < -0.2


def test_odometry_of_every_heading_has_a_unit_quaternion() -> None:
    for angle in (-170.0, -90.0, 0.0, 90.0, 179.0):
        trajectory = drive(seconds=9.0, turns=((1.0, 20.0, angle),))
        q = odometry(trajectory, len(trajectory) - 1).pose.pose.orientation
        assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1.0)
        assert q.w >= 0
