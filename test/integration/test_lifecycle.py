"""The node's lifecycle, by its services."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Camera, StartNode
from robot import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Robot, image_message

MEBIBYTE = 2**20


def test_it_starts_by_itself_when_told_to(robot: Robot, start_node: StartNode, camera: Camera) -> None:
    start_node(autostart=True)
    robot.wait_until_it_listens()
    assert robot.state() == "active"
    assert robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))["tracks"].width > 100


def test_every_transition_changes_the_state(robot: Robot, start_node: StartNode) -> None:
    start_node()
    assert robot.state() == "unconfigured"
    transitions = [
        (CONFIGURE, "inactive"),
        (ACTIVATE, "active"),
        (DEACTIVATE, "inactive"),
        (CLEANUP, "unconfigured"),
    ]
    for identifier, state in transitions:
        assert robot.transition(identifier)
        assert robot.state() == state
        robot.diagnosis("node", lambda status, state=state: status.message == state)


def test_it_survives_a_transition_that_is_not_allowed(robot: Robot, start_node: StartNode) -> None:
    start_node()
    assert robot.state() == "unconfigured"
    # Jazzy's rclpy does not answer these.
    robot.request_transition(ACTIVATE)
    robot.spin(0.5)
    assert robot.state() == "unconfigured"
    assert robot.transition(CONFIGURE)


@pytest.mark.parametrize("model", ["orb", "kp_base"])
def test_twenty_cycles_leave_memory_flat(robot: Robot, start_node: StartNode, camera: Camera, model: str) -> None:
    node = start_node(model=model)
    resident = []
    for cycle in range(25):
        assert robot.transition(CONFIGURE)
        assert robot.transition(ACTIVATE)
        robot.wait_for("subscription", lambda: robot.image_publisher.get_subscription_count() > 0)
        robot.ask(image_message(camera.images[cycle % 12], "mono8", camera.stamp(cycle)))
        assert robot.transition(DEACTIVATE)
        assert robot.transition(CLEANUP)
        resident.append(node.resident_bytes())
    print("resident MiB after each cycle:", [round(size / MEBIBYTE, 1) for size in resident])
    # The first cycles fill caches; one model that stayed would be 25 MiB, and here are twenty.
    assert np.median(resident[-5:]) - np.median(resident[3:8]) < 16 * MEBIBYTE


def missing(folder: Path) -> Path:
    return folder / "nowhere.onnx"


def corrupt(folder: Path) -> Path:
    path = folder / "corrupt.onnx"
    path.write_bytes(b"this is no model" * 100)
    return path


@pytest.mark.parametrize("make", [missing, corrupt])
def test_a_bad_model_fails_to_configure_says_why_and_can_be_replaced(
    robot: Robot, start_node: StartNode, camera: Camera, tmp_path: Path, make: object
) -> None:
    assert callable(make)
    path = make(tmp_path)
    node = start_node(model=path)
    assert not robot.transition(CONFIGURE)
    assert robot.state() == "unconfigured"
    assert "cannot configure: " in node.log
    assert str(path) in node.log
    status = robot.diagnosis("node", lambda status: str(path) in status.message)
    assert status.level == status.ERROR
    assert robot.set_parameter("model", "orb") == ""
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    robot.wait_until_it_listens()
    assert robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))["tracks"].width > 100
    robot.diagnosis("node", lambda status: status.message == "active")


def test_a_qos_override_that_makes_no_sense_fails_to_configure(robot: Robot, start_node: StartNode) -> None:
    node = start_node("-p", "qos_overrides./keypoint_node/tracks.publisher.reliability:=perhaps")
    assert not robot.transition(CONFIGURE)
    assert robot.state() == "unconfigured"
    assert "Unexpected QoS override for policy `reliability`: `perhaps`" in node.log
