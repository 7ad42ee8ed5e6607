from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_scenes import small_settings, write_photographs


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Keyword arguments of any method's configuration."""
    folder = tmp_path_factory.mktemp("scenes")
    return small_settings(write_photographs(folder / "photographs"), folder / "store")


@pytest.fixture(scope="session")
def photographs(small: dict[str, Any]) -> Path:
    folder: Path = small["data"].photographs[0]
    return folder
