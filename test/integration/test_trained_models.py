"""The four training methods: what they export after their first steps runs in the node unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Camera, StartNode
from robot import ACTIVATE, CONFIGURE, Robot, image_message, points
from small_scenes import small_settings, write_photographs

from training.configuration import save_config
from training.export import export
from training.methods.registry import METHODS
from training.methods.running import run_method
from training.runs import CONFIG, load_network
from training.trainer import CHECKPOINT

#: What each needs beside the settings that all share, to take a step on the small scenes.
SHAPES: dict[str, dict[str, Any]] = {
    "dad": {},
    "rfp": {"keypoints": 60},
    "ripe": {"border": 2, "fewest_points": 4},
    "traqpoint": {"frames": 3, "curriculum": [[0.1, 0.95]], "cell": 16, "global_points": 8, "least_cosine": None},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two steps of each: its checkpoint."""
    folder = tmp_path_factory.mktemp("runs")
    small = small_settings(write_photographs(folder / "photographs"), folder / "store") | {"steps": 2}
    found: dict[str, Path] = {}
    for name in SHAPES:
        config = METHODS[name].config(**{"method": name, **small, **SHAPES[name]})
        (folder / name).mkdir()
        save_config(config, folder / name / CONFIG)
        assert run_method(METHODS[name], config, folder / name) == 2
        found[name] = folder / name / CHECKPOINT
    return found


@pytest.mark.parametrize("method", SHAPES)
def test_what_a_method_exports_runs_in_the_node(
    method: str, runs: dict[str, Path], start_node: StartNode, robot: Robot, camera: Camera, tmp_path: Path
) -> None:
    model = tmp_path / f"{method}.onnx"
    photographs = sorted((runs[method].parents[1] / "photographs").iterdir())
    metadata = {"name": method, "method": method, "data": "blocks", "licence": "Apache-2.0"}
    export(load_network(runs[method]), model, metadata, photographs[:1], max_keypoints=128)

    start_node(model=str(model), max_keypoints=128)
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    robot.wait_until_it_listens()
    clouds = robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))
    features = points(clouds["features"])
    assert 0 < len(features) <= 128 and features["descriptor"].shape == (len(features), 16)
    told = json.loads(robot.wait_for("model", lambda: robot.heard["model"])[0].data)
    assert (told["name"], told["method"], told["descriptor_size"]) == (method, method, 16)
