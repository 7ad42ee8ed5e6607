"""One image message in, keypoints and tracks published: what happens to an image beside the executor."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.drawing import TrackTails, draw_tracks
from kp_ros.errors import UserError
from kp_ros.features import Features, Tracks
from kp_ros.frontend import DetectedFrame, FrameResult, Frontend
from kp_ros.point_cloud import pack_features, pack_keypoints, pack_tracks, without_descriptors
from kp_ros.ros.camera_watch import CameraWatch
from kp_ros.ros.messages import decode, stamp_of, to_image
from kp_ros.ros.publishers import Publishers, wanted
from kp_ros.ros.statistics import Statistics
from kp_ros.ros.worker import EveryItemWorker, NewestItemWorker

#: Seconds after the activation in which a missing CameraInfo is not yet worth a warning.
CAMERA_INFO_PATIENCE = 1.0
#: Seconds between two log lines of one kind.
LOG_PERIOD = 5.0
#: The executor rests so long after it has handed an image on, seconds.
YIELD = 2e-4
#: A stamp farther than this from now is of another clock, and its latency means nothing, seconds.
SAME_CLOCK = 60.0


@dataclass(frozen=True)
class Arrival:
    """An image message and when it came.

    :ivar clock_ns: by the node's clock, nanoseconds.
    :ivar time: by :func:`time.perf_counter`.
    :ivar companion: a message that belongs to it: the right image, or the depth image.
    """

    message: Any
    clock_ns: int
    time: float
    companion: Any = None


@dataclass(frozen=True)
class DecodedArrival:
    """An image that one thread detects in while the other follows the tracks into it.

    :ivar image: uint8 [H, W], grey.
    :ivar stamp_ns: of the image, nanoseconds.
    :ivar camera: of the image, where it is known.
    :ivar seconds: that it waited, and that its decoding took.
    :ivar detection: of the other thread, with the time of its end by :func:`time.perf_counter`.
    :ivar companion: a message that belongs to the image.
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    camera: Camera | None
    frame_id: str
    seconds: Mapping[str, float]
    detection: Future[tuple[DetectedFrame, float]]
    companion: Any = None


@dataclass(frozen=True)
class TrackedArrival:
    """An image whose tracks are published.

    :ivar seconds: of each stage so far.
    """

    arrival: DecodedArrival
    result: FrameResult
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Packed:
    """Messages for their publishers, and the seconds that it took to make them."""

    messages: list[tuple[Any, bytes]]
    seconds: float

    def joined(self, more: _Packed) -> _Packed:
        return _Packed(self.messages + more.messages, self.seconds + more.seconds)


#: What is done with an image when its tracks are published; seconds a stage.
Continuation = Callable[[DecodedArrival, FrameResult], Mapping[str, float]]


class Pipeline:
    """Decodes, runs the frontend, packs and publishes; counts and times; survives whatever an image holds.

    Two threads share the work: while one detects in an image, the other follows the tracks into it, joins both and
    publishes. Then the first is in the next image already, if one has come. An image that comes while it is busy waits;
    a newer one displaces it. Tracks that do not depend on an image's detections are made ready before these are done;
    all is published together. A third thread does what follows on the tracks, where anything does.

    :param now_ns: the node's clock, nanoseconds: the one that stamps are compared with.
    :param logger: of the node.
    :param continuation: what follows when an image's tracks are published, image by image; it may raise.
    :ivar tail_length: frames that tails reach back on ``~/debug_image``.
    """

    def __init__(
        self,
        frontend: Frontend,
        camera_watch: CameraWatch,
        publishers: Publishers,
        statistics: Statistics,
        now_ns: Callable[[], int],
        logger: Any,
        continuation: Continuation | None = None,
    ) -> None:
        self.camera_watch = camera_watch
        self._frontend = frontend
        self._publishers = publishers
        self._statistics = statistics
        self._now_ns = now_ns
        self._logger = logger
        self._continuation = continuation
        self._started = time.monotonic()
        self._last_stamp_ns: int | None = None
        self._camera_problem = ""
        self.tail_length = 15
        self._tails: TrackTails | None = None
        self._further: EveryItemWorker[TrackedArrival] | None = None
        if continuation is not None:
            self._further = EveryItemWorker(self._continue, "continuation")
        self._tracking = EveryItemWorker(self._track, "tracking")
        self._detection = NewestItemWorker(self._detect, "detection", statistics.dropped)

    def submit(self, message: Any, companion: Any = None) -> None:
        """Take in an image message, and one that belongs to it; returns at once."""
        self._statistics.received()
        self._detection.submit(Arrival(message, self._now_ns(), time.perf_counter(), companion))
        # The detection's thread needs the interpreter at once; here nothing is to do but to wait for the next message,
        # and the executor's preparations for that would hold the other thread up.
        time.sleep(YIELD)

    def stop(self) -> None:
        """Finish the images at hand, forget the one that waits, end the threads."""
        self._detection.stop()
        self._tracking.stop()
        if self._further is not None:
            self._further.stop()

    def _detect(self, arrival: Arrival) -> None:
        with self._surviving():
            begun = time.perf_counter()
            message = arrival.message
            image = decode(message)
            decoded = time.perf_counter()
            height, width = image.shape
            camera = self.camera_watch.camera_of_image(width, height)
            self._say_camera_problem()
            stamp_ns = stamp_of(message)
            self._watch_stamp(stamp_ns)
            seconds = {"wait": begun - arrival.time, "decode": decoded - begun}
            if abs(transport := (arrival.clock_ns - stamp_ns) * 1e-9) < SAME_CLOCK:
                seconds = {"stamp_to_arrival": transport, **seconds}
            detection: Future[tuple[DetectedFrame, float]] = Future()
            frame_id, companion = message.header.frame_id, arrival.companion
            self._tracking.hand_over(DecodedArrival(image, stamp_ns, camera, frame_id, seconds, detection, companion))
            try:
                frame = self._frontend.detect(image, stamp_ns, camera)
            except Exception as error:  # the other thread waits for it, and says what happened
                detection.set_exception(error)
            else:
                detection.set_result((frame, time.perf_counter()))

    def _track(self, arrival: DecodedArrival) -> None:
        with self._surviving():
            followed = self._frontend.follow(arrival.image, arrival.stamp_ns, arrival.camera)
            joined, packed = None, _Packed([], 0.0)
            if not followed.needs_detections:
                joined = self._frontend.join(followed, None)
                packed = self._pack_tracks(arrival, joined.tracks)
            detected, done = arrival.detection.result()
            waited = arrival.seconds["wait"] + time.perf_counter() - done
            if joined is None:
                joined = self._frontend.join(followed, detected)
                packed = self._pack_tracks(arrival, joined.tracks)
            packed = packed.joined(self._pack_keypoints(arrival, detected.features))
            seconds = {**arrival.seconds, "wait": waited, "detect": detected.seconds, **joined.seconds}
            result = FrameResult(arrival.stamp_ns, detected.features, joined.tracks, seconds)
            seconds = {**seconds, **self._publish(packed)}
            latency = (self._now_ns() - arrival.stamp_ns) * 1e-9
            if abs(latency) < SAME_CLOCK:
                seconds["stamp_to_publication"] = latency
            if self._further is not None:
                self._further.hand_over(TrackedArrival(arrival, result, seconds))
            else:
                self._statistics.published(result.features, result.tracks, seconds)
            self._show(arrival.image, result, arrival.frame_id)

    def _continue(self, tracked: TrackedArrival) -> None:
        assert self._continuation is not None
        with self._surviving():
            result = tracked.result
            seconds = self._continuation(tracked.arrival, result)
            self._statistics.published(result.features, result.tracks, {**tracked.seconds, **seconds})

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Count and log an image that cannot be processed."""
        try:
            yield
        except UserError as error:
            self._statistics.failed(str(error))
            self._logger.error(f"image left out: {error}", throttle_duration_sec=LOG_PERIOD)
        except Exception as error:  # whatever one image does, the next may be sound
            if not rclpy.ok():
                return  # Ctrl-C between two stages: there is nowhere left to publish
            self._statistics.failed(f"{type(error).__name__}: {error}")
            self._logger.error(f"image left out: {traceback.format_exc()}", throttle_duration_sec=LOG_PERIOD)

    def _pack_tracks(self, arrival: DecodedArrival, tracks: Tracks) -> _Packed:
        """Make the messages of the tracks that someone hears."""
        publishers, camera, stamp_ns, frame_id = self._publishers, arrival.camera, arrival.stamp_ns, arrival.frame_id
        begun = time.perf_counter()
        messages = []
        if wanted(publishers.features):
            features = pack_features(tracks, camera, stamp_ns, frame_id)
            messages.append((publishers.features, features.to_cdr()))
            if wanted(publishers.tracks):
                messages.append((publishers.tracks, without_descriptors(features).to_cdr()))
        elif wanted(publishers.tracks):
            messages.append((publishers.tracks, pack_tracks(tracks, camera, stamp_ns, frame_id).to_cdr()))
        return _Packed(messages, time.perf_counter() - begun)

    def _pack_keypoints(self, arrival: DecodedArrival, keypoints: Features) -> _Packed:
        """Make the message of the detections, if someone hears it."""
        begun = time.perf_counter()
        messages = []
        if wanted(self._publishers.keypoints):
            cloud = pack_keypoints(keypoints, arrival.camera, arrival.stamp_ns, arrival.frame_id)
            messages.append((self._publishers.keypoints, cloud.to_cdr()))
        return _Packed(messages, time.perf_counter() - begun)

    def _publish(self, packed: _Packed) -> dict[str, float]:
        """Publish an image's messages; seconds that packing them took and that this took."""
        begun = time.perf_counter()
        for publisher, message in packed.messages:
            publisher.publish(message)
        return {"pack": packed.seconds, "publish": time.perf_counter() - begun}

    def _show(self, image: NDArray[np.uint8], result: FrameResult, frame_id: str) -> None:
        """Draw and publish ``~/debug_image`` if anyone looks; tails begin when someone does."""
        if not wanted(self._publishers.debug_image):
            self._tails = None
            return
        if self._tails is None or self._tails.length != self.tail_length:
            self._tails = TrackTails(self.tail_length)
        self._tails.update(result.tracks)
        drawn = draw_tracks(image, result.tracks, self._tails)
        self._publishers.debug_image.publish(to_image(drawn, result.stamp_ns, frame_id))

    def _watch_stamp(self, stamp_ns: int) -> None:
        last, self._last_stamp_ns = self._last_stamp_ns, stamp_ns
        if last is None or stamp_ns > last:
            return
        self._statistics.time_jumped()
        self._logger.warning(
            f"the image's stamp went from {last * 1e-9:.6f} to {stamp_ns * 1e-9:.6f} s: the tracks begin anew. That is "
            "right where a bag loops or a simulation restarts; else let one camera alone publish, with its stamps",
            throttle_duration_sec=LOG_PERIOD,
        )

    def _say_camera_problem(self) -> None:
        problem = self.camera_watch.problem
        if problem == self._camera_problem:
            return
        if self.camera_watch.info is None and time.monotonic() - self._started < CAMERA_INFO_PATIENCE:
            return
        self._camera_problem = problem
        if problem:
            self._logger.warning(f"x y z of all points are NaN: {problem}")
        else:
            self._logger.info(f"calibration taken from {self.camera_watch.topic}")
