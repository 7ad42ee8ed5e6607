"""One short drive, written in every format by rosbags, which is not what reads it here alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from drives import FRAMES, IMAGE_TOPIC, INFO_TOPIC, PERIOD_NS, START_NS, Drive, WriteBag
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer
from rosbags.typesys import Stores, get_typestore

from kp_ros.camera import Camera
from kp_ros.recordings import messages
from kp_ros.recordings.mcap_writer import McapWriter


@pytest.fixture(scope="session")
def drive() -> Drive:
    random = np.random.default_rng(3)
    texture = cv2.GaussianBlur(random.integers(0, 256, (200, 300)).astype(np.uint8), (0, 0), 1.5)
    # With noise, as a camera has it: else zstd packs twenty frames into one block, and a cut leaves all or nothing.
    images = [
        texture[i : i + 120, 2 * i : 2 * i + 160] ^ random.integers(0, 4, (120, 160), np.uint8) for i in range(FRAMES)
    ]
    matrix = np.array([[150.0, 0, 79.5], [0, 151.0, 59.5], [0, 0, 1]])
    camera = Camera(160, 120, matrix, np.array([0.1, -0.05, 0.001, 0.002, 0.0]))
    return Drive(images, [START_NS + i * PERIOD_NS for i in range(FRAMES)], camera)


@pytest.fixture
def write_mcap(drive: Drive) -> WriteBag:
    def write(path: Path) -> Path:
        with McapWriter(path) as bag:
            for index, stamp_ns in enumerate(drive.stamps):
                bag.write(INFO_TOPIC, drive.info(index), stamp_ns)
                bag.write(IMAGE_TOPIC, drive.image(index), stamp_ns)
        return path

    return write


@pytest.fixture
def write_rosbag2(drive: Drive) -> Callable[[Path, StoragePlugin], Path]:
    def write(path: Path, storage: StoragePlugin) -> Path:
        store = messages.typestore()
        with Rosbag2Writer(path, version=9, storage_plugin=storage) as bag:
            image = bag.add_connection(IMAGE_TOPIC, messages.IMAGE, typestore=store)
            info = bag.add_connection(INFO_TOPIC, messages.CAMERA_INFO, typestore=store)
            for index, stamp_ns in enumerate(drive.stamps):
                bag.write(info, stamp_ns, store.serialize_cdr(drive.info(index), messages.CAMERA_INFO))
                bag.write(image, stamp_ns, store.serialize_cdr(drive.image(index), messages.IMAGE))
        return path

    return write


@pytest.fixture
def write_rosbag1(drive: Drive) -> WriteBag:
    """A bag of ROS 1: headers have a sequence number, and CameraInfo's matrices are capitals."""

    def write(path: Path) -> Path:
        store = get_typestore(Stores.ROS1_NOETIC)
        types = store.types
        with Rosbag1Writer(path) as bag:
            image_connection = bag.add_connection(IMAGE_TOPIC, messages.IMAGE, typestore=store)
            info_connection = bag.add_connection(INFO_TOPIC, messages.CAMERA_INFO, typestore=store)
            for index, stamp_ns in enumerate(drive.stamps):
                seconds, nanoseconds = divmod(stamp_ns, messages.NANOSECONDS)
                stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
                header = types["std_msgs/msg/Header"](seq=index, stamp=stamp, frame_id="camera")
                grey, info = drive.image(index), drive.info(index)
                image = types[messages.IMAGE](
                    header, grey.height, grey.width, grey.encoding, grey.is_bigendian, grey.step, grey.data
                )
                roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
                old_info = types[messages.CAMERA_INFO](
                    header, info.height, info.width, info.distortion_model, info.d, info.k, info.r, info.p, 0, 0, roi
                )
                bag.write(info_connection, stamp_ns, store.serialize_ros1(old_info, messages.CAMERA_INFO))
                bag.write(image_connection, stamp_ns, store.serialize_ros1(image, messages.IMAGE))
        return path

    return write
