"""The Makefile's own answers; what its targets run has tests of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from kp_ros.detectors.cuda import driver_missing

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("target", ["test-gpu", "bench-gpu"])
def test_without_a_card_its_targets_say_so_and_install_nothing(target: str) -> None:
    if not driver_missing():
        pytest.skip("there is a driver here")
    run = subprocess.run(
        ["make", target, f"PYTHON={sys.executable}"], cwd=CHECKOUT, capture_output=True, text=True, timeout=100
    )
    assert run.returncode == 0
    assert "no NVIDIA driver" in run.stdout and f"make {target}" in run.stdout
    assert not (CHECKOUT / ".venv-gpu").exists()


def test_help_names_every_target_that_has_one() -> None:
    run = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, timeout=100, check=True)
    assert {"demo", "test", "test-gpu", "bench-gpu"} <= {line.split()[0] for line in run.stdout.splitlines()}
