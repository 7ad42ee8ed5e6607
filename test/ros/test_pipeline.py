"""The pipeline with a detector and a tracker that wait for the test, and publishers that remember."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from numpy.typing import NDArray
from recorders import Log, Topic
from sensor_msgs.msg import Image

from kp_ros.camera import Camera
from kp_ros.features import Features, Tracks
from kp_ros.frontend import Frontend
from kp_ros.ros.camera_watch import CameraWatch
from kp_ros.ros.messages import make_header
from kp_ros.ros.pipeline import Pipeline
from kp_ros.ros.publishers import Publishers
from kp_ros.ros.statistics import Statistics

PATIENCE = 60.0


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so; fails where it never is."""
    changed = threading.Event()
    for _ in range(round(PATIENCE / 0.005)):
        if condition():
            return
        changed.wait(0.005)
    raise AssertionError("it never happened")


class Gate:
    """Lets calls pass one by one, as the test says; notes which have come."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self._open = threading.Semaphore(0)

    def let_pass(self, calls: int = 1) -> None:
        for _ in range(calls):
            self._open.release()

    def enter(self, number: int) -> None:
        self.came.append(number)
        assert self._open.acquire(timeout=PATIENCE)


class GatedDetector:
    """One point a call; an image is known by its grey."""

    info = None

    def __init__(self) -> None:
        self.gate = Gate()

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        self.gate.enter(int(image[0, 0]))
        if image[0, 0] == 99:
            raise RuntimeError("the detector broke")
        return Features(np.ones((1, 2), np.float32), np.ones(1, np.float32), np.zeros((1, 0), np.float32))

    def close(self) -> None:
        pass


#: Images from this number on are tracked without their detections.
ALONE = 50


class GatedTracker:
    """The gate is where detections are joined; ``followed`` notes what came before that."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.followed: list[int] = []

    def follow(self, image: NDArray[np.uint8], stamp_ns: int, camera: Camera | None) -> int:
        number = int(image[0, 0])
        self.followed.append(number)
        return number

    def needs_detections(self, number: int) -> bool:
        return not ALONE <= number < 90

    def join(self, number: int, features: Features | None) -> Tracks:
        self.gate.enter(number)
        if number == 98:
            raise RuntimeError("the tracker broke")
        assert (features is None) == (not self.needs_detections(number))
        one, place = np.array([number], np.uint32), np.ones((1, 2), np.float32)
        return Tracks(one, one, place, place, np.ones(1, np.float32), np.zeros((1, 0), np.float32))

    def reset(self) -> None:
        pass


class Bench:
    """A pipeline and what is around it."""

    def __init__(self) -> None:
        self.detector, self.tracker = GatedDetector(), GatedTracker()
        self.tracks, self.log, self.statistics = Topic(), Log(), Statistics()
        publishers = Publishers(Topic(0), self.tracks, Topic(0), Topic(0), Topic(0))
        frontend = Frontend(self.detector, self.tracker)  # type: ignore[arg-type]
        watch = CameraWatch("/camera_info", False)
        self.pipeline = Pipeline(frontend, watch, publishers, self.statistics, lambda: 10**9, self.log)

    def send(self, *numbers: int) -> None:
        for number in numbers:
            image = Image(header=make_header(number, "camera"), height=8, width=8, encoding="mono8", step=8)
            image.data = bytes([number]) * 64
            self.pipeline.submit(image)

    @property
    def counts(self) -> SimpleNamespace:
        counts = self.statistics.snapshot().counts
        return SimpleNamespace(published=counts.published, dropped=counts.dropped, failed=counts.failed)

    @property
    def stamps(self) -> list[int]:
        """Nanoseconds of what was published, of its CDR."""
        return [int(np.frombuffer(message, "<u4", 1, 8)[0]) for message in self.tracks.published]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(rclpy, "ok", lambda: True)
    bench = Bench()
    yield bench
    bench.detector.gate.let_pass(100)
    bench.tracker.gate.let_pass(100)
    bench.pipeline.stop()


def test_the_next_image_is_detected_in_while_one_is_tracked(bench: Bench) -> None:
    bench.detector.gate.let_pass()
    bench.send(1)
    wait_for(lambda: bench.tracker.gate.came == [1])
    bench.send(2)
    wait_for(lambda: bench.detector.gate.came == [1, 2])
    assert bench.stamps == []
    bench.detector.gate.let_pass()
    bench.tracker.gate.let_pass(2)
    wait_for(lambda: bench.counts.published == 2)
    assert bench.stamps == [1, 2]
    assert bench.counts.dropped == 0


def test_tracks_are_followed_while_the_image_is_detected_in(bench: Bench) -> None:
    bench.send(1)
    wait_for(lambda: bench.tracker.followed == [1])
    assert bench.tracker.gate.came == []
    bench.detector.gate.let_pass()
    wait_for(lambda: bench.tracker.gate.came == [1])


def test_the_newest_image_wins_and_the_order_stays(bench: Bench) -> None:
    bench.detector.gate.let_pass()
    bench.send(1)
    wait_for(lambda: bench.tracker.gate.came == [1])
    bench.send(2)
    wait_for(lambda: bench.detector.gate.came == [1, 2])
    # 2 waits for its points and for the tracker: nothing overtakes it, what comes meanwhile is replaced.
    bench.send(3, 4, 5)
    bench.detector.gate.let_pass(10)
    bench.tracker.gate.let_pass(10)
    wait_for(lambda: bench.counts.published == 3)
    assert bench.stamps == [1, 2, 5]
    assert bench.counts.dropped == 2


def test_tracks_that_need_no_detections_are_joined_before_these_are_done(bench: Bench) -> None:
    bench.tracker.gate.let_pass(2)
    bench.send(ALONE)
    wait_for(lambda: bench.tracker.gate.came == [ALONE])
    assert bench.stamps == []
    bench.detector.gate.let_pass(2)
    wait_for(lambda: bench.counts.published == 1)
    bench.send(1)
    wait_for(lambda: bench.counts.published == 2)
    assert bench.stamps == [ALONE, 1]


@pytest.mark.parametrize(("number", "words"), [(99, "the detector broke"), (98, "the tracker broke")])
def test_an_image_on_which_a_stage_fails_is_counted_and_told_and_the_next_is_sound(
    bench: Bench, number: int, words: str
) -> None:
    bench.detector.gate.let_pass(10)
    bench.tracker.gate.let_pass(10)
    bench.send(1)
    wait_for(lambda: bench.counts.published == 1)
    bench.send(number)
    # The log has its line a moment after the count.
    wait_for(lambda: any(words in line for line in bench.log.lines))
    assert bench.counts.failed == 1
    assert words in bench.statistics.snapshot().last_failure
    bench.send(100)
    wait_for(lambda: bench.counts.published == 2)
    assert bench.stamps == [1, 100]


def test_stopping_finishes_what_is_at_hand(bench: Bench) -> None:
    bench.detector.gate.let_pass()
    bench.send(1)
    wait_for(lambda: bench.tracker.gate.came == [1])
    stopping = threading.Thread(target=bench.pipeline.stop)
    stopping.start()
    bench.tracker.gate.let_pass()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert bench.stamps == [1]
    bench.send(2)
    assert bench.detector.gate.came == [1]


def test_every_stage_is_timed(bench: Bench) -> None:
    bench.detector.gate.let_pass()
    bench.tracker.gate.let_pass()
    bench.send(1)
    wait_for(lambda: bench.counts.published == 1)
    of_the_frontend = ["detect", "track", "join"]
    stages = ["stamp_to_arrival", "wait", "decode", *of_the_frontend, "pack", "publish", "stamp_to_publication"]
    assert list(bench.statistics.snapshot().milliseconds) == stages
