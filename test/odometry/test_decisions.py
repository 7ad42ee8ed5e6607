"""Options, motion, health, keyframes, uncertainty and initialisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.odometry import OdometryOptions, State
from kp_ros.odometry.base import Health
from kp_ros.odometry.health import coverage, judge
from kp_ros.odometry.initialisation import begin_from
from kp_ros.odometry.keyframes import wanted
from kp_ros.odometry.motion import predict
from kp_ros.odometry.observations import Depths, Observations
from kp_ros.odometry.rigid_motion import change_between, pose_of, rotation, velocity
from kp_ros.odometry.uncertainty import departure, shared_errors, systematic, way

OPTIONS = OdometryOptions()
SURE = np.eye(6) * 1e-8


@pytest.mark.parametrize(
    "values",
    [
        {"keypoint_pixels": 0.0},
        {"good_inlier_ratio": 1.5},
        {"window_keyframes": 2},
        {"window_delay": 4},
        {"depth_quadratic": float("nan")},
    ],
)
def test_options_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        OdometryOptions(**values)  # type: ignore[arg-type]


def test_the_last_motion_is_carried_on_for_as_long_as_it_takes() -> None:
    step = pose_of(rotation(np.array([0, 0.02, 0])), np.array([0, 0, 0.5]))
    prior = predict(np.eye(4), step, 2.0, 0.2, None, 10.0)
    np.testing.assert_allclose(change_between(np.eye(4), prior.pose), [0, 0, 1.0, 0, 0.04, 0], atol=1e-12)
    measured = predict(np.eye(4), step, 2.0, 0.2, np.array([0, 1.0, 0]), 10.0)
    np.testing.assert_allclose(change_between(np.eye(4), measured.pose)[3:], [0, 0.2, 0], atol=1e-12)
    assert measured.information[4, 4] > prior.information[4, 4]


def test_velocity_is_in_the_cameras_axes() -> None:
    last = pose_of(rotation(np.array([0, np.pi / 2, 0])), np.zeros(3))
    now = last @ pose_of(rotation(np.array([0, 0.01, 0])), np.array([0, 0, 0.5]))
    np.testing.assert_allclose(velocity(last, now, 0.1), [0, 0, 5, 0, 0.1, 0], atol=0.06)


def test_coverage_counts_cells() -> None:
    assert coverage(np.zeros((5, 2), np.float32), 640, 480) == 1 / 48
    x, y = np.meshgrid(np.arange(40, 640, 80), np.arange(40, 480, 80))
    assert coverage(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32), 640, 480) == 1.0
    assert coverage(np.array([[-0.5, -0.5], [639.4, 479.4]], np.float32), 640, 480) == 2 / 48


def test_health_names_what_is_wrong() -> None:
    sound = Health(inliers=300, inlier_ratio=0.9, survival=0.9, coverage=0.8, parallax=0.0)

    def judged(covariance: NDArray[np.float64] = SURE, **changes: float) -> tuple[State, str]:
        return judge(replace(sound, **changes), covariance, 3.0, OPTIONS)  # type: ignore[arg-type]

    assert judged() == (State.GOOD, "")
    assert judged(inliers=5)[0] is State.LOST
    assert judged(inliers=50, inlier_ratio=0.1)[0] is State.LOST
    doubtful = [
        (judged(inliers=20), "20 points"),
        (judged(inlier_ratio=0.4), "40%"),
        (judged(survival=0.25), "25% of the last image's tracks"),
        (judged(coverage=0.1), "10% of the image"),
        (judged(np.diag([0.1**2, 0, 0, 0, 0, 0])), "position"),
        (judged(np.diag([0, 0, 0, 0, 0.02**2, 0])), "direction"),
    ]
    for (state, reason), text in doubtful:
        assert state is State.WEAK
        assert text in reason


def test_keyframes_come_when_the_view_has_changed() -> None:
    assert not wanted(1, 0.1, 1.0, OPTIONS)
    assert not wanted(5, 0.9, 0.01, OPTIONS)
    assert wanted(5, 0.5, 0.01, OPTIONS)
    assert wanted(5, 0.9, 0.1, OPTIONS)


def test_shared_errors_do_not_average_out() -> None:
    np.testing.assert_array_equal(shared_errors(SURE, 10), SURE)
    np.testing.assert_allclose(shared_errors(SURE / 1200, 1200), shared_errors(SURE / 600, 600))


def test_a_pose_that_nothing_fits_well_is_uncertain() -> None:
    squared, trust = np.random.default_rng(0).chisquare(2, 1000), np.full(1000, 0.8)
    assert departure(squared, trust) == pytest.approx(1.0, abs=0.1)
    assert departure(9 * squared, trust) == pytest.approx(9.0, rel=0.1)
    assert departure(squared / 9, trust) == 1.0


def test_what_has_long_been_wrong_does_not_make_a_pose_uncertain() -> None:
    squared = np.random.default_rng(0).chisquare(2, 1000)
    squared[:600] += 1000
    trust = np.where(np.arange(1000) < 600, 0.1, 0.9)
    assert departure(squared, trust) < 2
    assert departure(squared, np.ones(1000)) > 100


def test_systematic_errors_grow_with_the_way() -> None:
    gone = way(np.eye(4), pose_of(rotation(np.array([0, 0.1, 0])), np.array([0, 0, 2.0])), 4.0)
    np.testing.assert_allclose(gone, [0.5, 0.1])
    once, twice = systematic(gone, 4.0), systematic(2 * gone, 4.0)
    # A hundredth of 2 metres, and of 4 metres times 0.1 radians.
    assert np.sqrt(once[0, 0]) == pytest.approx(0.02 + 0.004)
    np.testing.assert_allclose(twice, 4 * once)


def observations(rays: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Observations:
    count = len(rays)
    noisy = rays / rays[:, 2:]
    noisy[:, :2] += np.random.default_rng(9).normal(0, 0.3 / 500, (count, 2))
    white = np.broadcast_to(np.eye(2) * 1000.0, (count, 2, 2)).copy()
    return Observations(np.arange(count, dtype=np.uint32), noisy, white, Depths.unknown(count), np.zeros(count))


@pytest.mark.parametrize("flat", [False, True])
def test_two_views_begin_with_the_true_motion(flat: bool) -> None:
    random = np.random.default_rng(0)
    z = 5 + (0.3 * random.uniform(-1, 1, 200) if flat else random.uniform(-2, 4, 200))
    places = np.stack([random.uniform(-2.5, 2.5, 200), random.uniform(-2, 2, 200), z], axis=1)
    if flat:
        places[:, 2] = 5 + 0.4 * places[:, 0]
    pose = pose_of(rotation(np.array([0.02, -0.06, 0.01])), np.array([0.6, 0.05, 0.2]))
    two = begin_from(observations(places), observations((places - pose[:3, 3]) @ pose[:3, :3]), 500.0, 0.5)
    assert two is not None
    assert len(two.rows) > 180
    np.testing.assert_allclose(two.pose[:3, :3], pose[:3, :3], atol=0.01)
    np.testing.assert_allclose(two.pose[:3, 3] * np.median(places[:, 2]), pose[:3, 3], atol=0.05)
    assert np.median(two.inverse_depth) == pytest.approx(1)


def test_a_turn_alone_or_too_few_points_begin_nothing() -> None:
    random = np.random.default_rng(0)
    places = np.stack([random.uniform(-2.5, 2.5, 200), random.uniform(-2, 2, 200), random.uniform(3, 9, 200)], axis=1)
    turned = observations(places @ rotation(np.array([0, 0.1, 0])))
    two = begin_from(observations(places), turned, 500.0, 0.5)
    assert two is None or two.parallax < OPTIONS.start_parallax
    assert begin_from(observations(places)[:5], turned[:5], 500.0, 0.5) is None
