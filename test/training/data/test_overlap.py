from __future__ import annotations

import numpy as np
import pytest

from kp_ros.camera import Camera
from training.data.overlap import overlap_matrix
from training.data.sequence import DatasetError, Sequence

CAMERA = Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]), np.zeros(0))


class Plane:
    """Depth of a wall 2 m away, seen by cameras that are only shifted; a frame may have something before it."""

    def __init__(self, hidden: int | None = None) -> None:
        self.hidden = hidden

    def __call__(self, index: int) -> np.ndarray:
        return np.full((48, 64), 0.5 if index == self.hidden else 2.0, np.float32)


def wall(shifts: list[float], hidden: int | None = None) -> Sequence:
    poses = np.tile(np.eye(4), (len(shifts), 1, 1))
    poses[:, 0, 3] = shifts
    count = len(shifts)
    return Sequence(
        "wall",
        tuple(str(index) for index in range(count)),
        np.arange(count),
        lambda _: np.zeros((48, 64, 3), np.uint8),
        (CAMERA,) * count,
        poses,
        Plane(hidden),
    )


def test_a_shift_along_a_wall_by_hand() -> None:
    # 64 pixels at f = 50 and 2 m see 2.56 m of the wall.
    overlaps = overlap_matrix(wall([0.0, 0.64, 1.28, 10.0]))
    np.testing.assert_allclose(overlaps[0], [1.0, 0.75, 0.5, 0.0], atol=0.05)
    np.testing.assert_allclose(overlaps, overlaps.T, atol=0.05)


def test_what_is_hidden_is_not_seen() -> None:
    overlaps = overlap_matrix(wall([0.0, 0.1], hidden=1))
    assert overlaps[0, 1] == 0


def test_frames_without_pose_and_those_far_away_in_time() -> None:
    sequence = wall([0.0, 0.0, 0.0, 0.0])
    assert sequence.poses is not None
    sequence.poses[2] = np.nan
    overlaps = overlap_matrix(sequence, window=2)
    assert not overlaps[2].any()
    assert not overlaps[:, 2].any()
    assert overlaps[0].tolist() == [1.0, 1.0, 0.0, 0.0]


def test_without_depth_there_is_no_overlap() -> None:
    from dataclasses import replace

    with pytest.raises(DatasetError, match="overlap needs depth"):
        overlap_matrix(replace(wall([0.0]), load_depth=None))
