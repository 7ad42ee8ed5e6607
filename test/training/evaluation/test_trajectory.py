import itertools

import cv2
import numpy as np
import pytest

from training.evaluation.trajectory import chain, trajectory_error


def circle(frames: int = 40) -> np.ndarray:
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for frame in range(frames):
        angle = 2 * np.pi * frame / frames
        poses[frame, :3, :3] = cv2.Rodrigues(np.array([0, angle, 0]))[0]
        poses[frame, :3, 3] = (3 * np.cos(angle), 0.2 * np.sin(3 * angle), 3 * np.sin(angle))
    return poses


def steps(poses: np.ndarray) -> list[np.ndarray]:
    return [np.linalg.inv(after) @ before for before, after in itertools.pairwise(poses)]


def test_true_motions_chain_to_the_true_trajectory() -> None:
    truth = circle()
    errors = trajectory_error(chain(steps(truth)), truth)
    assert errors.ate == pytest.approx(0, abs=1e-9)
    assert errors.rpe_translation == pytest.approx(0, abs=1e-9)
    assert errors.rpe_rotation == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(errors.aligned, truth[:, :3, 3], atol=1e-9)


def test_an_error_of_every_step_is_the_relative_pose_error() -> None:
    truth = circle()
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(np.array([np.radians(2), 0, 0]))[0]
    errors = trajectory_error(chain([turn @ step for step in steps(truth)]), truth)
    assert errors.rpe_rotation == pytest.approx(2, abs=1e-3)
    assert errors.ate > 0.1


def test_a_camera_that_seems_to_stand_still_is_judged_too() -> None:
    truth = circle()
    errors = trajectory_error(np.tile(np.eye(4), (len(truth), 1, 1)), truth)
    spread = truth[:, :3, 3] - truth[:, :3, 3].mean(0)
    assert errors.ate == pytest.approx(float(np.sqrt((spread**2).sum(1).mean())))
