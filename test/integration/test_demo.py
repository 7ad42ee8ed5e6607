"""The whole way: rendered drive, bag, live node over DDS, figures, video and picture."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import pytest

from kp_ros.recordings.opening import open_recording

CHECKOUT = Path(__file__).resolve().parents[2]
KP_ROS = "from kp_ros.cli import main; main()"


def demo(folder: Path, *arguments: str, timeout: float = 200.0, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KP_ROS, "demo", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def figure(table: str, name: str) -> float:
    found = re.search(rf"{name}\s*│\s*([\d.]+)", table)
    assert found, table
    return float(found[1])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    # Half as fast as real time: a busy machine must not fail it.
    run = demo(folder, "--seconds", "3", "--model", "orb", "--rate", "0.5")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "demo_output", run.stdout


def test_the_figures_are_those_of_a_node_that_tracks(shown: tuple[Path, str]) -> None:
    _, table = shown
    assert figure(table, "images sent") == 90
    assert figure(table, "answers") > 1
    assert 0 < figure(table, "latency p50") <= figure(table, "latency p95") < 5000
    assert figure(table, "tracks") > 200
    assert figure(table, "mean track length") > 3
    assert 0.5 * figure(table, "mean track length") < figure(table, "of it verified")
    assert figure(table, "way") > 5
    assert figure(table, "its error") < 20


def test_the_files_are_whole(shown: tuple[Path, str]) -> None:
    output, table = shown
    assert {file.name for file in output.iterdir()} == {
        "drive.mcap",
        "overlay.mp4",
        "overlay.png",
        "way.png",
        "node.log",
    }
    recording = open_recording(output / "drive.mcap", topic="/camera/image_raw")
    assert recording.frame_count == 90
    recording.close()
    picture = cv2.imread(str(output / "overlay.png"))
    assert picture.shape[1] > 1200
    # The tracks' colours, on an image that is grey otherwise.
    saturation = picture.max(2).astype(int) - picture.min(2)
    assert (saturation > 80).mean() > 0.01
    way = cv2.imread(str(output / "way.png"))
    assert (way < 200).any(2).mean() > 0.005
    video = cv2.VideoCapture(str(output / "overlay.mp4"))
    answered = 90 - int(figure(table, "dropped"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == answered


def test_without_ros_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "rclpy.py").write_text("raise ModuleNotFoundError(\"No module named 'rclpy'\")")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {KP_ROS}"
    command = [sys.executable, "-c", code, "demo"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert "pip install 'kp_ros[ros]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_model_that_is_missing_is_told_before_the_work(tmp_path: Path) -> None:
    run = demo(tmp_path, "--model", "nowhere.onnx")
    assert run.returncode == 1
    assert "nowhere.onnx" in run.stderr
    assert not (tmp_path / "demo_output").exists()


def test_an_unwritable_output_is_named(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("")
    run = demo(tmp_path, "--seconds", "1", "--model", "orb", "--output", "occupied")
    assert run.returncode == 1
    assert "occupied" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_node_that_cannot_start_is_told_with_its_reason(tmp_path: Path) -> None:
    """The node gets a model that has vanished since it was looked at."""
    script = textwrap.dedent(
        """
        from pathlib import Path
        import numpy as np
        from kp_ros.ros.live_run import NodeError, run_live
        from kp_ros.recordings.opening import open_recording
        import cv2
        Path("images").mkdir()
        cv2.imwrite("images/0.png", np.zeros((48, 64), np.uint8))
        recording = open_recording(Path("images"))
        try:
            run_live(recording, np.zeros(1, np.int64), {"model": "vanished.onnx"}, Path("node.log"))
        except NodeError as error:
            print(error)
        """
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "vanished.onnx" in run.stdout, run.stderr
