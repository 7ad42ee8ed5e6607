from __future__ import annotations

import numpy as np

from kp_ros.camera import Camera
from kp_ros.simulation import drive
from kp_ros.simulation.truth import TrackJudge

VIEW = Camera(640, 480, np.array([[460.0, 0, 319.5], [0, 460, 239.5], [0, 0, 1]]), np.zeros(0))
POSES = drive(seconds=4.0).poses[60:72]


def _projected(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    seen = (points - pose[:3, 3]) @ pose[:3, :3] @ VIEW.matrix.T
    return (seen[:, :2] / seen[:, 2:]).astype(np.float32)


def _wall(distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Points that lie at one depth in the first view, and that view's depth image."""
    generator = np.random.default_rng(0)
    pixels = generator.uniform((150, 150), (490, 330), (20, 2)).astype(np.float32)
    in_camera = VIEW.rays(pixels).astype(np.float64) * distance
    points = in_camera @ POSES[0][:3, :3].T + POSES[0][:3, 3]
    return points, np.full((480, 640), distance, np.float32)


def test_perfect_tracks_are_verified_to_their_end() -> None:
    points, depth = _wall(12.0)
    judge = TrackJudge(VIEW)
    ids = np.arange(20, dtype=np.uint32)
    for index, pose in enumerate(POSES):
        alive = ids[index // 2 :]
        judge.update(alive, _projected(points, pose)[alive], depth, pose)
    lengths = judge.lengths()
    np.testing.assert_array_equal(lengths.lengths, lengths.verified)
    assert sorted(lengths.lengths) == [2, 4, 6, 8, 10] + [12] * 15


def test_a_track_that_slips_away_is_verified_until_then() -> None:
    points, depth = _wall(12.0)
    judge = TrackJudge(VIEW)
    for index, pose in enumerate(POSES):
        keypoints = _projected(points, pose)
        # Half a pixel a frame: more than 3 pixels from the seventh frame after the first on. It comes back: too late.
        keypoints[0, 1] += 0.49 * index if index < 10 else 0.0
        judge.update(np.arange(20, dtype=np.uint32), keypoints, depth, pose)
    lengths = judge.lengths()
    assert lengths.lengths[0] == 12
    assert lengths.verified[0] == 7
    assert (lengths.verified[1:] == 12).all()


def test_points_in_the_sky_move_by_rotation_alone() -> None:
    points, _ = _wall(1e7)
    depth = np.full((480, 640), np.inf, np.float32)
    judge = TrackJudge(VIEW)
    for pose in POSES:
        judge.update(np.arange(20, dtype=np.uint32), _projected(points, pose), depth, pose)
    assert (judge.lengths().verified == 12).all()


def test_at_an_edge_either_depth_is_right() -> None:
    points, depth = _wall(12.0)
    pixels = _projected(points, POSES[0])
    depth[:] = 60.0
    for x, y in np.rint(pixels).astype(int):
        depth[y, x + 1] = 12.0
    judge = TrackJudge(VIEW)
    for pose in POSES:
        judge.update(np.arange(20, dtype=np.uint32), _projected(points, pose), depth, pose)
    assert (judge.lengths().verified == 12).all()


def test_tracks_of_one_frame_do_not_count() -> None:
    points, depth = _wall(12.0)
    judge = TrackJudge(VIEW)
    judge.update(np.arange(20, dtype=np.uint32), _projected(points, POSES[0]), depth, POSES[0])
    assert len(judge.lengths().lengths) == 0
