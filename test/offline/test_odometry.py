"""`kp_ros odometry` on a rendered drive with depth."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from kp_ros.camera import Camera
from kp_ros.cli import build
from kp_ros.commands.odometry import Choice
from kp_ros.detectors import load_detector
from kp_ros.frontend import Frontend
from kp_ros.odometry import Mode, State, make_odometry
from kp_ros.offline.odometry import (
    OdometrySummary,
    estimate_poses,
    write_states,
    write_trajectory,
)
from kp_ros.offline.trajectory_plot import plot_trajectory
from kp_ros.recordings.sensor_opening import open_sensors
from kp_ros.recordings.sensor_recording import SensorFrame
from kp_ros.simulation import drive, load_textures, render, street
from kp_ros.tracking import load_tracker
from kp_ros.trajectories import read_tum, tum_line

FRAMES = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive in the layout of this project's data, stamped by numbers from 3 on."""
    folder = tmp_path_factory.mktemp("drive")
    trajectory = drive(seconds=2.0 + FRAMES / 30)
    world, poses = street(trajectory, 1, load_textures()), trajectory.poses[-FRAMES:]
    camera = Camera(320, 240, np.array([[230.0, 0, 159.5], [0, 230.0, 119.5], [0, 0, 1]]), np.zeros(5))
    for name in ("images", "depth"):
        (folder / name).mkdir()
    for index, pose in enumerate(poses):
        frame = render(world, camera, pose)
        cv2.imwrite(str(folder / "images" / f"{index:03d}.png"), frame.image)
        millimetres = np.where(np.isfinite(frame.depth), frame.depth * 1000, 0).clip(0, 65535).astype(np.uint16)
        cv2.imwrite(str(folder / "depth" / f"{index:03d}.png"), millimetres)
    calibration = {"fx": 230.0, "fy": 230.0, "cx": 159.5, "cy": 119.5, "width": 320, "height": 240}
    (folder / "calib.json").write_text(json.dumps({**calibration, "depth_scale": 0.001}))
    lines = [tum_line(str(index + 3), pose) for index, pose in enumerate(poses)]
    (folder / "poses_tum.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def summary(folder: Path) -> OdometrySummary:
    odometry = make_odometry(Mode.RGBD)
    frontend = Frontend(load_detector("orb", max_keypoints=500), load_tracker(max_tracks=500))
    summary = estimate_poses(open_sensors(folder, None), frontend, odometry)
    odometry.close()
    return summary


def with_states(summary: OdometrySummary, states: list[State], segments: list[int]) -> OdometrySummary:
    """The same estimates in other states."""
    frames = [
        replace(frame, estimate=replace(frame.estimate, state=state, segment=segment))
        for frame, state, segment in zip(summary.frames, states, segments, strict=True)
    ]
    return replace(summary, frames=frames)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(build(), ["odometry", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_way_is_that_of_the_truth(summary: OdometrySummary, folder: Path) -> None:
    error = summary.error(read_tum(folder / "poses_tum.txt"), scale=False)
    assert error is not None
    driven = np.linalg.norm(error.truth[-1, :3, 3] - error.truth[0, :3, 3])
    assert driven > 0.8
    assert error.ate < 0.02 * driven
    assert summary.segments == 1


def test_the_command_writes_all_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    output, states, plot = tmp_path / "way.tum", tmp_path / "way.csv", tmp_path / "way.png"
    code, text = run(
        *(folder, "--mode", "rgbd", "-o", output, "--truth", folder / "poses_tum.txt"),
        *("--states", states, "--plot", plot, "--model", "orb", "--max-keypoints", "500"),
    )
    assert code == 0, text
    assert f"wrote {output}: {FRAMES} poses" in text
    assert "ATE" in text
    # The stamps are the first column of poses_tum.txt.
    assert [line.split()[0] for line in output.read_text().splitlines()] == [str(index + 3) for index in range(FRAMES)]
    np.testing.assert_allclose(read_tum(output).poses[0], np.eye(4), atol=1e-9)
    with states.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["good"] * FRAMES
    assert int(rows[-1]["inliers"]) > 50
    assert 0 < float(rows[-1]["deviation_x"]) < 0.1
    picture: NDArray[np.uint8] = cv2.imread(str(plot))
    assert picture.shape[0] > 800


def test_frames_that_are_lost_are_left_out_and_told(summary: OdometrySummary, tmp_path: Path) -> None:
    states = [State.GOOD] * 3 + [State.LOST] * 2 + [State.WEAK] + [State.GOOD] * 2
    changed = with_states(summary, states, [0] * 5 + [1] * 3)
    write_trajectory(tmp_path / "way.tum", changed.frames)
    stamps = [line.split()[0] for line in (tmp_path / "way.tum").read_text().splitlines()]
    assert stamps == ["3", "4", "5", "8", "9", "10"]
    assert changed.segments == 2
    assert (changed.states[State.LOST], changed.states[State.WEAK]) == (2, 1)
    write_states(tmp_path / "states.json", changed.frames)
    rows = json.loads((tmp_path / "states.json").read_text())
    assert [row["state"] for row in rows] == [state.value for state in states]


def test_a_plot_without_truth_or_with_nothing_but_lost_frames(summary: OdometrySummary, tmp_path: Path) -> None:
    plot_trajectory(tmp_path / "a.png", with_states(summary, [State.WEAK] * FRAMES, [0] * FRAMES), None, "weak")
    lost = with_states(summary, [State.LOST] * FRAMES, [0] * FRAMES)
    plot_trajectory(tmp_path / "b.png", lost, None, "lost")
    assert (tmp_path / "a.png").stat().st_size != (tmp_path / "b.png").stat().st_size
    write_trajectory(tmp_path / "way.tum", lost.frames)
    assert (tmp_path / "way.tum").read_text() == ""


def test_what_is_done_is_kept_on_ctrl_c(folder: Path) -> None:
    def interrupted(frames: Iterator[SensorFrame]) -> Iterator[SensorFrame]:
        for index, frame in enumerate(frames):
            if index == 2:
                signal.raise_signal(signal.SIGINT)
            yield frame

    odometry = make_odometry(Mode.RGBD)
    frontend = Frontend(load_detector("orb", max_keypoints=200), load_tracker(max_tracks=200))
    summary = estimate_poses(open_sensors(folder, None), frontend, odometry, interrupted)
    odometry.close()
    assert summary.interrupted
    assert [frame.time for frame in summary.frames] == ["3", "4", "5"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-o", "way.png"], "does not end in .tum or .txt"),
        (["-o", "way.tum", "--mode", "stereo"], "images_right does not exist"),
        (["-o", "way.tum", "--truth", "nowhere.tum"], "cannot read nowhere.tum"),
        (["-o", "way.tum", "--depth-camera", "1,2"], "is not FX,FY,CX,CY"),
        (["-o", "way.tum", "--right", "/a", "--depth", "/b"], "are of two modes"),
        (["-o", "way.tum", "--plot", "way.gif"], "does not end in .png or .pdf or .svg"),
    ],
)
def test_mistakes_are_told_before_the_work(folder: Path, arguments: list[str], told: str) -> None:
    code, text = run(folder, *arguments)
    assert code == 1
    assert told in text.replace("\n", " ")
    assert "Traceback" not in text


def test_the_command_knows_every_mode() -> None:
    assert {choice.value for choice in Choice} == {mode.value for mode in Mode}
