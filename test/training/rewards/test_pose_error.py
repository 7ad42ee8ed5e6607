import cv2
import numpy as np
import pytest

from training.rewards.pose_error import pose_error, pose_loss


def pose(angle: float, translation: list[float]) -> np.ndarray:
    rotation = cv2.Rodrigues(np.array([0.0, np.radians(angle), 0]))[0]
    return np.column_stack([rotation, translation])


def test_the_error_is_the_larger_angle() -> None:
    true = pose(10, [0, 0, 2.0])
    assert pose_error(pose(10, [0, 0, 0.1]), true) == pytest.approx(0, abs=1e-5)
    assert pose_error(pose(13, [0, 0, 1]), true) == pytest.approx(3)
    # 1 across and 1 along is 45 degrees off; a reversed direction is 180.
    assert pose_error(pose(13, [1, 0, 1]), true) == pytest.approx(45)
    assert pose_error(pose(10, [0, 0, -1]), true) == pytest.approx(180)


def test_a_turn_on_the_spot_has_no_direction() -> None:
    assert pose_error(pose(13, [1, 0, 0]), pose(10, [0, 0, 0])) == pytest.approx(3)


def test_the_loss_bends_at_25_and_ends_at_75() -> None:
    assert [pose_loss(e) for e in (0.0, 4.0, 25.0, 100.0, 180.0)] == pytest.approx([0, 4, 25, 50, 67.0820393])
    assert pose_loss(400.0) == 75.0
    assert pose_loss(None) == 75.0
