from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from carried_camera import Recording, write_bag
from typer.testing import CliRunner

from training.__main__ import app
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds


def test_a_bag_becomes_a_data_set_and_the_screen_says_what_was_kept(tmp_path: Path) -> None:
    world = RenderedWorlds(1, settings=RenderedSettings(160, 120, 4, 4.0, rooms=1.0))[0]
    bag = write_bag(tmp_path / "drive.mcap", list(world), Recording(depth=""))
    mounted = "0 0 0 0 0 0 1"
    arguments = ["dataset", str(bag), "--output", str(tmp_path / "drive"), "--camera-pose", mounted, "--no-pairs"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "4 of 4 images kept; it has images, calibration, poses" in result.output
    report = (tmp_path / "drive/report.md").read_text()
    assert "camera mounted as --camera-pose says" in report
    assert "- RFP (calibration and poses)" in report
    poses = np.loadtxt(tmp_path / "drive/poses_tum.txt")
    assert world.poses is not None
    np.testing.assert_allclose(poses[:, 1:4], world.poses[:, :3, 3], atol=1e-8)


def test_an_error_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training", "dataset", str(tmp_path / "no.bag"), "--output", str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert "does not exist" in run.stderr
    assert "Traceback" not in run.stderr
