from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.detectors.base import DetectorInfo
from kp_ros.features import Features, Tracks
from kp_ros.frontend import Frontend


class OnePoint:
    """A detector that finds the image's middle."""

    info = DetectorInfo("one", "test", "", 0, "float32", "none", 1, "numpy", "fp32")

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        middle = np.array([[image.shape[1] / 2, image.shape[0] / 2]], np.float32)
        return Features(middle, np.ones(1, np.float32), np.zeros((1, 0), np.float32))

    def close(self) -> None:
        pass


class Counting:
    """A tracker that follows what is detected and counts its resets."""

    def __init__(self) -> None:
        self.resets = 0
        self.age = 0
        self.camera: Camera | None = None
        self.detections_needed = True

    def follow(self, image: NDArray[np.uint8], stamp_ns: int, camera: Camera | None) -> None:
        self.camera = camera

    def needs_detections(self, followed: None) -> bool:
        return self.detections_needed

    def join(self, followed: None, features: Features | None) -> Tracks:
        self.age += 1
        one = np.array([self.age], np.uint32)
        if features is None:
            return Tracks(one, one, *(np.zeros((1, 2), np.float32),) * 2, np.ones(1, np.float32), np.zeros((1, 0)))
        return Tracks(one, one, features.keypoints, features.keypoints, features.scores, features.descriptors)

    def reset(self) -> None:
        self.resets += 1
        self.age = 0


IMAGE = np.zeros((48, 64), np.uint8)


@pytest.fixture
def tracker() -> Counting:
    return Counting()


@pytest.fixture
def frontend(tracker: Counting) -> Frontend:
    return Frontend(OnePoint(), tracker)


def test_an_image_goes_through_detector_and_tracker(frontend: Frontend, tracker: Counting) -> None:
    camera = Camera(64, 48, np.diag([50.0, 50, 1]), np.zeros(0))
    result = frontend.process(IMAGE, 7, camera)
    assert result.stamp_ns == 7
    np.testing.assert_array_equal(result.features.keypoints, [[32, 24]])
    np.testing.assert_array_equal(result.tracks.keypoints, [[32, 24]])
    assert tracker.camera is camera
    assert set(result.seconds) == {"detect", "track", "join"}
    assert all(seconds >= 0 for seconds in result.seconds.values())


def test_advancing_stamps_keep_the_tracks(frontend: Frontend, tracker: Counting) -> None:
    ages = [frontend.process(IMAGE, stamp, None).tracks.age[0] for stamp in (1, 2, 10)]
    assert ages == [1, 2, 3]
    assert tracker.resets == 0


@pytest.mark.parametrize("stamp", [5, 10])
def test_a_stamp_that_does_not_advance_resets_the_tracks(frontend: Frontend, tracker: Counting, stamp: int) -> None:
    frontend.process(IMAGE, 10, None)
    assert frontend.process(IMAGE, stamp, None).tracks.age[0] == 1
    assert tracker.resets == 1


def test_another_image_size_resets_the_tracks(frontend: Frontend, tracker: Counting) -> None:
    frontend.process(IMAGE, 1, None)
    assert frontend.process(IMAGE[:40], 2, None).tracks.age[0] == 1
    assert tracker.resets == 1


def test_after_a_reset_any_stamp_is_new(frontend: Frontend, tracker: Counting) -> None:
    frontend.process(IMAGE, 10, None)
    frontend.reset()
    frontend.process(IMAGE, 3, None)
    assert tracker.resets == 1


def test_the_detection_may_run_ahead_of_the_tracking(frontend: Frontend, tracker: Counting) -> None:
    frames = [frontend.detect(IMAGE, stamp, None) for stamp in (1, 2, 2)]
    joined = [frontend.join(frontend.follow(IMAGE, frame.stamp_ns, None), frame) for frame in frames]
    assert [one.tracks.age[0] for one in joined] == [1, 2, 1]
    assert tracker.resets == 1


def test_tracks_that_need_no_detections_may_be_joined_without(frontend: Frontend, tracker: Counting) -> None:
    frontend.process(IMAGE, 1, None)
    assert frontend.follow(IMAGE, 2, None).needs_detections
    tracker.detections_needed = False
    followed = frontend.follow(IMAGE, 3, None)
    assert not followed.needs_detections
    joined = frontend.join(followed, None)
    assert joined.tracks.age[0] == 2
    assert set(joined.seconds) == {"track", "join"}
