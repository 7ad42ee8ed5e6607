from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from kp_ros.detectors.base import DetectorInfo
from kp_ros.ros.diagnostics import NodeState, diagnose
from kp_ros.ros.parameters import Settings
from kp_ros.ros.statistics import Counts, Snapshot

WELL = Snapshot(
    counts=Counts(received=300, published=300),
    recent=Counts(received=300, published=300),
    recent_seconds=10.0,
    silent_seconds=0.01,
    milliseconds={"detect": (11.0, 12.0, 13.0)},
    last_failure="",
    keypoints=900,
    tracks=800,
    median_age=12.0,
)
ACTIVE = NodeState(
    name="/robot/keypoint_node",
    lifecycle="active",
    problem="",
    settings=Settings(),
    image_topic="/robot/image",
    image_publishers=1,
    camera_problem="",
    model=DetectorInfo("kp_base", "pretraining", "ab", 64, "float32", "l2", 1024, "onnxruntime-cpu", "fp32"),
    statistics=WELL,
)


def statuses(state: NodeState) -> dict[str, DiagnosticStatus]:
    return {status.name.rpartition(": ")[2]: status for status in diagnose(state)}


def test_a_healthy_node_is_ok_in_every_respect() -> None:
    found = statuses(ACTIVE)
    assert list(found) == ["node", "input", "speed", "tracks", "calibration"]
    assert all(status.level == DiagnosticStatus.OK for status in found.values())
    assert found["input"].name == "robot/keypoint_node: input"
    assert {item.key: item.value for item in found["speed"].values} == {
        "rate (Hz)": "30.0",
        "published": "300",
        "dropped": "0",
        "detect p50 (ms)": "11.00",
        "detect p95 (ms)": "12.00",
        "detect p99 (ms)": "13.00",
    }
    assert {item.key: item.value for item in found["node"].values}["model"] == "kp_base"


def test_a_build_in_the_background_is_told_and_is_no_fault() -> None:
    node = statuses(replace(ACTIVE, building="tensorrt for 640 x 480 (40%: tactics)"))["node"]
    assert node.level == DiagnosticStatus.OK and "40%" in node.message
    assert {item.key: item.value for item in node.values}["building"].startswith("tensorrt")


@pytest.mark.parametrize(
    ("subject", "state", "statistics", "words"),
    [
        ("input", {}, {"silent_seconds": 5.0}, "no image on /robot/image for 5.0 s; its publisher is silent"),
        ("input", {"image_publishers": 0}, {"silent_seconds": 5.0}, "nobody publishes there: start the camera"),
        (
            "input",
            {},
            {"recent": Counts(received=10, failed=2), "last_failure": "JPEG cut off"},
            "2 of 10 images could not be used; the last: JPEG cut off",
        ),
        (
            "input",
            {},
            {"recent": Counts(received=2, lost=88), "silent_seconds": 5.0},
            "88 images lost on the way, 2 received: let the camera publish reliably",
        ),
        ("input", {}, {"recent": Counts(received=10, time_jumps=3)}, "3 stamps did not advance: let one camera alone"),
        ("speed", {}, {"recent": Counts(received=100, dropped=2)}, "2% of the images dropped: too slow"),
        ("tracks", {}, {"tracks": 12}, "only 12 points followed, 900 detected: check focus"),
        ("calibration", {"camera_problem": "no message on /camera_info"}, {}, "no message on /camera_info"),
    ],
)
def test_what_is_wrong_is_a_warning_that_names_the_fix(
    subject: str, state: dict[str, Any], statistics: dict[str, Any], words: str
) -> None:
    found = statuses(replace(ACTIVE, **state, statistics=replace(WELL, **statistics)))
    assert words in found[subject].message
    assert {name for name, status in found.items() if status.level == DiagnosticStatus.WARN} == {subject}


def test_one_dropped_image_in_a_hundred_is_no_warning() -> None:
    statistics = replace(WELL, recent=Counts(received=100, dropped=1))
    assert statuses(replace(ACTIVE, statistics=statistics))["speed"].level == DiagnosticStatus.OK


def test_a_failed_transition_is_an_error() -> None:
    state = replace(ACTIVE, lifecycle="unconfigured", problem="no such model", model=None, statistics=None)
    found = statuses(state)
    assert list(found) == ["node"]
    assert (found["node"].level, found["node"].message) == (DiagnosticStatus.ERROR, "no such model")
