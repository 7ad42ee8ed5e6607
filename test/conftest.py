"""What every test may use: real recordings where they exist, and markers that say how a test may run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED_DATA = CHECKOUT.parent / "shared" / "data"

#: What a checkout holds beside its sources: never copied.
BY_PRODUCTS = (
    ".git",
    ".venv*",
    ".*_cache",
    "__pycache__",
    "*.egg-info",
    "build",
    "install",
    "log",
    "runs",
    "demo_output",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A folder's tests carry its mark, by which make selects: those under test/integration run one at a time."""
    for item in items:
        for mark in ("integration", "gpu"):
            if CHECKOUT / "test" / mark in item.path.parents:
                item.add_marker(mark)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings with ground truth; the test is skipped where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real recordings in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def source_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources that builds may write to."""
    copy = tmp_path_factory.mktemp("source") / "kp_ros"
    shutil.copytree(CHECKOUT, copy, ignore=shutil.ignore_patterns(*BY_PRODUCTS))
    return copy
