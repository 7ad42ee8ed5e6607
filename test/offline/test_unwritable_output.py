"""A place that cannot be written is told at once, not after the work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.features import Features
from kp_ros.frontend import Frontend
from kp_ros.offline.extract import extract
from kp_ros.offline.overlay import overlay_sheet, overlay_video
from kp_ros.offline.run import run
from kp_ros.recordings.opening import open_recording
from kp_ros.recordings.output import OutputError
from kp_ros.recordings.recording import Recording
from kp_ros.tracking import load_tracker


class Unused:
    """A detector that nobody may ask."""

    info = None

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        raise AssertionError("work has begun")

    def close(self) -> None:
        pass


def written(recording: Recording, name: str, output: Path) -> None:
    frontend = Frontend(Unused(), load_tracker())  # type: ignore[arg-type]
    work: dict[str, Callable[[], object]] = {
        "out.mcap": lambda: run(recording, frontend, output),
        "out.npz": lambda: extract(recording, frontend.detector, output),
        "out.mp4": lambda: overlay_video(recording, frontend, output),
        "out.png": lambda: overlay_sheet(recording, frontend, output),
    }
    work[name]()


@pytest.mark.parametrize("name", ["out.mcap", "out.npz", "out.mp4", "out.png"])
def test_output_is_tried_before_the_work(source: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        written(open_recording(source), name, Path("/proc") / name)
    with pytest.raises(AssertionError, match="work has begun"):
        written(open_recording(source), name, tmp_path / name)
    assert not (tmp_path / name).exists()
