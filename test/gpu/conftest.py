"""What runs on an NVIDIA card. Without one every test is skipped with the reason; `make test-gpu` runs them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros import simulation
from kp_ros.detectors.cuda import driver_missing


@pytest.fixture(scope="session", autouse=True)
def card() -> None:
    """There is a driver, or the test is skipped."""
    if reason := driver_missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def images() -> list[NDArray[np.uint8]]:
    """The package's own photographs, of one size."""
    files = sorted((Path(simulation.__file__).parent / "pictures").glob("*.jpg"))[:4]
    found = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
    return [np.asarray(cv2.resize(image, (640, 480)), np.uint8) for image in found if image is not None]
