from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from moving_picture import FRAMES, PERIOD_NS, START_NS

from kp_ros.camera import Camera
from kp_ros.detectors import load_detector
from kp_ros.frontend import Frontend
from kp_ros.recordings import messages
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.tracking import load_tracker


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A bag of ten frames whose picture moves steadily; the sixth frame's JPEG is cut off."""
    noise = np.random.default_rng(8).integers(0, 256, (300, 400)).astype(np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)
    camera = Camera(320, 240, np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]]), np.zeros(0))
    path = tmp_path / "source.mcap"
    with McapWriter(path) as bag:
        for index in range(FRAMES):
            stamp_ns = START_NS + index * PERIOD_NS
            jpeg = cv2.imencode(".jpg", texture[index : index + 240, 3 * index : 3 * index + 320])[1].tobytes()
            image = messages.compressed_image(jpeg if index != 5 else jpeg[:-100], "jpeg", stamp_ns, "lens")
            bag.write("/camera/camera_info", messages.camera_info(camera, stamp_ns, "lens"), stamp_ns)
            bag.write("/camera/image/compressed", image, stamp_ns)
    return path


@pytest.fixture
def frontend() -> Frontend:
    return Frontend(load_detector("orb", max_keypoints=300), load_tracker(max_tracks=300))
