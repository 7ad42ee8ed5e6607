"""A ROS workspace builds the package, and its executables are where `ros2 run` looks for them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kp_ros

CHECKOUT = Path(__file__).resolve().parents[2]
COLCON = Path(sys.executable).parent / "colcon"


def build(source: Path, workspace: Path, *options: str) -> None:
    (workspace / "src").mkdir(parents=True)
    shutil.copytree(source, workspace / "src" / "kp_ros")
    command = [COLCON, "build", "--event-handlers", "console_direct+", *options]
    run = subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr


def in_workspace(workspace: Path, command: str) -> str:
    """What a command prints in a shell that has sourced the workspace."""
    script = f"source {workspace}/install/setup.bash && {command}"
    run = subprocess.run(["bash", "-c", script], cwd=workspace, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.strip()


@pytest.mark.skipif(not COLCON.is_file(), reason="colcon is missing: pip install kp_ros[dev]")
@pytest.mark.parametrize(
    ("options", "prefix"),
    [((), "install/kp_ros"), (("--merge-install",), "install"), (("--symlink-install",), "install/kp_ros")],
    ids=["isolated", "merged", "symlinked"],
)
def test_a_workspace_builds_and_finds_everything(
    source_copy: Path, tmp_path: Path, options: tuple[str, ...], prefix: str
) -> None:
    build(source_copy, tmp_path, *options)
    executables = tmp_path / prefix / "lib" / "kp_ros"
    share = tmp_path / prefix / "share"
    assert {path.name for path in executables.iterdir()} == {"kp_ros", "keypoint_node", "odometry_node"}
    assert (share / "ament_index" / "resource_index" / "packages" / "kp_ros").is_file()
    for folder, pattern in (("models", "*.onnx"), ("launch", "*.launch.py"), ("config", "*")):
        expected = {file.name for file in (CHECKOUT / folder).glob(pattern)}
        assert expected <= {file.name for file in (share / "kp_ros" / folder).glob("*")}
    assert in_workspace(tmp_path, f"{executables}/kp_ros --version") == kp_ros.__version__
    assert "Usage" in in_workspace(tmp_path, f"{executables}/kp_ros --help")
    # -P: the current folder is not searched, so the workspace's own installation is what is imported.
    found = in_workspace(tmp_path, 'python3 -P -c "import kp_ros.resources as r; print(r.models_directory())"')
    models = tmp_path / ("src/kp_ros/models" if "--symlink-install" in options else f"{prefix}/share/kp_ros/models")
    assert found == str(models)
