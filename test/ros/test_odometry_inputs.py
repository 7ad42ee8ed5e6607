"""The pairs that reach the pipeline, and what is said when none do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from sensor_msgs.msg import Image

import kp_ros.ros.odometry_inputs as module
from kp_ros.ros.messages import make_header
from kp_ros.ros.odometry_inputs import PairSubscriptions, SecondTopics, second_topics
from kp_ros.ros.odometry_parameters import OdometrySettings

MS = 1_000_000


class Subscription:
    """In place of ImageSubscription: the test calls what DDS would."""

    made: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, node: Any, kind: type, topic: str, received: Any, lost: Any) -> None:
        self.made[topic] = received

    def adapt(self) -> None:
        pass

    def destroy(self) -> None:
        pass


class Node:
    def count_publishers(self, topic: str) -> int:
        return int(topic == "/silent")


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Inputs:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, second: str = "/depth", **settings: Any) -> None:
        self.clock, self.pairs = Clock(), []  # type: ignore[var-annotated]
        monkeypatch.setattr(module, "ImageSubscription", Subscription)
        monkeypatch.setattr(module, "time", self.clock)
        self.subscriptions = PairSubscriptions(
            Node(),  # type: ignore[arg-type]
            OdometrySettings(image_timeout=1.0, **settings),
            "/image",
            second,
            lambda first, other: self.pairs.append((first, other)),
            lambda count: None,
        )
        self.second = second

    def image(self, milliseconds: int) -> None:
        Subscription.made["/image"](Image(header=make_header(milliseconds * MS, "camera")))

    def depth(self, milliseconds: int) -> None:
        Subscription.made[self.second](Image(header=make_header(milliseconds * MS, "camera")))


def test_pairs_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Inputs(monkeypatch)
    for milliseconds in (0, 33, 66):
        inputs.image(milliseconds)
        inputs.depth(milliseconds + 4)
    assert len(inputs.pairs) == 3
    assert inputs.subscriptions.problem == ""
    assert inputs.subscriptions.unpaired == 0


@pytest.mark.parametrize(
    ("second", "settings", "told"),
    [
        ("/depth", {}, "no depth image on /depth for 1 s, while others come on /image; nobody publishes there"),
        ("/silent", {}, "no depth image on /silent for 1 s, while others come on /image; its publisher is silent"),
        ("/right", {"mode": "stereo"}, "no right image on /right for 1 s"),
    ],
)
def test_a_missing_second_image_is_told(
    monkeypatch: pytest.MonkeyPatch, second: str, settings: dict[str, Any], told: str
) -> None:
    inputs = Inputs(monkeypatch, second, **settings)
    inputs.image(0)
    assert inputs.subscriptions.problem == ""
    inputs.clock.now += 1.5
    inputs.image(33)
    assert told in inputs.subscriptions.problem


def test_a_missing_first_image_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Inputs(monkeypatch)
    inputs.clock.now += 1.5
    inputs.depth(33)
    assert "no image on /image for 1 s" in inputs.subscriptions.problem
    assert "remap image" in inputs.subscriptions.problem


def test_stamps_that_never_agree_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Inputs(monkeypatch)
    inputs.clock.now += 1.5
    inputs.image(1000)
    inputs.depth(1500)
    assert "do not belong together: their stamps, 0.500 s apart" in inputs.subscriptions.problem
    assert "sync_tolerance (0.02 s)" in inputs.subscriptions.problem


def test_silence_of_both_is_not_this_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Inputs(monkeypatch)
    inputs.clock.now += 10
    assert inputs.subscriptions.problem == ""


@pytest.fixture
def context() -> Iterator[Context]:
    context = Context()
    rclpy.init(context=context, domain_id=1 + os.getpid() % 100)
    yield context
    context.shutdown()


@pytest.mark.parametrize(
    ("settings", "remappings", "expected"),
    [
        ({"mode": "mono"}, {}, None),
        ({"mode": "rgbd"}, {}, SecondTopics("/robot/depth")),
        ({"mode": "rgbd"}, {"depth": "/cam/depth"}, SecondTopics("/cam/depth")),
        ({"depth_transport": "compressedDepth"}, {"depth": "/d"}, SecondTopics("/d/compressedDepth")),
        ({"mode": "stereo"}, {}, SecondTopics("/robot/right_image", "/robot/right_camera_info")),
        ({"mode": "stereo"}, {"right_image": "/r/image"}, SecondTopics("/r/image", "/r/camera_info")),
        (
            {"mode": "stereo", "image_transport": "compressed"},
            {"right_image": "/r/image", "right_camera_info": "/info"},
            SecondTopics("/r/image/compressed", "/info"),
        ),
    ],
)
def test_where_second_images_come_from(
    context: Context, settings: dict[str, Any], remappings: dict[str, str], expected: SecondTopics | None
) -> None:
    arguments = [part for name, topic in remappings.items() for part in ("-r", f"{name}:={topic}")]
    node = rclpy.create_node(
        "odometry", namespace="/robot", context=context, cli_args=["--ros-args", *arguments], use_global_arguments=False
    )
    assert second_topics(node, OdometrySettings(**settings)) == expected
    node.destroy_node()
