"""The command line as a user meets it: in a process of its own where signals and exit statuses matter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from typer.testing import CliRunner

from kp_ros.cli import COMMANDS, build
from kp_ros.recordings import messages
from kp_ros.recordings.mcap_writer import McapWriter

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAM = "from kp_ros.cli import main; main()"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    # No colours and no line breaks: what is said, is searched for whole.
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "COLUMNS": "200", "NO_COLOR": "1", **changes}


def kp_ros(*arguments: object, cwd: Path | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(**changes),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write_bag(path: Path, frames: int) -> Path:
    texture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (260, 400)).astype(np.uint8), (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    with McapWriter(path) as bag:
        for index in range(frames):
            shift = index % 50
            image = messages.image(texture[:240, shift : shift + 320], "mono8", index * 33_000_000, "lens")
            bag.write("/image", image, index * 33_000_000)
    return path


@pytest.fixture(scope="module")
def short_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bag") / "short.mcap", 6)


@pytest.fixture(scope="module")
def long_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bag") / "long.mcap", 1500)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_teaches(name: str) -> None:
    result = CliRunner().invoke(build(), [name, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Examples" in result.output
    assert f"kp_ros {name} " in result.output


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(build(), ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


def test_help_needs_nothing_heavy() -> None:
    heavy = "{'cv2', 'numpy', 'rclpy', 'onnxruntime'}"
    code = f"import sys; from kp_ros.cli import build; build(); print({heavy} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=120, check=True
    )
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "arguments", [["run"], ["extract", "x.mcap"], ["run", "x", "-o", "y.mcap", "--fps", "0"], ["fly"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(build(), arguments).exit_code == 2


def test_run_extract_overlay(tmp_path: Path, short_bag: Path) -> None:
    for name, output in (("run", "out.mcap"), ("extract", "out.npz"), ("overlay", "out.mp4"), ("overlay", "out.png")):
        result = kp_ros(name, short_bag, "-o", tmp_path / output, "--model", "orb")
        assert result.returncode == 0, result.stderr
        assert f"wrote {tmp_path / output}: " in result.stderr
        assert (tmp_path / output).stat().st_size > 1000
    assert len(list(tmp_path.iterdir())) == 4


def test_errors_are_one_line_with_the_fix(tmp_path: Path, short_bag: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    bad_model = tmp_path / "bad.onnx"
    bad_model.write_bytes(b"not a model")
    out = tmp_path / "out.npz"
    cases = [
        (["extract", tmp_path / "nowhere.mcap", "-o", out], "nowhere.mcap does not exist; give a bag"),
        (["extract", tmp_path / "notes.txt", "-o", out], "no video that OpenCV can read"),
        (["extract", tmp_path, "-o", out], "neither a bag nor images"),
        (["extract", short_bag, "-o", tmp_path / "out.zip"], "does not end in .npz"),
        (["run", short_bag, "-o", short_bag], "is the input; give --output another name"),
        (["extract", short_bag, "-o", "/proc/out.npz", "-m", "orb"], "cannot write /proc/out.npz"),
        (["extract", short_bag, "-o", out, "-m", bad_model], str(bad_model)),
        (
            ["extract", short_bag, "-o", out, "--topic", "/up", "-m", "orb"],
            "no images on /up; choose with --topic: /image",
        ),
    ]
    for arguments, message in cases:
        result = kp_ros(*arguments)
        assert result.returncode == 1, result.stderr
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stderr.count("error: ") == 1
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
        assert not out.exists()


def test_cut_off_bag_is_used_as_far_as_it_goes(tmp_path: Path, short_bag: Path) -> None:
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(short_bag.read_bytes()[:-1000])
    result = kp_ros("extract", cut, "-o", tmp_path / "out.npz", "-m", "orb")
    assert result.returncode == 0
    assert "is damaged: it can be read no further than after the message recorded at" in result.stderr
    assert f"`mcap recover {cut}" in result.stderr
    with np.load(tmp_path / "out.npz") as z:
        assert len(z["names"]) > 0


@pytest.mark.parametrize(("name", "suffix"), [("run", ".mcap"), ("extract", ".npz"), ("overlay", ".mp4")])
def test_ctrl_c_leaves_a_whole_file(tmp_path: Path, long_bag: Path, name: str, suffix: str) -> None:
    output = tmp_path / f"out{suffix}"
    process = subprocess.Popen(
        command(name, long_bag, "-o", output, "-m", "orb"), env=environment(), stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 100
        # The temporary file is there when work begins.
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert f"{output} is whole and holds the first" in said
    frames = int(said.rpartition("holds the first ")[2].split()[0])
    assert 0 < frames < 1500
    assert [file.name for file in tmp_path.iterdir()] == [output.name]
    if name == "run":
        with AnyReader([output]) as bag:
            counts = {connection.topic: connection.msgcount for connection in bag.connections}
        assert counts["/keypoint_node/features"] == frames
    elif name == "extract":
        with np.load(output) as z:
            assert len(z["names"]) == len(z["offsets"]) - 1 == frames
    else:
        capture = cv2.VideoCapture(str(output))
        assert sum(1 for _ in iter(capture.grab, False)) == frames


def test_replay_without_ros_says_what_to_install(tmp_path: Path, short_bag: Path) -> None:
    # As on a machine without ROS: a package of that name which cannot be imported.
    (tmp_path / "rclpy.py").write_text("raise ImportError('No module named rclpy', name='rclpy')")
    result = kp_ros("replay", short_bag, PYTHONPATH=f"{tmp_path}{os.pathsep}{CHECKOUT}")
    assert result.returncode == 1
    assert "pip install 'kp_ros[ros]'" in result.stderr
    assert "source /opt/ros/" in result.stderr
    assert "Traceback" not in result.stderr
