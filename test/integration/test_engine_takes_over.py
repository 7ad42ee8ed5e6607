"""What the node says of its model when an engine that was built in the background takes over."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from conftest import Camera
from rclpy.lifecycle import TransitionCallbackReturn
from robot import Robot, image_message, stamp_of

from kp_ros.detectors.exported import ExportedDetector, Program
from kp_ros.detectors.model_file import ModelFile, find_model, read_model
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.ros import keypoint_node
from kp_ros.ros.keypoint_node import KeypointNode


class Engine:
    """A backend that builds when it is let."""

    name, patient, progress = "tensorrt", True, "(40%: tactics)"

    def __init__(self) -> None:
        self.let = threading.Event()

    def build(self, model: ModelFile, height: int, width: int, max_keypoints: int) -> Program:
        assert self.let.wait(120)
        return OnnxRuntimeBackend().build(model, height, width, max_keypoints)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()

    def load(*_: Any, **options: Any) -> ExportedDetector:
        assert options["background"]
        return ExportedDetector(read_model(find_model(None)), engine, 200, stand_in=OnnxRuntimeBackend())

    monkeypatch.setattr(keypoint_node, "load_detector", load)
    return engine


def models(robot: Robot) -> list[str]:
    return [json.loads(message.data)["backend"] for message in robot.heard["model"]]


def test_an_engine_takes_over_without_losing_a_frame(engine: Engine, robot: Robot, camera: Camera) -> None:
    """The node, in this process, because the engine is this test's own."""
    node = KeypointNode(context=robot.context)
    robot.executor.add_node(node)
    try:
        assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        robot.wait_for("model", lambda: models(robot) == ["onnxruntime-cpu"])
        robot.wait_until_it_listens()
        for index, image in enumerate(camera.images):
            robot.ask(image_message(image, "mono8", camera.stamp(index)))
            if index == 3:
                told = robot.diagnosis(": node", lambda status: "builds tensorrt for" in status.message)
                assert "(40%: tactics)" in told.message
                engine.let.set()
        robot.wait_for("new model", lambda: models(robot) == ["onnxruntime-cpu", "tensorrt"])
        robot.diagnosis(": node", lambda status: status.message == "active")
        answered = {stamp_of(message) for message in robot.heard["tracks"]}
        assert answered == {camera.stamp(index) for index in range(len(camera.images))}
    finally:
        robot.executor.remove_node(node)
        node.close()
        node.destroy_node()
