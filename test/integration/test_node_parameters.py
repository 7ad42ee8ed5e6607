"""The node's parameters, by their services, and the file that holds their defaults."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml
from conftest import Camera, StartNode
from robot import CHECKOUT, CONFIGURE, PATIENCE, NodeProcess, Robot, image_message

from kp_ros.detectors import BACKENDS
from kp_ros.ros.parameters import Settings

DEFAULTS = {one.name: one.default for one in fields(Settings)}


def test_every_parameter_is_described(robot: Robot, start_node: StartNode) -> None:
    start_node()
    for descriptor in robot.describe(*DEFAULTS):
        assert descriptor.description, descriptor.name
        assert descriptor.additional_constraints, descriptor.name
        number = isinstance(DEFAULTS[descriptor.name], (int, float)) and not isinstance(DEFAULTS[descriptor.name], bool)
        assert bool(descriptor.integer_range or descriptor.floating_point_range) == number, descriptor.name
    read_only = {descriptor.name for descriptor in robot.describe(*DEFAULTS) if descriptor.read_only}
    assert read_only == {"autostart", "diagnostics_period"}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("score_threshold", 1.5, "out of range"),
        ("score_threshold", 1, "Wrong parameter type"),
        ("max_tracks", 0, "out of range"),
        ("max_keypoints", 100_000, "out of range"),
        ("image_transport", "h264", "image_transport is 'h264'; choose one of: raw, compressed"),
        (
            "backend",
            "abacus",
            f"backend is 'abacus'; choose one of: {', '.join(BACKENDS)}",
        ),
        ("autostart", True, "read-only"),
    ],
)
def test_a_bad_value_is_refused_with_a_reason_and_nothing_changes(
    robot: Robot, start_node: StartNode, name: str, value: Any, reason: str
) -> None:
    start_node()
    before = robot.parameter(name)
    assert reason in robot.set_parameter(name, value)
    assert robot.parameter(name) == before


def test_what_needs_a_new_configuration_is_refused_while_configured(robot: Robot, start_node: StartNode) -> None:
    start_node()
    assert robot.set_parameter("max_keypoints", 300) == ""
    assert robot.transition(CONFIGURE)
    for name, value in {"max_keypoints": 500, "model": "sift", "rectified": True}.items():
        assert "deactivate and clean it up first" in robot.set_parameter(name, value)
    assert robot.parameter("max_keypoints") == 300
    assert robot.parameter("model") == "orb"
    # Loading a whole parameter file must not fail over values that stay as they are.
    assert robot.set_parameter("model", "orb") == ""


def test_the_number_of_tracks_may_change_while_it_runs(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    def tracks(index: int) -> int:
        return int(robot.ask(image_message(camera.images[index], "mono8", camera.stamp(index)))["tracks"].width)

    assert tracks(0) > 100
    assert robot.set_parameter("max_tracks", 40) == ""
    assert tracks(1) == 40
    assert robot.set_parameter("max_tracks", 3000) == ""
    assert tracks(2) > 100
    assert "image left out" not in active.log


@pytest.mark.parametrize("override", ["max_tracks:=-1", "max_tracks:=many", "backend:=abacus"])
def test_a_bad_value_at_the_start_ends_the_node_with_a_reason(
    start_node: StartNode, robot: Robot, override: str
) -> None:
    node = start_node("-p", override)
    assert node.process.wait(PATIENCE) == 1
    assert override.partition(":")[0] in node.log
    assert "correct it on the command line or in the parameter file" in node.log
    assert "Traceback" not in node.log


def test_the_parameter_file_holds_every_default_with_its_meaning() -> None:
    path = CHECKOUT / "config" / "keypoints.yaml"
    given = yaml.safe_load(path.read_text())["/**"]["keypoint_node"]["ros__parameters"]
    assert given == DEFAULTS
    comments = " ".join(line.strip(" #") for line in path.read_text().splitlines() if line.strip().startswith("#"))
    for one in fields(Settings):
        assert one.metadata["description"] in comments, one.name


def test_the_parameter_file_starts_the_node(robot: Robot, start_node: StartNode) -> None:
    start_node(
        "--params-file", str(CHECKOUT / "config" / "keypoints.yaml"), "-r", "__ns:=/robot", "-p", "autostart:=false"
    )
    robot.wait_for("node", lambda: ("keypoint_node", "/robot") in robot.node.get_node_names_and_namespaces())
