"""What goes wrong on a robot, made from real sequences, and the right answer to each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from sequences import Image, Recording, drive, estimate, forward, has_pose, read, steps_wrong, track, trajectory_error

from kp_ros.detectors import Detector, load_detector
from kp_ros.odometry import Mode, State

#: First and last frame of a disturbance.
BEGIN, END = 7, 12


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    loaded = load_detector(max_keypoints=500, threads=1)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def room(shared_data: Path) -> Recording:
    return read(shared_data / "icl_kt3", slice(0, 18), Mode.RGBD)


@pytest.fixture(scope="module")
def road(shared_data: Path) -> Recording:
    return read(shared_data / "kitti_06", slice(0, 12), Mode.STEREO)


def disturbed(number: int) -> bool:
    return BEGIN <= number < END


def states(results) -> str:  # type: ignore[no-untyped-def]
    return "".join(result.state.value[0] for result in results)


def test_a_covered_lens_is_lost_and_a_new_segment_goes_on_from_the_last_pose(
    room: Recording, detector: Detector
) -> None:
    covered = room.changed(lambda number, image: np.zeros_like(image) if disturbed(number) else image)
    results = estimate(track(covered, detector, 30), Mode.RGBD)
    assert states(results) == "g" * BEGIN + "l" * (END - BEGIN) + "g" * (len(results) - END)
    assert [result.segment for result in results[BEGIN:END]] == [0] * (END - BEGIN)
    assert results[END].segment == 1
    for result in results[BEGIN : END + 1]:
        np.testing.assert_array_equal(result.pose, results[BEGIN - 1].pose)
    lost, before = results[BEGIN], results[BEGIN - 1]
    assert lost.health.reason
    assert np.diag(lost.covariance).min() > 100 * np.diag(before.covariance).max()
    assert not steps_wrong(results, room.truth, 0.005, 0.2)


def test_in_the_dark_nothing_is_good_while_it_is_wrong(room: Recording, detector: Detector) -> None:
    random = np.random.default_rng(0)

    def dark(number: int, image: Image) -> Image:
        noisy = image * 0.02 + random.normal(0, 2, image.shape)
        return noisy.clip(0, 255).astype(np.uint8) if disturbed(number) else image

    results = estimate(track(room.changed(dark), detector, 30), Mode.RGBD)
    assert "g" not in states(results[BEGIN:END])
    assert states(results[-3:]) == "ggg"
    assert not steps_wrong(results, room.truth, 0.01, 0.3)


def test_blur_is_weak_or_lost_but_not_wrong(room: Recording, detector: Detector) -> None:
    blurred = room.changed(
        lambda number, image: np.asarray(cv2.GaussianBlur(image, (0, 0), 12)) if disturbed(number) else image
    )
    results = estimate(track(blurred, detector, 30), Mode.RGBD)
    assert results[BEGIN].state is not State.GOOD
    assert states(results[-3:]) == "ggg"
    assert not steps_wrong(results, room.truth, 0.02, 0.5)


def test_a_wall_without_texture_is_lost_for_as_long_as_it_lasts(room: Recording, detector: Detector) -> None:
    random = np.random.default_rng(0)

    def wall(number: int, image: Image) -> Image:
        plain = np.full(image.shape, image.mean()) + random.normal(0, 1.5, image.shape)
        return plain.clip(0, 255).astype(np.uint8) if number >= BEGIN else image

    results = estimate(track(room.changed(wall), detector, 30), Mode.RGBD)
    assert states(results) == "g" * BEGIN + "l" * (len(results) - BEGIN)


def test_standing_still_stays_where_it_is_without_keyframes(room: Recording, detector: Detector) -> None:
    random = np.random.default_rng(0)
    first = room.images[0]

    def same(number: int, image: Image) -> Image:
        return (first + random.normal(0, 1.5, first.shape)).clip(0, 255).astype(np.uint8)

    still = Recording(room.camera, room.images[:10], room.extras[:1] * 10, room.truth[:1] * 10).changed(same)
    frames = track(still, detector, 30)
    results = estimate(frames, Mode.RGBD)
    assert states(results) == "g" * 10
    assert sum(result.keyframe for result in results) == 1
    assert max(np.abs(result.pose[:3, 3]).max() for result in results) < 0.002
    assert states(estimate(frames, Mode.MONO)) == "i" * 10


def test_a_turn_alone_does_not_begin_a_monocular_segment(room: Recording, detector: Detector) -> None:
    matrix = room.camera.matrix

    def turned(number: int, image: Image) -> Image:
        angle = 0.01 * number
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        warp = matrix @ turn @ np.linalg.inv(matrix)
        return np.asarray(cv2.warpPerspective(room.images[0], warp, image.shape[::-1], borderMode=cv2.BORDER_REFLECT))

    recording = Recording(room.camera, room.images[:12], room.extras[:12], room.truth[:12]).changed(turned)
    assert states(estimate(track(recording, detector, 30), Mode.MONO)) == "i" * 12


def test_a_truck_that_passes_carries_no_pose_away(road: Recording, detector: Detector, shared_data: Path) -> None:
    side = cv2.resize(cv2.imread(str(shared_data / "photos" / "debian_000.jpg"), cv2.IMREAD_GRAYSCALE), (560, 260))

    def paste(image: Image, number: int, disparity: int) -> Image:
        left = 1226 - 110 * (number - 2) - disparity
        begin, end = max(left, 0), min(left + 560, 1226)
        image = image.copy()
        if number > 2 and begin < end:
            image[70:330, begin:end] = side[:, begin - left : end - left]
        return image

    extras = [{**extra, "right": paste(extra["right"], number, 60)} for number, extra in enumerate(road.extras)]
    passed = Recording(
        road.camera, [paste(image, number, 0) for number, image in enumerate(road.images)], extras, road.truth
    )
    frames = track(passed, detector, 10)
    for mode in (Mode.STEREO, Mode.MONO):
        results = estimate(frames, mode)
        assert "l" not in states(results)
        assert trajectory_error(results, road.truth, mode is Mode.MONO) < 0.15
        if mode is Mode.STEREO:
            assert not steps_wrong(results, road.truth, 0.15, 0.3)
            assert min(result.health.inlier_ratio for result in results) < 0.85


def test_a_truck_with_more_points_than_the_street_carries_no_pose_away() -> None:
    scene = drive(forward(36), depth_noise=0.01, moving=lambda frame: np.array([-8 + 0.3 * frame, 0, 0.25 * frame]))
    results = estimate(scene.frames, Mode.RGBD)
    assert not steps_wrong(results, scene.truth, 0.04, 0.4)
    assert trajectory_error(results, scene.truth, False) < 0.03
    assert min(result.health.inlier_ratio for result in results) < 0.6


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_noise_does_not_begin_a_monocular_segment_with_a_wrong_motion(seed: int) -> None:
    """Forward motion, little parallax, noise: a motion to the side and a turn explain two images as well."""
    scene = drive(forward(14, 0.6), noise=0.5, seed=seed)
    results = estimate(scene.frames, Mode.MONO)
    posed = [number for number, result in enumerate(results) if has_pose(result)]
    assert 3 <= posed[0] <= 10
    mine = np.linalg.inv(results[posed[0]].pose) @ results[-1].pose
    assert mine[2, 3] > 20 * np.abs(mine[:2, 3]).max()


def test_what_comes_into_view_much_nearer_than_the_rest_tells_the_way_too() -> None:
    scene = drive(
        forward(26, 0.4), noise=0.2, moving=lambda frame: np.array([2.5, 0 if frame >= 15 else -300, 8])
    )  # stands still, hidden at first
    results = estimate(scene.frames, Mode.MONO)
    assert min(result.health.inlier_ratio for result in results[14:]) > 0.9
    assert trajectory_error(results, scene.truth, True) < 0.02


def test_a_turn_amid_the_way_is_followed_in_mono() -> None:
    straight = forward(22)
    scene = drive([*straight, *(straight[-1] @ pose for pose in forward(14, 0.0, 0.015)[1:])])
    results = estimate(scene.frames, Mode.MONO)
    turned = results[len(straight) :]
    assert all(has_pose(result) for result in turned)
    mine = np.linalg.inv(turned[0].pose) @ turned[-1].pose
    assert np.degrees(np.arctan2(mine[0, 2], mine[2, 2])) == pytest.approx(np.degrees(0.015) * 12, abs=0.1)
