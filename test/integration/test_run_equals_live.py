"""What ``kp_ros run`` writes for a frame is byte for byte what the live node publishes for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rclpy.serialization
from conftest import Camera, StartNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot import ACTIVATE, CLOUDS, CONFIGURE, FRAME_ID, NODE, Robot, points
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String

from kp_ros.camera import Camera as Intrinsics
from kp_ros.detectors import load_detector
from kp_ros.frontend import Frontend
from kp_ros.offline.run import run
from kp_ros.recordings import messages
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.recordings.opening import open_recording
from kp_ros.tracking import load_tracker


def record(camera: Camera, path: Path) -> None:
    """The sequence as a bag of its own: what a robot would have recorded."""
    info = camera.info
    intrinsics = Intrinsics(info.width, info.height, np.array(info.k).reshape(3, 3), np.array(info.d))
    with McapWriter(path) as bag:
        for index, image in enumerate(camera.images):
            stamp_ns = camera.stamp(index)
            bag.write("/camera_info", messages.camera_info(intrinsics, stamp_ns, FRAME_ID), stamp_ns)
            bag.write("/image", messages.image(image, "mono8", stamp_ns, FRAME_ID), stamp_ns)


def test_byte_for_byte(tmp_path: Path, start_node: StartNode, robot: Robot, camera: Camera) -> None:
    source, output = tmp_path / "source.mcap", tmp_path / "output.mcap"
    record(camera, source)
    run(
        open_recording(source),
        Frontend(load_detector("orb", max_keypoints=1024), load_tracker(max_tracks=1024)),
        output,
    )

    start_node()
    heard: dict[str, list[bytes]] = {topic: [] for topic in CLOUDS}
    qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
    for topic in CLOUDS:
        robot.node.create_subscription(PointCloud2, f"{NODE}/{topic}", heard[topic].append, qos, raw=True)
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    robot.wait_until_it_listens()
    robot.send_calibration(camera.info)
    kinds = {"/image": (Image, robot.image_publisher), "/camera_info": (CameraInfo, robot.camera_info_publisher)}
    sent = 0
    with AnyReader([source]) as bag:
        for connection, _, data in bag.messages():
            kind, publisher = kinds[connection.topic]
            publisher.publish(rclpy.serialization.deserialize_message(data, kind))
            if connection.topic == "/image":
                sent += 1
                robot.wait_for("answer", lambda count=sent: min(len(heard[topic]) for topic in CLOUDS) >= count)  # type: ignore[misc]

    offline: dict[str, list[bytes]] = {topic: [] for topic in CLOUDS}
    with AnyReader([output]) as bag:
        for connection, _, data in bag.messages():
            if connection.topic == f"{NODE}/model":
                model = rclpy.serialization.deserialize_message(data, String)
                robot.wait_for("model", lambda: robot.heard["model"])
                assert model.data == robot.heard["model"][-1].data
            else:
                offline[connection.topic.removeprefix(f"{NODE}/")].append(bytes(data))
    for topic in CLOUDS:
        assert len(offline[topic]) == len(camera.images)
        for index, (recorded, live) in enumerate(zip(offline[topic], heard[topic], strict=True)):
            # DDS fills a message up to a multiple of four bytes.
            assert live[: len(recorded)] == recorded, f"{topic} of frame {index} differs"
            assert len(live) - len(recorded) < 4
    # Not equal because both lack the calibration.
    last = points(rclpy.serialization.deserialize_message(offline["tracks"][-1], PointCloud2))
    assert len(last) > 100
    assert (last["z"] == 1).all()
