"""The tracker as its users see it: ids, ages, places, and when a track must end."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from kp_ros.camera import Camera
from kp_ros.features import Features, Tracks
from kp_ros.tracking import HybridTracker, load_tracker
from kp_ros.tracking.verification import fit_geometry

CHECKOUT = Path(__file__).resolve().parents[2]
Scene = Any  # the class of that name in conftest.py
Detect = Callable[..., Features]
STEP_NS = 33_333_333


def follow(scene: Scene, detect: Detect, frames: int, kind: str = "float") -> list[Tracks]:
    tracker = load_tracker(max_tracks=400)
    return [
        tracker.update(scene.image(k), (k + 1) * STEP_NS, detect(scene.image(k), kind), None) for k in range(frames)
    ]


def errors(scene: Scene, runs: list[Tracks], first: int, last: int) -> np.ndarray:
    """Distance of each point that lived from one frame to another to where the exact warp puts it."""
    _, i, j = np.intersect1d(runs[first].track_id, runs[last].track_id, return_indices=True)
    truth = scene.move(runs[first].keypoints[i], first, last)
    return np.linalg.norm(runs[last].keypoints[j] - truth, axis=1)


@pytest.mark.parametrize("kind", ["float", "binary", "none"])
def test_ids_follow_the_points_below_a_pixel(scene: Scene, detect: Detect, kind: str) -> None:
    runs = follow(scene, detect, 8, kind)
    error = errors(scene, runs, 0, 7)
    assert len(error) > 0.8 * len(runs[0])
    assert np.median(error) < 0.12
    assert np.percentile(error, 99) < 0.6


def test_drift_stays_bounded_over_forty_frames(scene: Scene, detect: Detect) -> None:
    runs = follow(scene, detect, 41)
    error = errors(scene, runs, 0, 40)
    assert len(error) > 0.5 * len(runs[0])
    assert np.median(error) < 0.35
    assert np.percentile(error, 95) < 1.5


def test_a_point_lives_on_when_the_detector_misses_it(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker()
    first = tracker.update(scene.image(0), STEP_NS, detect(scene.image(0)), None)
    nothing = detect(scene.image(0))[:0]
    for k in range(1, 6):
        tracks = tracker.update(scene.image(k), (k + 1) * STEP_NS, nothing, None)
    assert len(tracks) > 0.85 * len(first)
    assert np.isin(tracks.track_id, first.track_id).all()
    assert (tracks.age == 6).all()


def test_an_image_that_is_never_joined_is_as_if_it_had_not_been(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker(max_tracks=400)
    for k in range(4):
        tracks = tracker.update(scene.image(k), (k + 1) * STEP_NS, detect(scene.image(k)), None)
        tracker.follow(scene.image(k + 20), (k + 1) * STEP_NS + 1, None)
    whole = follow(scene, detect, 4)[-1]
    np.testing.assert_array_equal(tracks.track_id, whole.track_id)
    np.testing.assert_array_equal(tracks.keypoints, whole.keypoints)


def test_fields_are_those_of_the_contract(scene: Scene, detect: Detect) -> None:
    runs = follow(scene, detect, 3)
    tracks = runs[2]
    assert (tracks.track_id.dtype, tracks.age.dtype) == (np.uint32, np.uint32)
    assert {a.dtype for a in (tracks.keypoints, tracks.velocity, tracks.scores, tracks.descriptors)} == {
        np.dtype(np.float32)
    }
    assert len(np.unique(tracks.track_id)) == len(tracks) <= 400
    assert (np.diff(tracks.age.astype(int)) <= 0).all(), "longest-lived first"
    assert (runs[0].age == 1).all() and (runs[0].velocity == 0).all()
    old = tracks.age == 3
    _, i, j = np.intersect1d(runs[1].track_id, tracks.track_id[old], return_indices=True)
    step = tracks.keypoints[old][j] - runs[1].keypoints[i]
    np.testing.assert_allclose(tracks.velocity[old][j], step / (STEP_NS * 1e-9), rtol=1e-4, atol=1e-2)


def test_confirmation_takes_over_score_and_descriptor(scene: Scene, detect: Detect) -> None:
    tracker, image = load_tracker(), scene.image(0)
    features = detect(image)
    first = tracker.update(image, STEP_NS, features, None)
    brighter = Features(features.keypoints, features.scores + 1, features.descriptors)
    second = tracker.update(image, 2 * STEP_NS, brighter, None)
    np.testing.assert_array_equal(second.track_id, first.track_id)
    np.testing.assert_allclose(second.scores, first.scores + 1)
    unlike = Features(features.keypoints, features.scores + 5, -features.descriptors)
    third = tracker.update(image, 3 * STEP_NS, unlike, None)
    np.testing.assert_allclose(third.scores, second.scores)


def test_where_nothing_moves_confirmation_comes_within_four_frames(scene: Scene, detect: Detect) -> None:
    tracker, image = load_tracker(max_tracks=150), scene.image(0)
    features = detect(image)
    seen = []
    for frame in range(1, 10):
        scored = Features(features.keypoints, np.full_like(features.scores, frame), features.descriptors)
        seen.append(np.unique(tracker.update(image, frame * STEP_NS, scored, None).scores).tolist())
    confirmed = [scores[0] for scores in seen]
    assert all(len(scores) == 1 for scores in seen)
    assert all(frame - score < 4 for frame, score in enumerate(confirmed, 1))
    assert len(set(confirmed)) < len(confirmed)


def test_where_little_moves_the_geometry_is_checked_in_every_fourth_frame(
    scene: Scene, detect: Detect, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, fits, seen, checked = load_tracker(max_tracks=150), [], [], []

    def fit(first: Any, second: Any, *others: Any) -> Any:
        fits.append((first.copy(), second.copy()))
        return fit_geometry(first, second, *others)

    monkeypatch.setattr("kp_ros.tracking.tracker.fit_geometry", fit)
    for k in range(16):
        seen.append(tracker.update(scene.image(k), (k + 1) * STEP_NS, detect(scene.image(k)), None))
        checked += [k] * (len(fits) - len(checked))
    waits = np.diff(checked)
    assert waits.max() == 4
    for (first, second), last, now in zip(fits[1:], checked[:-1], checked[1:], strict=True):
        # What is compared is where the points were when they were checked last.
        assert np.isin(first, seen[last].keypoints).all()
        assert np.median(np.linalg.norm(second - scene.move(first, last, now), axis=1)) < 0.12


def test_frames_that_rest_need_no_detections(scene: Scene, detect: Detect) -> None:
    with_them, without = load_tracker(max_tracks=150), load_tracker(max_tracks=150)
    rested = []
    for k in range(16):
        image, stamp_ns, features = scene.image(k), (k + 1) * STEP_NS, detect(scene.image(k))
        followed = without.follow(image, stamp_ns, None)
        rested.append(not without.needs_detections(followed))
        tracks = without.join(followed, None if rested[-1] else features)
        whole = with_them.update(image, stamp_ns, features, None)
        for one, other in zip(vars(tracks).values(), vars(whole).values(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not rested[0]
    assert 4 <= sum(rested) <= 12


def test_a_jerk_between_checks_ends_few(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker(max_tracks=150)
    # Eleven pixels at once, in each frame that rests and in one that does not.
    for before in (9, 10, 11, 12):
        frames = [*range(before), before + 8]
        runs = [tracker.update(scene.image(k), (k + 1) * STEP_NS, detect(scene.image(k)), None) for k in frames]
        _, i, j = np.intersect1d(runs[-2].track_id, runs[-1].track_id, return_indices=True)
        truth = scene.move(runs[-2].keypoints[i], frames[-2], frames[-1])
        assert len(i) > 0.8 * len(runs[-2])
        assert np.median(np.linalg.norm(runs[-1].keypoints[j] - truth, axis=1)) < 0.3
        tracker.reset()


def test_something_that_moves_where_all_else_rests_is_followed(scene: Scene, detect: Detect) -> None:
    tracker, rest = load_tracker(max_tracks=150), scene.image(0)
    moved = rest.copy()
    moved[104:254, 162:332] = rest[100:250, 160:330]
    # In each frame that rests and in one that does not.
    for before in (9, 10, 11, 12):
        for k in range(before):
            last = tracker.update(rest, (k + 1) * STEP_NS, detect(rest), None)
        now = tracker.update(moved, (before + 1) * STEP_NS, detect(moved), None)
        x, y = last.keypoints.T
        on_it = (x > 180) & (x < 310) & (y > 120) & (y < 230)
        _, i, j = np.intersect1d(last.track_id[on_it], now.track_id, return_indices=True)
        assert on_it.sum() > 5
        assert len(i) > 0.7 * on_it.sum()
        steps = now.keypoints[j] - last.keypoints[on_it][i]
        np.testing.assert_allclose(np.median(steps, axis=0), (2, 4), atol=0.2)
        tracker.reset()


def test_what_is_covered_ends_and_what_is_not_lives(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker()
    first = tracker.update(scene.image(0), STEP_NS, detect(scene.image(0)), None)
    tracker.update(scene.image(1), 2 * STEP_NS, detect(scene.image(1)), None)
    image = scene.image(2)
    box = np.s_[120:260, 160:330]
    cover = np.random.default_rng(5).integers(0, 255, (140, 170)).astype(np.uint8)
    image[box] = cv2.GaussianBlur(cover, (5, 5), 0)
    last = tracker.update(image, 3 * STEP_NS, detect(image), None)
    truth = scene.move(first.keypoints, 0, 2)
    margin = 12
    x, y = truth.T
    covered = (x > 160 + margin) & (x < 330 - margin) & (y > 120 + margin) & (y < 260 - margin)
    apart = (x < 160 - margin) | (x > 330 + margin) | (y < 120 - margin) | (y > 260 + margin)
    lives = np.isin(first.track_id, last.track_id)
    assert covered.sum() > 20
    assert lives[covered].mean() < 0.05
    assert lives[apart].mean() > 0.8


def test_something_that_slides_in_front_does_not_take_ids_along(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker()
    cover = cv2.GaussianBlur(np.random.default_rng(6).integers(0, 255, (360, 200)).astype(np.uint8), (5, 5), 0)

    def image(frame: int) -> np.ndarray:
        picture = scene.image(0).copy()
        picture[:, 60 + 4 * frame : 260 + 4 * frame] = cover
        return picture

    first = tracker.update(image(0), STEP_NS, detect(image(0)), None)
    for k in range(1, 16):
        last = tracker.update(image(k), (k + 1) * STEP_NS, detect(image(k)), None)
    swept = (first.keypoints[:, 0] > 272) & (first.keypoints[:, 0] < 308)
    survivors = np.isin(first.track_id[swept], last.track_id)
    assert swept.sum() > 5
    assert survivors.mean() < 0.35


def test_blackout_ends_all_and_light_starts_new_ids(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker()
    first = tracker.update(scene.image(0), STEP_NS, detect(scene.image(0)), None)
    black = np.zeros_like(scene.image(0))
    dark = tracker.update(black, 2 * STEP_NS, detect(black), None)
    assert len(dark) == 0
    last = tracker.update(scene.image(0), 3 * STEP_NS, detect(scene.image(0)), None)
    assert len(last) == len(first)
    assert last.track_id.min() > first.track_id.max()


def test_a_cut_ends_all(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker()
    first = tracker.update(scene.image(0), STEP_NS, detect(scene.image(0)), None)
    other = cv2.flip(scene.image(0), -1)
    last = tracker.update(other, 2 * STEP_NS, detect(other), None)
    assert np.isin(first.track_id, last.track_id).mean() < 0.03
    assert len(last) > 0.8 * len(first)


def test_a_jump_that_flow_cannot_follow_is_bridged_by_descriptor(scene: Scene, detect: Detect) -> None:
    tracker, wide = load_tracker(), scene.image(0)
    left, right = wide[:, :280].copy(), wide[:, 190:470].copy()
    first = tracker.update(left, STEP_NS, detect(left), None)
    last = tracker.update(right, 2 * STEP_NS, detect(right), None)
    _, i, j = np.intersect1d(first.track_id, last.track_id, return_indices=True)
    error = np.linalg.norm(first.keypoints[i] - (190, 0) - last.keypoints[j], axis=1)
    stays = first.keypoints[:, 0] > 200
    assert len(i) > 0.5 * stays.sum()
    assert np.percentile(error, 95) < 0.5


def test_identical_frames_keep_every_point_in_place(scene: Scene, detect: Detect) -> None:
    tracker, image = load_tracker(), scene.image(0)
    features = detect(image)
    first = tracker.update(image, STEP_NS, features, None)
    for k in range(2, 12):
        last = tracker.update(image, k * STEP_NS, features, None)
    np.testing.assert_array_equal(last.track_id, first.track_id)
    np.testing.assert_allclose(last.keypoints, first.keypoints, atol=0.05)


def test_brightness_may_change(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker()
    first = tracker.update(scene.image(0), STEP_NS, detect(scene.image(0)), None)
    dimmed = cv2.convertScaleAbs(scene.image(1), alpha=0.6, beta=10)
    last = tracker.update(dimmed, 2 * STEP_NS, detect(dimmed), None)
    assert np.isin(first.track_id, last.track_id).mean() > 0.8


def test_a_camera_makes_the_check_work_on_rays(scene: Scene, detect: Detect) -> None:
    camera = Camera(480, 360, np.array([[400.0, 0, 240], [0, 400, 180], [0, 0, 1]]), np.zeros(5))
    tracker = load_tracker()
    first = tracker.update(scene.image(0), STEP_NS, detect(scene.image(0)), camera)
    last = tracker.update(scene.image(1), 2 * STEP_NS, detect(scene.image(1)), camera)
    assert np.isin(first.track_id, last.track_id).mean() > 0.85


def test_ids_are_never_used_again(scene: Scene, detect: Detect) -> None:
    tracker, seen = load_tracker(max_tracks=200), -1
    for _ in range(3):
        tracks = tracker.update(scene.image(0), STEP_NS, detect(scene.image(0)), None)
        assert tracks.track_id.min() > seen
        assert (tracks.age == 1).all()
        seen = int(tracks.track_id.max())
        tracker.reset()


def test_another_size_or_descriptor_starts_afresh(scene: Scene, detect: Detect) -> None:
    tracker, image = load_tracker(), scene.image(0)
    first = tracker.update(image, STEP_NS, detect(image), None)
    smaller = image[:200, :300].copy()
    second = tracker.update(smaller, 2 * STEP_NS, detect(smaller), None)
    third = tracker.update(smaller, 3 * STEP_NS, detect(smaller, "binary"), None)
    assert second.track_id.min() > first.track_id.max()
    assert third.track_id.min() > second.track_id.max()
    assert third.descriptors.dtype == np.uint8


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (5, 7), (40, 300), (16, 16)])
def test_images_too_small_for_anything_do_no_harm(detect: Detect, shape: tuple[int, int]) -> None:
    tracker = load_tracker()
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    point = np.array([[shape[1] / 2, shape[0] / 2]], np.float32)[: min(shape)]
    features = Features(point, np.ones(len(point), np.float32), np.ones((len(point), 4), np.float32) / 2)
    for k in range(1, 4):
        tracks = tracker.update(image, k * STEP_NS, features, None)
    assert len(tracks) <= 1
    assert np.isfinite(tracks.keypoints).all()


def test_no_features_no_tracks(scene: Scene, detect: Detect) -> None:
    tracker, nothing = load_tracker(), detect(scene.image(0))[:0]
    for k in range(1, 3):
        tracks = tracker.update(scene.image(k), k * STEP_NS, nothing, None)
    assert len(tracks) == 0
    assert tracks.descriptors.shape == nothing.descriptors.shape


def test_flat_places_begin_no_track() -> None:
    image = np.full((240, 320), 90, np.uint8)
    point = np.array([[100, 100]], np.float32)
    features = Features(point, np.ones(1, np.float32), np.zeros((1, 0), np.float32))
    assert len(load_tracker().update(image, STEP_NS, features, None)) == 0


def test_the_image_may_be_overwritten_by_its_owner(scene: Scene, detect: Detect) -> None:
    tracker, image = load_tracker(), scene.image(0)
    first = tracker.update(image, STEP_NS, detect(image), None)
    image[:] = 0
    last = tracker.update(scene.image(1), 2 * STEP_NS, detect(scene.image(1)), None)
    assert np.isin(first.track_id, last.track_id).mean() > 0.85


def test_no_more_tracks_than_asked_for(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker(max_tracks=50)
    for k in range(5):
        assert len(tracker.update(scene.image(k), (k + 1) * STEP_NS, detect(scene.image(k)), None)) == 50


def test_the_limit_may_change_while_points_are_followed(scene: Scene, detect: Detect) -> None:
    tracker = load_tracker(max_tracks=50)
    assert isinstance(tracker, HybridTracker)
    runs = []
    for k, limit in enumerate([50, 50, 200, 200, 80]):
        tracker.options = replace(tracker.options, max_tracks=limit)
        runs.append(tracker.update(scene.image(k), (k + 1) * STEP_NS, detect(scene.image(k)), None))
    assert [len(tracks) for tracks in runs] == [50, 50, 200, 200, 80]
    # What was followed before goes on; the youngest make room.
    assert np.isin(runs[1].track_id, runs[2].track_id).mean() > 0.9
    assert runs[4].track_id.max() < np.sort(runs[3].track_id)[110]
    assert np.median(errors(scene, runs, 3, 4)) < 0.12


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="max_tracks is 0; give 1 or more"):
        load_tracker(max_tracks=0)
    with pytest.raises(ValueError, match="template_points is 10"):
        load_tracker(template_points=10)
    with pytest.raises(ValueError, match=r"template_correlation is 1\.5"):
        load_tracker(template_correlation=1.5)
    with pytest.raises(TypeError, match="no_such_option"):
        load_tracker(no_such_option=1)


DIGEST = """
import sys, hashlib, cv2, numpy as np
sys.path.insert(0, {root!r})
cv2.setNumThreads({threads})
from kp_ros.features import Features
from kp_ros.camera import Camera
from kp_ros.tracking import load_tracker
z = np.load({path!r})
tracker, digest = load_tracker(max_tracks=400), hashlib.sha256()
camera = Camera(480, 360, np.array([[400.0, 0, 240], [0, 400, 180], [0, 0, 1]]), np.zeros(5))
for k, image in enumerate(z["images"]):
    features = Features(z[f"k{{k}}"], z[f"s{{k}}"], z[f"d{{k}}"])
    tracks = tracker.update(image, (k + 1) * 33333333, features, camera)
    for array in (tracks.track_id, tracks.age, tracks.keypoints, tracks.velocity, tracks.scores, tracks.descriptors):
        digest.update(array.tobytes())
print(digest.hexdigest())
"""


def test_equal_input_gives_equal_bytes_in_any_process(scene: Scene, detect: Detect, tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {"images": np.stack([scene.image(k) for k in range(6)])}
    for k, image in enumerate(arrays["images"]):
        features = detect(image)
        arrays |= {f"k{k}": features.keypoints, f"s{k}": features.scores, f"d{k}": features.descriptors}
    path = tmp_path / "input.npz"
    np.savez(path, **arrays)
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST.format(root=str(CHECKOUT), threads=threads, path=str(path))],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in (1, 2)
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == hashlib.sha256().digest_size * 2


def test_points_live_long_on_a_real_drive(shared_data: Path, detect: Detect) -> None:
    tracker, lengths = load_tracker(max_tracks=300), {}
    for k, path in enumerate(sorted((shared_data / "kitti_06/images").iterdir())[:12]):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        tracks = tracker.update(image, (k + 1) * 100_000_000, detect(image, count=400), None)
        lengths |= dict(zip(tracks.track_id.tolist(), tracks.age.tolist(), strict=True))
    assert np.mean([length for length in lengths.values() if length > 1]) > 4.5
