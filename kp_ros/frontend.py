"""The one way from an image to tracks: the node, the offline tools and the benchmarks all call this."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.detectors.base import Detector
from kp_ros.features import Features, Tracks
from kp_ros.tracking.base import Tracker


@dataclass(frozen=True)
class DetectedFrame:
    """An image half way: its points are detected, its tracks are not yet known.

    :ivar image: uint8 [H, W], grey.
    :ivar stamp_ns: when it was taken, nanoseconds.
    :ivar camera: of this image, where it is known.
    :ivar features: the detector's points.
    :ivar seconds: wall time of the detection.
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    camera: Camera | None
    features: Features
    seconds: float


@dataclass(frozen=True)
class FollowedFrame:
    """An image half way in the other half: its tracks are followed as far as that goes without its points.

    :ivar followed: the tracker's own.
    :ivar needs_detections: the tracks of this image depend on its detections; where not, they may be joined without.
    :ivar seconds: processor time of the following; its wall time depends on what runs beside it.
    """

    followed: Any
    needs_detections: bool
    seconds: float


@dataclass(frozen=True)
class JoinedFrame:
    """The tracks of an image.

    :ivar seconds: wall time of ``join``, the part of the tracking that comes after the following; of ``track``, all the
        tracking, processor time, for the rest of it may run beside the detection.
    """

    tracks: Tracks
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class FrameResult:
    """What the frontend knows of one image.

    :ivar stamp_ns: the image's own stamp, nanoseconds.
    :ivar features: the detector's points.
    :ivar tracks: the tracker's points.
    :ivar seconds: wall time of ``detect``, and those of :class:`JoinedFrame`.
    """

    stamp_ns: int
    features: Features
    tracks: Tracks
    seconds: Mapping[str, float]


class Frontend:
    """Chains a detector and a tracker.

    A stamp that does not advance (a bag that loops, a simulation that restarts) resets the tracker: its points would
    otherwise be carried over a cut. The same happens when the image changes its size.
    """

    def __init__(self, detector: Detector, tracker: Tracker) -> None:
        self.detector = detector
        self.tracker = tracker
        self._last: tuple[int, tuple[int, ...]] | None = None

    def reset(self) -> None:
        """Forget all tracks; ids go on counting."""
        self.tracker.reset()
        self._last = None

    def process(self, image: NDArray[np.uint8], stamp_ns: int, camera: Camera | None = None) -> FrameResult:
        """Detect in one image and carry the tracks on to it.

        :param image: uint8 [H, W], grey.
        :param stamp_ns: when it was taken, nanoseconds.
        :param camera: of this image, where it is known: the tracker's epipolar check then works on rays.
        """
        detected, followed = self.detect(image, stamp_ns, camera), self.follow(image, stamp_ns, camera)
        joined = self.join(followed, detected)
        return FrameResult(stamp_ns, detected.features, joined.tracks, {"detect": detected.seconds, **joined.seconds})

    def detect(self, image: NDArray[np.uint8], stamp_ns: int, camera: Camera | None = None) -> DetectedFrame:
        """Do the detector's part of :meth:`process`; it may run in another thread than the rest, one image ahead."""
        started = time.perf_counter()
        features = self.detector(image)
        return DetectedFrame(image, stamp_ns, camera, features, time.perf_counter() - started)

    def follow(self, image: NDArray[np.uint8], stamp_ns: int, camera: Camera | None = None) -> FollowedFrame:
        """Do what needs no detections of the tracker's part: it may run while :meth:`detect` does.

        Images come in their order, each after the :meth:`join` of the one before. Where an image is never joined, it
        is for the tracks as if it had not been.
        """
        if self._last is not None and (stamp_ns <= self._last[0] or image.shape != self._last[1]):
            self.tracker.reset()
        self._last = (stamp_ns, image.shape)
        started = time.thread_time()
        followed = self.tracker.follow(image, stamp_ns, camera)
        needs_detections = self.tracker.needs_detections(followed)
        return FollowedFrame(followed, needs_detections, time.thread_time() - started)

    def join(self, followed: FollowedFrame, detected: DetectedFrame | None) -> JoinedFrame:
        """Bring the two parts together; without detections where none are needed."""
        started, worked = time.perf_counter(), time.thread_time()
        tracks = self.tracker.join(followed.followed, None if detected is None else detected.features)
        joined, worked = time.perf_counter() - started, time.thread_time() - worked
        return JoinedFrame(tracks, {"track": followed.seconds + worked, "join": joined})
