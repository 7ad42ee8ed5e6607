"""What the node counts and times, for its diagnostics."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Features, Tracks

#: Percentiles are over this many images: half a minute of a camera at 30 Hz, enough for a p99.
TIMED_IMAGES = 1000
#: Rates and shares are over this many seconds.
RATE_SECONDS = 10.0
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Counts:
    """Images since the activation, by what became of them; ``lost`` ones never reached the node."""

    received: int = 0
    lost: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    time_jumps: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The statistics at one moment.

    :ivar counts: since the activation.
    :ivar recent: the same of the last :data:`RATE_SECONDS`, or since the activation where that is shorter.
    :ivar recent_seconds: the length of that time.
    :ivar silent_seconds: since the last image, or since the activation where there was none.
    :ivar milliseconds: stage -> p50, p95, p99 of the last :data:`TIMED_IMAGES` images.
    :ivar last_failure: why the last image failed that failed; empty where none did.
    :ivar keypoints: of the last image.
    :ivar tracks: of the last image.
    :ivar median_age: of those tracks, frames.
    """

    counts: Counts
    recent: Counts
    recent_seconds: float
    silent_seconds: float
    milliseconds: Mapping[str, tuple[float, float, float]]
    last_failure: str
    keypoints: int
    tracks: int
    median_age: float

    @property
    def drop_share(self) -> float:
        """Share of the recently received images that were dropped, 0 to 1."""
        return self.recent.dropped / max(self.recent.received, 1)


class Statistics:
    """Counts and times, written by the executor's thread and the worker's, read by the diagnostics' timer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = self._last_image = time.monotonic()
        self._counts = dict.fromkeys(Counts.__dataclass_fields__, 0)
        self._history: deque[tuple[float, Counts]] = deque([(self._started, Counts())])
        self._seconds: dict[str, deque[float]] = {}
        self._last_failure = ""
        self._last_result: tuple[Features, Tracks] | None = None

    def received(self) -> None:
        """Count an image that arrived."""
        with self._lock:
            self._counts["received"] += 1
            self._last_image = time.monotonic()

    def lost(self, count: int) -> None:
        """Count images that the middleware lost on their way to the node."""
        with self._lock:
            self._counts["lost"] += count

    def dropped(self) -> None:
        """Count an image that a newer one displaced."""
        with self._lock:
            self._counts["dropped"] += 1

    def failed(self, reason: str) -> None:
        """Count an image that could not be processed."""
        with self._lock:
            self._counts["failed"] += 1
            self._last_failure = reason

    def time_jumped(self) -> None:
        """Count a stamp that did not advance."""
        with self._lock:
            self._counts["time_jumps"] += 1

    def published(self, features: Features, tracks: Tracks, seconds: Mapping[str, float]) -> None:
        """Count an image that was processed and published, with the seconds each stage took."""
        with self._lock:
            self._counts["published"] += 1
            for stage, value in seconds.items():
                self._seconds.setdefault(stage, deque(maxlen=TIMED_IMAGES)).append(value)
            self._last_result = features, tracks

    def snapshot(self) -> Snapshot:
        """Sum up. Called about once a second; the recent counts reach back to one of these calls."""
        now = time.monotonic()
        with self._lock:
            counts = Counts(**self._counts)
            seconds = {stage: np.array(values) for stage, values in self._seconds.items()}
            last_failure, last_result, last_image = self._last_failure, self._last_result, self._last_image
        while len(self._history) > 1 and now - self._history[1][0] >= RATE_SECONDS:
            self._history.popleft()
        since, earlier = self._history[0]
        self._history.append((now, counts))
        recent = {name: getattr(counts, name) - getattr(earlier, name) for name in Counts.__dataclass_fields__}
        ages = last_result[1].age if last_result else np.zeros(0, np.uint32)
        return Snapshot(
            counts=counts,
            recent=Counts(**recent),
            recent_seconds=max(now - since, 1e-9),
            silent_seconds=now - last_image,
            milliseconds=_percentiles(seconds),
            last_failure=last_failure,
            keypoints=len(last_result[0]) if last_result else 0,
            tracks=len(ages),
            median_age=float(np.median(ages)) if len(ages) else 0.0,
        )


def _percentiles(seconds: Mapping[str, NDArray[np.float64]]) -> dict[str, tuple[float, float, float]]:
    """Stage -> percentiles in milliseconds, in the order in which the stages first appeared."""
    result = {}
    for stage, values in seconds.items():
        # What np.percentile gives, which takes ten times longer.
        places = np.array(PERCENTILES) / 100 * (len(values) - 1)
        p50, p95, p99 = np.interp(places, np.arange(len(values)), np.sort(values)) * 1e3
        result[stage] = (float(p50), float(p95), float(p99))
    return result
