"""The launch files, started by launch itself where it is installed (it is in every ROS 2 distribution, not on PyPI)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Camera
from robot import CHECKOUT, PATIENCE, Robot, environment, image_message

pytest.importorskip("launch_ros")

Launch = Callable[..., Path]


@pytest.fixture
def launch(domain: int, tmp_path: Path) -> Iterator[Launch]:
    """Runs a launch file with arguments; gives the file that its output goes to."""
    # What an installed package looks like to launch.
    prefix = tmp_path / "install"
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / "kp_ros"
    executables = prefix / "lib" / "kp_ros"
    for folder in (marker.parent, executables):
        folder.mkdir(parents=True)
    marker.touch()
    for node in ("keypoint_node", "odometry_node"):
        (executables / node).write_text(f'#!/bin/sh\nexec {sys.executable} -m kp_ros.ros.{node} "$@"\n')
        (executables / node).chmod(0o755)
    prefixes = os.pathsep.join([str(prefix), sys.prefix])
    processes = []

    def run(file: str = "keypoints.launch.py", **arguments: str) -> Path:
        given = [f"{name}:={value}" for name, value in arguments.items()]
        script = (
            "import sys; from launch import LaunchService; from launch.launch_description_sources import *; "
            "from launch.actions import IncludeLaunchDescription; from launch import LaunchDescription; "
            "arguments = [tuple(one.split(':=')) for one in sys.argv[2:]]; "
            "source = PythonLaunchDescriptionSource(sys.argv[1]); "
            "description = IncludeLaunchDescription(source, launch_arguments=arguments); "
            "service = LaunchService(); service.include_launch_description(LaunchDescription([description])); "
            "sys.exit(service.run())"
        )
        command = [sys.executable, "-c", script, str(CHECKOUT / "launch" / file), *given]
        log = tmp_path / "launch.log"
        variables = {**environment(domain), "AMENT_PREFIX_PATH": prefixes, "ROS_LOG_DIR": str(tmp_path)}
        with log.open("wb") as output:
            processes.append(subprocess.Popen(command, env=variables, stdout=output, stderr=output))
        return log

    yield run
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def test_it_takes_the_node_to_active(launch: Launch, robot: Robot, camera: Camera) -> None:
    log = launch(model="orb", image_topic="/image")
    robot.wait_until_it_listens()
    assert robot.state() == "active", log.read_text()
    assert robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))["tracks"].width > 100


def test_arguments_reach_the_node(launch: Launch, robot: Robot) -> None:
    launch(
        namespace="front",
        model="orb",
        image_topic="cam/image_raw",
        image_transport="compressed",
        use_sim_time="true",
        log_level="debug",
    )
    topics = {"/front/cam/image_raw/compressed", "/front/cam/camera_info", "/front/keypoint_node/tracks"}
    robot.wait_for("topics", lambda: topics <= {name for name, _ in robot.node.get_topic_names_and_types()})


def test_without_autostart_it_waits(launch: Launch, robot: Robot) -> None:
    launch(model="orb", autostart="false")
    assert robot.state() == "unconfigured"
    assert robot.parameter("model") == "orb"


def test_a_bad_model_shows_in_the_log(launch: Launch, robot: Robot, tmp_path: Path) -> None:
    log = launch(model=str(tmp_path / "nowhere.onnx"))
    robot.wait_for("message", lambda: "cannot configure" in log.read_text())
    assert robot.state() == "unconfigured"


@pytest.fixture
def odometry_robot(domain: int) -> Iterator[Robot]:
    robot = Robot(domain, "/odometry_node")
    yield robot
    robot.close()


@pytest.mark.parametrize(
    ("mode", "topics"),
    [
        ("mono", {"/cam/image_raw", "/cam/camera_info"}),
        ("stereo", {"/cam/image_raw", "/cam/camera_info", "/right/image_rect", "/right/camera_info"}),
        ("rgbd", {"/cam/image_raw", "/cam/camera_info", "/depth/image"}),
    ],
)
def test_odometry_in_every_mode(launch: Launch, odometry_robot: Robot, mode: str, topics: set[str]) -> None:
    robot = odometry_robot
    log = launch(
        "odometry.launch.py",
        mode=mode,
        model="orb",
        image_topic="/cam/image_raw",
        right_topic="/right/image_rect",
        depth_topic="/depth/image",
    )

    def listens() -> bool:
        return all(robot.node.count_subscribers(topic) for topic in topics)

    try:
        robot.wait_for("subscriptions", listens)
    except AssertionError:
        raise AssertionError(log.read_text()) from None
    assert robot.state() == "active"
    assert robot.parameter("mode") == mode
    unheard = {"/right/image_rect", "/right/camera_info", "/depth/image"} - topics
    assert not any(robot.node.count_subscribers(topic) for topic in unheard)
    robot.wait_for("odometry", lambda: robot.node.count_publishers("/odometry_node/odometry"))
