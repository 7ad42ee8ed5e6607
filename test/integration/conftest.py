from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from robot import ACTIVATE, CONFIGURE, NodeProcess, Robot
from sensor_msgs.msg import CameraInfo

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 33_333_333

StartNode = Callable[..., NodeProcess]


@dataclass(frozen=True)
class Camera:
    """A short sequence: grey images, uint8 [H, W], and the calibration of their camera."""

    images: list[NDArray[np.uint8]]
    info: CameraInfo

    def stamp(self, index: int) -> int:
        return START_NS + index * PERIOD_NS


@pytest.fixture(scope="session")
def camera() -> Camera:
    """Real images of a moving camera; where there are none, a photograph-like texture that moves."""
    folder = SHARED_DATA / "icl_kt3"
    if folder.is_dir():
        files = sorted((folder / "images").iterdir())[:12]
        images = [np.asarray(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), np.uint8) for file in files]
        values = json.loads((folder / "calib.json").read_text())
        fx, fy, cx, cy = (float(values[key]) for key in ("fx", "fy", "cx", "cy"))
        fy = abs(fy)
    else:
        noise = np.random.default_rng(5).integers(0, 256, (600, 800)).astype(np.uint8)
        texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX)
        images = [np.ascontiguousarray(texture[i : i + 480, 2 * i : 2 * i + 640]) for i in range(12)]
        fx = fy = 480.0
        cx, cy = 319.5, 239.5
    info = CameraInfo(width=640, height=480, distortion_model="plumb_bob", d=[0.0] * 5)
    info.k = np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1])
    info.p = np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0])
    return Camera(images, info)


@pytest.fixture(scope="session")
def domain() -> int:
    """A ROS domain that no other test process uses at the same time."""
    return 1 + os.getpid() % 100


@pytest.fixture
def robot(domain: int) -> Iterator[Robot]:
    robot = Robot(domain)
    yield robot
    robot.close()


@pytest.fixture
def start_node(domain: int, tmp_path: Path) -> Iterator[StartNode]:
    """Starts the node with parameters and further ROS arguments; ends it after the test."""
    started: list[NodeProcess] = []

    def start(*arguments: str, **parameters: object) -> NodeProcess:
        settings = {"model": "orb", "autostart": False, "diagnostics_period": 0.2, **parameters}
        ros_arguments = [part for name, value in settings.items() for part in ("-p", f"{name}:={value}")]
        started.append(NodeProcess(domain, tmp_path / f"node{len(started)}.log", *ros_arguments, *arguments))
        return started[-1]

    yield start
    for node in started:
        node.close()
        print(node.log)


@pytest.fixture
def active(start_node: StartNode, robot: Robot) -> NodeProcess:
    """A node with ORB, active, that hears the robot and is heard."""
    node = start_node()
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    robot.wait_until_it_listens()
    return node
