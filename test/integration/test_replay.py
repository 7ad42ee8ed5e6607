"""``kp_ros replay`` in its own process, heard over DDS."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy.serialization
from conftest import Camera, StartNode
from robot import ACTIVATE, CLOUDS, CONFIGURE, FRAME_ID, NODE, Robot, environment, stamp_of
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from test_run_equals_live import record

from kp_ros.detectors import load_detector
from kp_ros.frontend import Frontend
from kp_ros.offline.run import run
from kp_ros.recordings.opening import open_recording
from kp_ros.tracking import load_tracker

StartReplay = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_replay(domain: int) -> Iterator[StartReplay]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from kp_ros.cli import main; main()", "replay", *map(str, arguments)]
        command += ["--wait", "60"]
        process = subprocess.Popen(
            command, env={**environment(domain), "COLUMNS": "200"}, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def listen(robot: Robot, kind: type, topic: str) -> list[Any]:
    """Messages of a topic, as they come."""
    heard: list[Any] = []
    robot.node.create_subscription(kind, topic, heard.append, 50)
    return heard


def finish(robot: Robot, process: subprocess.Popen[str]) -> str:
    """Hear it to its end; what it said."""
    robot.wait_for("end of the replay", lambda: process.poll() is not None)
    # It ended when everything had arrived; some of that waits to be taken.
    robot.spin(0.5)
    return process.communicate()[1]


def test_bag_with_recorded_timing(robot: Robot, camera: Camera, start_replay: StartReplay, tmp_path: Path) -> None:
    record(camera, tmp_path / "drive.mcap")
    images, infos = listen(robot, Image, "/image"), listen(robot, CameraInfo, "/camera_info")
    process = start_replay(tmp_path / "drive.mcap", "--rate", 0.2)
    said = finish(robot, process)
    assert process.returncode == 0, said
    published = re.search(r"published (\d+) frames in ([\d.]+) s", said)
    assert published and int(published[1]) == len(camera.images), said
    # A busy machine makes it late, never early.
    assert float(published[2]) > (len(camera.images) - 1) * 0.0333 / 0.2 - 0.1
    assert [stamp_of(image) for image in images] == [camera.stamp(i) for i in range(len(camera.images))]
    for message, image in zip(images, camera.images, strict=True):
        assert (message.encoding, message.header.frame_id) == ("mono8", FRAME_ID)
        np.testing.assert_array_equal(np.frombuffer(message.data, np.uint8).reshape(image.shape), image)
    # One ahead of the images, then one with each.
    assert len(infos) == len(images) + 1
    np.testing.assert_array_equal(infos[-1].k, camera.info.k)


def test_loop_jumps_back_or_goes_on(robot: Robot, camera: Camera, start_replay: StartReplay, tmp_path: Path) -> None:
    record(camera, tmp_path / "drive.mcap")
    count = len(camera.images)
    for stamps in ("recorded", "continuous"):
        images = listen(robot, Image, f"/again_{stamps}")
        arguments = ("--loop", "--rate", 0.5, "--stamps", stamps, "--as", f"/again_{stamps}")
        process = start_replay(tmp_path / "drive.mcap", *arguments)
        robot.wait_for("second round", lambda heard=images: len(heard) > count + 3)  # type: ignore[misc]
        process.send_signal(signal.SIGINT)
        said = finish(robot, process)
        assert process.returncode == 130, said
        assert "interrupted: published" in said
        assert "Traceback" not in said
        heard = np.array([stamp_of(message) for message in images])
        if stamps == "recorded":
            back = np.flatnonzero(np.diff(heard) < 0)[0]
            assert (heard[back], heard[back + 1]) == (camera.stamp(count - 1), camera.stamp(0))
        else:
            assert heard.max() > camera.stamp(count - 1)
            # Whole frames apart, whatever a busy machine may have left out.
            frames = np.diff(heard) / (camera.stamp(1) - camera.stamp(0))
            assert (frames > 0.5).all()
            np.testing.assert_allclose(frames, np.rint(frames), atol=1e-3)


def test_folder_raw_as_a_node_expects_it_or_as_recorded(
    robot: Robot, camera: Camera, start_replay: StartReplay, tmp_path: Path
) -> None:
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.jpg"), camera.images[index])
    raw = listen(robot, Image, "/camera/image_raw")
    said = finish(robot, start_replay(tmp_path, "--rate", 0.2))
    assert [message.encoding for message in raw] == ["mono8"] * 3, said
    decoded = cv2.imread(str(tmp_path / "1.jpg"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(np.frombuffer(raw[1].data, np.uint8), decoded.ravel())

    compressed = listen(robot, CompressedImage, "/camera/image_raw/compressed")
    finish(robot, start_replay(tmp_path, "--rate", 0.2, "--transport", "recorded"))
    assert [bytes(message.data) for message in compressed] == [
        (tmp_path / f"{index}.jpg").read_bytes() for index in range(3)
    ]


def test_stamps_of_now(robot: Robot, camera: Camera, start_replay: StartReplay, tmp_path: Path) -> None:
    record(camera, tmp_path / "drive.mcap")
    images, infos = listen(robot, Image, "/image"), listen(robot, CameraInfo, "/camera_info")
    began = time.time_ns()
    finish(robot, start_replay(tmp_path / "drive.mcap", "--stamps", "now", "--rate", 0.2))
    stamps = [stamp_of(message) for message in images]
    assert all(began < stamp < time.time_ns() for stamp in stamps)
    # Those of an image and its calibration agree, which image_transport's subscribers rely on.
    assert [stamp_of(message) for message in infos][1:] == stamps


def test_real_fisheye_bag_of_ros_1(robot: Robot, start_replay: StartReplay, shared_data: Path) -> None:
    images = listen(robot, Image, "/camera/fisheye1/image_raw")
    bag = shared_data / "bags" / "t265_trimmed_locoffice.bag"
    said = finish(robot, start_replay(bag, "--topic", "/camera/fisheye1/image_raw"))
    assert [(message.width, message.height) for message in images] == [(848, 800)] * 3, said
    assert images[0].header.frame_id == "camera_fisheye1_optical_frame"


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_folder_through_the_node_equals_run(
    tmp_path: Path, start_node: StartNode, start_replay: StartReplay, robot: Robot, camera: Camera, transport: str
) -> None:
    """JPEG files through ``kp_ros replay`` and the node, and the same files through ``kp_ros run``."""
    folder, output, count = tmp_path / "drive", tmp_path / "output.mcap", 6
    folder.mkdir()
    for index in range(count):
        cv2.imwrite(str(folder / f"{index}.jpg"), camera.images[index])
    info = camera.info
    calibration = {"fx": info.k[0], "fy": info.k[4], "cx": info.k[2], "cy": info.k[5], "width": 640, "height": 480}
    (folder / "calib.json").write_text(json.dumps(calibration))
    run(
        open_recording(folder),
        Frontend(load_detector("orb", max_keypoints=1024), load_tracker(max_tracks=1024)),
        output,
    )

    start_node("-r", "image:=/camera/image_raw", image_transport=transport)
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    for topic in CLOUDS:
        robot.wait_for(topic, lambda topic=topic: robot.node.count_publishers(f"{NODE}/{topic}"))  # type: ignore[misc]
    robot.spin(0.5)
    # Slowly: the node may drop what comes too fast, and then tracks differ.
    start_replay(folder, "--rate", 0.05, "--transport", "raw" if transport == "raw" else "recorded")
    robot.wait_for("answers", lambda: min(len(robot.heard[topic]) for topic in CLOUDS) == count)

    with AnyReader([output]) as bag:
        for connection, _, data in bag.messages():
            topic = connection.topic.removeprefix(f"{NODE}/")
            if topic in CLOUDS:
                live = robot.heard[topic].pop(0)
                assert live == rclpy.serialization.deserialize_message(data, PointCloud2), f"{topic} differs"
