from __future__ import annotations

import numpy as np
import pytest

from kp_ros.features import Features, Tracks
from kp_ros.ros import statistics
from kp_ros.ros.statistics import Counts, Statistics


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the statistics see: its only element."""
    now = [100.0]
    monkeypatch.setattr(statistics.time, "monotonic", lambda: now[0])
    return now


def some_features(count: int) -> Features:
    return Features(np.zeros((count, 2), np.float32), np.zeros(count, np.float32), np.zeros((count, 0), np.float32))


def some_tracks(*ages: int) -> Tracks:
    count, pixels = len(ages), np.zeros((len(ages), 2), np.float32)
    age = np.array(ages, np.uint32)
    return Tracks(age, age, pixels, pixels, np.zeros(count, np.float32), np.zeros((count, 0), np.float32))


def test_counts_say_what_became_of_every_image(clock: list[float]) -> None:
    counted = Statistics()
    for _ in range(5):
        counted.received()
    counted.dropped()
    counted.lost(7)
    counted.failed("JPEG cut off")
    counted.time_jumped()
    counted.published(some_features(4), some_tracks(1, 5, 9), {"detect": 0.01})
    snapshot = counted.snapshot()
    assert snapshot.counts == Counts(received=5, lost=7, published=1, dropped=1, failed=1, time_jumps=1)
    assert snapshot.drop_share == 0.2
    assert snapshot.last_failure == "JPEG cut off"
    assert (snapshot.keypoints, snapshot.tracks, snapshot.median_age) == (4, 3, 5.0)


def test_recent_counts_reach_back_ten_seconds(clock: list[float]) -> None:
    counted = Statistics()
    for _ in range(30):
        clock[0] += 1.0
        counted.received()
        snapshot = counted.snapshot()
    assert snapshot.counts.received == 30
    assert snapshot.recent.received == 10
    assert snapshot.recent_seconds == pytest.approx(10.0)


def test_silence_is_counted_from_the_last_image_or_the_start(clock: list[float]) -> None:
    counted = Statistics()
    clock[0] += 3.0
    assert counted.snapshot().silent_seconds == 3.0
    counted.received()
    clock[0] += 0.5
    assert counted.snapshot().silent_seconds == 0.5


def test_percentiles_are_in_milliseconds_and_only_over_images_that_had_the_stage() -> None:
    counted = Statistics()
    for index in range(101):
        seconds = {"detect": index * 1e-3}
        if index == 50:
            seconds["publish"] = 0.007
        counted.published(some_features(0), some_tracks(), seconds)
    milliseconds = counted.snapshot().milliseconds
    assert milliseconds["detect"] == pytest.approx((50.0, 95.0, 99.0))
    assert milliseconds["publish"] == pytest.approx((7.0, 7.0, 7.0))


def test_nothing_happened_yet() -> None:
    snapshot = Statistics().snapshot()
    assert snapshot.counts == Counts()
    assert (snapshot.drop_share, snapshot.tracks, snapshot.median_age, snapshot.milliseconds) == (0.0, 0, 0.0, {})
