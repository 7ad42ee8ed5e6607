from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from carried_camera import odometry, pose_stamped

from kp_ros.camera import Camera
from kp_ros.recordings import messages
from kp_ros.recordings.bag_messages import open_bag
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.recordings.recording import RecordingError
from training.data.bags.topics import AskedTopics, ChosenTopics, choose_topics

GREY = np.zeros((4, 6), np.uint8)
DEPTH = np.ones((4, 6), np.uint16)
CAMERA = Camera(6, 4, np.diag([5.0, 5.0, 1.0]), np.zeros(0))


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A robot with a stereo camera of which the right side is calibrated, two depth topics, and two kinds of poses."""
    path = tmp_path / "robot.mcap"
    with McapWriter(path) as writer:
        for stamp in range(3):
            writer.write("/left/image_raw", messages.image(GREY, "mono8", stamp, "left"), stamp)
            writer.write("/right/image_raw", messages.image(GREY, "mono8", stamp, "right"), stamp)
            writer.write("/right/image_raw/compressed", messages.compressed_image(b"\xff\xd8", "jpeg", 0, "r"), stamp)
            writer.write("/right/camera_info", messages.camera_info(CAMERA, stamp, "right"), stamp)
            writer.write("/right/depth", messages.image(DEPTH, "16UC1", stamp, "right"), stamp)
            writer.write("/a_depth/image", messages.image(DEPTH, "16UC1", stamp, "depth_camera"), stamp)
            writer.write("/thermal/image", messages.image(DEPTH, "mono16", stamp, "thermal"), stamp)
            writer.write("/slam/pose", pose_stamped(np.eye(4), stamp), stamp)
            writer.write("/ground_truth/odom", odometry(np.eye(4), stamp, "base_link"), stamp)
            writer.write("/a/odom", odometry(np.eye(4), stamp, "base_link"), stamp)
    return path


def chosen(bag: Path, **asked: str) -> ChosenTopics:
    content = open_bag(bag)
    try:
        return choose_topics(content, AskedTopics(**asked))
    finally:
        content.close()


def test_the_calibrated_raw_camera_its_own_depth_and_the_true_odometry(bag: Path) -> None:
    topics = chosen(bag)
    assert (topics.image, topics.image_frame, topics.camera_info) == ("/right/image_raw", "right", "/right/camera_info")
    assert (topics.depth, topics.depth_info) == ("/right/depth", "/right/camera_info")
    assert (topics.pose, topics.pose_type) == ("/ground_truth/odom", "nav_msgs/msg/Odometry")
    notes = "\n".join(topics.notes)
    for other in ("/left/image_raw", "/thermal/image", "/slam/pose", "--image", "--depth", "--pose"):
        assert other in notes


def test_what_is_asked_for_is_taken(bag: Path) -> None:
    topics = chosen(bag, image="/left/image_raw", depth="/a_depth/image", pose="/slam/pose")
    assert (topics.image, topics.depth, topics.pose) == ("/left/image_raw", "/a_depth/image", "/slam/pose")
    assert topics.camera_info is None
    assert any("with --camera-info you choose among /right/camera_info" in note for note in topics.notes)
    nothing = chosen(bag, camera_info="", depth="", pose="")
    assert (nothing.camera_info, nothing.depth, nothing.pose) == (None, None, None)


@pytest.mark.parametrize("kind", ["image", "camera_info", "depth", "pose"])
def test_what_is_not_there_is_said_with_what_is(bag: Path, kind: str) -> None:
    with pytest.raises(RecordingError, match=r"the bag has no .* on /other; .*/"):
        chosen(bag, **{kind: "/other"})


def test_a_bag_without_images(tmp_path: Path) -> None:
    path = tmp_path / "odometry.mcap"
    with McapWriter(path) as writer:
        writer.write("/odom", odometry(np.eye(4), 0, "base_link"), 0)
    with pytest.raises(RecordingError, match=r"no image topic that can be read; its topics are: /odom"):
        chosen(path)
