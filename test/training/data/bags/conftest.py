"""A camera carried through a rendered room, to be recorded in whatever way a test needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kp_ros.camera import Camera
from kp_ros.simulation import orbit, render, room
from training.data.readers.shared_layout import read_shared_layout
from training.data.sequence import SequenceFrame

START_NS = 1_700_000_000_000_000_000


@pytest.fixture(scope="session")
def room_frames() -> list[SequenceFrame]:
    """Ten frames of 320 x 240 pixels, a tenth of a second apart, with exact depth and pose."""
    camera = Camera(320, 240, np.array([[230.0, 0, 159.5], [0, 230.0, 119.5], [0, 0, 1]]), np.zeros(5))
    trajectory = orbit(seconds=1.0, rate=10.0, start_ns=START_NS)
    world = room(seed=3)
    frames = []
    for stamp, pose in zip(trajectory.stamps_ns.tolist(), trajectory.poses, strict=True):
        rendered = render(world, camera, pose)
        mask = np.ones((240, 320), np.bool_)
        frames.append(SequenceFrame(str(stamp), stamp, rendered.image, camera, pose, rendered.depth, mask))
    return frames


@pytest.fixture(scope="session")
def office_frames(shared_data: Path) -> list[SequenceFrame]:
    """The first frames of a real recording with depth."""
    return list(read_shared_layout(shared_data / "hololens").subset(range(0, 24, 2)))
