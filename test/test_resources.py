from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kp_ros
from kp_ros import resources

CHECKOUT = Path(__file__).resolve().parents[1]
FIND = "from kp_ros.resources import share_directory; print(share_directory())"


def _copy_package(site_packages: Path) -> None:
    for name in ("__init__.py", "errors.py", "resources.py"):
        source = Path(kp_ros.__file__).parent / name
        target = site_packages / "kp_ros" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _share(prefix: Path) -> Path:
    share = prefix / "share" / "kp_ros"
    share.mkdir(parents=True)
    (share / "package.xml").write_text("<package/>")
    return share


def _found(site_packages: Path, ament_prefix_path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(site_packages), "AMENT_PREFIX_PATH": ament_prefix_path}
    return subprocess.run(
        [sys.executable, "-S", "-c", FIND],
        cwd=site_packages,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_checkout_is_its_own_share_directory() -> None:
    assert resources.share_directory() == CHECKOUT
    assert resources.models_directory() == CHECKOUT / "models"


@pytest.mark.parametrize("layout", ["lib/python3.11/site-packages", "local/lib/python3.10/dist-packages", "."])
def test_an_installation_finds_the_files_of_its_own_prefix(tmp_path: Path, layout: str) -> None:
    site_packages = tmp_path / "prefix" / layout
    _copy_package(site_packages)
    share = _share(tmp_path / "prefix")
    other = _share(tmp_path / "another_workspace")
    assert _found(site_packages, str(other.parents[1])).stdout.strip() == str(share)


def test_a_colcon_workspace_is_found_by_its_index(tmp_path: Path) -> None:
    _copy_package(tmp_path / "code")
    share = _share(tmp_path / "workspace" / "install")
    prefixes = f"{tmp_path / 'nothing_here'}:{tmp_path / 'workspace' / 'install'}"
    assert _found(tmp_path / "code", prefixes).stdout.strip() == str(share)


def test_code_without_its_files_says_how_to_install_them(tmp_path: Path) -> None:
    _copy_package(tmp_path / "code")
    answer = _found(tmp_path / "code")
    assert answer.returncode != 0
    assert "pip install ." in answer.stderr
