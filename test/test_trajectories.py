from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.errors import UserError
from kp_ros.trajectories import (
    StampedPoses,
    quaternion_of,
    read_tum,
    rotation_of,
    trajectory_error,
    tum_line,
    umeyama,
)


def wandering(count: int, seed: int) -> NDArray[np.float64]:
    """Poses of a camera that wanders."""
    random = np.random.default_rng(seed)
    poses = [np.eye(4)]
    for _ in range(count - 1):
        step = np.eye(4)
        step[:3, :3] = cv2.Rodrigues(random.normal(0, 0.1, 3))[0]
        step[:3, 3] = random.normal(0, 0.2, 3) + np.array([0, 0, 0.5])
        poses.append(poses[-1] @ step)
    return np.array(poses)


@pytest.fixture
def pair() -> tuple[StampedPoses, StampedPoses]:
    """A noisy estimate, in a frame of its own and with gaps, and the truth."""
    truth = wandering(60, 1)
    random = np.random.default_rng(2)
    frame = wandering(3, 5)[-1]
    estimate = []
    for pose in truth:
        noise = np.eye(4)
        noise[:3, :3] = cv2.Rodrigues(random.normal(0, 0.02, 3))[0]
        noise[:3, 3] = random.normal(0, 0.03, 3)
        estimate.append(frame @ pose @ noise)
    times = np.arange(60) / 30
    keep = np.delete(np.arange(60), [10, 11, 30])
    return StampedPoses(times[keep] + 0.002, np.array(estimate)[keep]), StampedPoses(times, truth)


@pytest.mark.parametrize("scale", [False, True])
def test_evo_finds_the_same(pair: tuple[StampedPoses, StampedPoses], scale: bool) -> None:
    pytest.importorskip("evo")
    from evo.core import metrics, sync
    from evo.core.trajectory import PoseTrajectory3D

    estimate, truth = pair
    ours = trajectory_error(estimate, truth, scale=scale)
    assert ours is not None
    assert len(ours.times) == 57
    theirs = [PoseTrajectory3D(poses_se3=list(one.poses), timestamps=one.times) for one in (truth, estimate)]
    true, found = sync.associate_trajectories(*theirs)
    found.align(true, correct_scale=scale)
    ape = metrics.APE(metrics.PoseRelation.translation_part)
    ape.process_data((true, found))
    assert ours.ate == pytest.approx(ape.get_statistic(metrics.StatisticsType.rmse), rel=1e-9)
    for relation, value in (
        (metrics.PoseRelation.translation_part, ours.rpe_translation),
        (metrics.PoseRelation.rotation_angle_deg, ours.rpe_rotation),
    ):
        rpe = metrics.RPE(relation, delta=1, delta_unit=metrics.Unit.frames)
        rpe.process_data((true, found))
        assert value == pytest.approx(rpe.get_statistic(metrics.StatisticsType.rmse), rel=1e-6)


def test_a_free_scale_is_found() -> None:
    truth = wandering(20, 3)
    small = truth.copy()
    small[:, :3, 3] *= 0.25
    times = np.arange(20.0)
    error = trajectory_error(StampedPoses(times, small), StampedPoses(times, truth), scale=True)
    assert error is not None
    assert error.scale == pytest.approx(4)
    assert error.ate < 1e-9
    fixed = trajectory_error(StampedPoses(times, small), StampedPoses(times, truth))
    assert fixed is not None
    assert fixed.ate > 0.5


def test_every_segment_has_a_scale_of_its_own() -> None:
    truth = wandering(40, 4)
    found = truth.copy()
    found[:20, :3, 3] *= 0.5
    found[20:, :3, 3] *= 3.0
    times, segments = np.arange(40.0), [0] * 20 + [1] * 20
    together = trajectory_error(StampedPoses(times, found), StampedPoses(times, truth), scale=True)
    apart = trajectory_error(StampedPoses(times, found), StampedPoses(times, truth), segments, scale=True)
    assert together is not None
    assert apart is not None
    assert apart.ate < 1e-9 < together.ate
    # The step between the two segments belongs to none of them.
    assert apart.rpe_translation < 1e-9


def test_without_common_times_there_is_nothing_to_compare() -> None:
    poses = wandering(5, 0)
    assert trajectory_error(StampedPoses(np.arange(5.0), poses), StampedPoses(np.arange(5) + 0.5, poses)) is None


def test_a_straight_line_can_be_aligned() -> None:
    line = np.stack([np.arange(5.0), np.zeros(5), np.zeros(5)], 1)
    rotation, translation, scale = umeyama(line, line[:, [1, 0, 2]] * 2 + 1, scale=True)
    np.testing.assert_allclose(scale * line @ rotation.T + translation, line[:, [1, 0, 2]] * 2 + 1, atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    poses = wandering(4, 7)
    times = ["1305031232.861666", "1305031232.9", "1305031233", "1305031234.000000001"]
    lines = [tum_line(time, pose) for time, pose in zip(times, poses, strict=True)]
    assert [line.split()[0] for line in lines] == times
    file = tmp_path / "way.tum"
    file.write_text("# a comment\n" + "\n".join(lines) + "\n\n")
    read = read_tum(file)
    np.testing.assert_allclose(read.poses, poses, atol=1e-8)
    np.testing.assert_allclose(read.times, [float(time) for time in times])


@pytest.mark.parametrize("text", ["1 2 3", "1 0 0 0 0 0 0 0", "a b c d e f g h", ""])
def test_what_is_no_trajectory_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "way.tum"
    file.write_text(text)
    with pytest.raises(UserError, match="is no TUM trajectory"):
        read_tum(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*nowhere\.tum"):
        read_tum(tmp_path / "nowhere.tum")


def test_quaternions() -> None:
    random = np.random.default_rng(0)
    for axis_angle in [*random.normal(0, 2, (50, 3)), [np.pi, 0, 0], [0, np.pi, 0], [0, 0, np.pi], [0, 0, 0]]:
        rotation = cv2.Rodrigues(np.array(axis_angle, np.float64))[0]
        quaternion = quaternion_of(rotation)
        assert quaternion[3] >= 0
        assert np.linalg.norm(quaternion) == pytest.approx(1)
        np.testing.assert_allclose(rotation_of(np.array(quaternion)), rotation, atol=1e-9)
