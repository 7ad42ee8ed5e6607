"""A recording as live topics, with the timing it was recorded with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from kp_ros.image_decoding import ImageError
from kp_ros.interruption import Interruption
from kp_ros.recordings import messages
from kp_ros.recordings.decoding import decode
from kp_ros.recordings.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from kp_ros.recordings.recording import Frame, Recording, RecordingError, camera_info_topic

MESSAGE_CLASSES = {IMAGE: Image, COMPRESSED_IMAGE: CompressedImage, CAMERA_INFO: CameraInfo}
#: A wait for the next frame looks for Ctrl-C this often, seconds.
PATIENCE = 0.05
#: The first CameraInfo comes this much ahead of the first image: two topics have no common order. Seconds.
HEAD_START = 0.2
#: A subscriber to the CameraInfo has so long to confirm it: then it knows us as we know it. Seconds.
ACQUAINTANCE = 5.0
#: Publishing begins when this long no subscriber has come. DDS tells us of a subscriber before it tells that one of us,
#: and what is published in between never arrives. Seconds.
SETTLING = 0.5
#: At the end, subscribers have so long to confirm that they have everything. What got lost on the way is asked for
#: again at Fast DDS's next heartbeat, which comes every 3 seconds: some of them must fit. Seconds.
DELIVERY = 10.0
#: Publishing begins at last so long after the first subscriber, however many still come and go. Seconds.
MOST_SETTLING = 5.0


class Stamps(Enum):
    """What the headers of replayed messages say."""

    #: As recorded; with a loop, time jumps back.
    RECORDED = "recorded"
    #: As recorded in the first round; later rounds go on where the one before ended.
    CONTINUOUS = "continuous"
    #: The time of publishing.
    NOW = "now"


@dataclass(frozen=True)
class ReplayOptions:
    """How to replay.

    :ivar rate: times as fast as recorded.
    :ivar loop: from the start again, until Ctrl-C.
    :ivar raw: decode compressed images and publish them as mono8.
    :ivar stamps: of the headers.
    :ivar image_topic: where images go; None keeps the recording's topic.
    :ivar wait: seconds to wait at most for a first subscriber to the images: where DDS lost its first announcements,
        the next come after 3 s. Where one comes, publishing begins when no other has come for :data:`SETTLING`
        seconds: those that were started together all hear the first image.
    """

    rate: float = 1.0
    loop: bool = False
    raw: bool = False
    stamps: Stamps = Stamps.RECORDED
    image_topic: str | None = None
    wait: float = 10.0


@dataclass(frozen=True)
class ReplaySummary:
    """What was published.

    :ivar frames: images.
    :ivar rounds: rounds begun.
    :ivar seconds: wall time from the first image on.
    :ivar late_seconds: how far behind its time the latest frame was.
    :ivar interrupted: Ctrl-C ended it.
    :ivar skipped: frames that could not be decoded, for a replay of raw images.
    :ivar heard: someone had subscribed to the images when publishing began.
    :ivar delivered: every reliable subscriber has confirmed that it has the last messages.
    """

    frames: int
    rounds: int
    seconds: float
    late_seconds: float
    interrupted: bool
    skipped: int
    heard: bool
    delivered: bool


def topics_of(recording: Recording, options: ReplayOptions) -> tuple[str, str]:
    """Where a replay publishes images and their CameraInfo."""
    image = options.image_topic or recording.topic
    info = camera_info_topic(image) if options.image_topic else recording.camera_info_topic
    return (image.removesuffix("/compressed") if options.raw else image), info


def replay(
    recording: Recording, options: ReplayOptions, published: Callable[[int, int], None] = lambda rounds, frames: None
) -> ReplaySummary:
    """Publish a recording until its end, or until Ctrl-C.

    :param published: called after each image with the number of the round, from 1, and of its frames so far.
    :raises RecordingError: it has no frame that can be published.
    """
    context = Context()
    # Ctrl-C is ours: a frame is published whole, and the summary is told.
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("kp_ros_replay", context=context)
        try:
            with Interruption() as interruption:
                return _Replay(node, recording, options, interruption).run(published)
        finally:
            node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


class _Replay:
    def __init__(self, node: Node, recording: Recording, options: ReplayOptions, interruption: Interruption) -> None:
        self._node = node
        self._recording = recording
        self._options = options
        self._interruption = interruption
        self._image_topic, self._info_topic = topics_of(recording, options)
        self._publishers: dict[str, Publisher] = {}
        self._skipped = 0
        self._late = 0.0
        self._heard = False

    def run(self, published: Callable[[int, int], None]) -> ReplaySummary:
        total = rounds = 0
        offset_ns, began = 0, time.monotonic()
        while not self._interruption.requested and (rounds == 0 or self._options.loop):
            rounds += 1
            frames, first, last, interval = 0, 0, 0, 0
            for frame in self._frames():
                if frames == 0:
                    first = last = frame.recorded_ns
                    if rounds == 1:
                        self._greet(frame)
                        began = time.monotonic()
                    begin_round = time.monotonic()
                elapsed_ns = frame.recorded_ns - first
                if not self._sleep_until(begin_round + elapsed_ns / 1e9 / self._options.rate):
                    break
                self._publish(frame, offset_ns)
                frames, interval, last = frames + 1, max(frame.recorded_ns - last, 0) or interval, frame.recorded_ns
                published(rounds, frames)
            total += frames
            if not total and not self._interruption.requested:
                raise RecordingError(f"no frame of {self._recording.path} can be published")
            # The next round's first image keeps its distance from this round's last one.
            pause_ns = interval or round(1e9 / 30)
            if self._options.loop:
                self._sleep_until(time.monotonic() + pause_ns / 1e9 / self._options.rate)
            if self._options.stamps is Stamps.CONTINUOUS:
                offset_ns += last - first + pause_ns
        seconds = time.monotonic() - began
        interrupted, delivered = self._interruption.requested, self._deliver()
        return ReplaySummary(total, rounds, seconds, self._late, interrupted, self._skipped, self._heard, delivered)

    def _deliver(self) -> bool:
        """Wait for the subscribers: what they do not have yet leaves with the node."""
        deadline = time.monotonic() + DELIVERY
        return all(
            publisher.wait_for_all_acked(Duration(seconds=max(deadline - time.monotonic(), 0.0)))
            for publisher in self._publishers.values()
        )

    def _frames(self) -> Iterator[Frame]:
        for frame in self._recording.frames():
            if not self._options.raw or frame.message.__msgtype__ == IMAGE:
                yield frame
                continue
            try:
                grey = decode(frame.message)
            except ImageError:
                self._skipped += 1
                continue
            header = frame.message.header
            yield replace(
                frame, message=messages.image(grey, "mono8", messages.stamp_of(frame.message), header.frame_id)
            )

    def _greet(self, frame: Frame) -> None:
        """Wait for subscribers, and tell them the calibration before the first image."""
        publisher = self._publisher(self._image_topic, frame.message.__msgtype__)
        for topic, message in frame.companions:
            self._publisher(topic, message.__msgtype__)
        if frame.camera_info is not None:
            self._publisher(self._info_topic, CAMERA_INFO)
        deadline = time.monotonic() + self._options.wait
        while publisher.get_subscription_count() == 0:
            if time.monotonic() >= deadline or not self._sleep_until(min(time.monotonic() + PATIENCE, deadline)):
                return
        self._heard = True
        self._settle()
        if frame.camera_info is not None:
            self._send(self._info_topic, frame.camera_info, 0)
            self._publishers[self._info_topic].wait_for_all_acked(Duration(seconds=ACQUAINTANCE))
            self._sleep_until(time.monotonic() + HEAD_START)

    def _settle(self) -> None:
        """Wait until no more subscribers come."""
        began = since = time.monotonic()
        known = -1
        while time.monotonic() < min(since + SETTLING, began + MOST_SETTLING):
            count = sum(publisher.get_subscription_count() for publisher in self._publishers.values())
            if count != known:
                known, since = count, time.monotonic()
            if not self._sleep_until(time.monotonic() + PATIENCE):
                return

    def _sleep_until(self, due: float) -> bool:
        """Wait for a moment of the monotonic clock; False when Ctrl-C came first."""
        while not self._interruption.requested:
            left = due - time.monotonic()
            if left <= 0:
                self._late = max(self._late, -left)
                return True
            time.sleep(min(left, PATIENCE))
        return False

    def _publish(self, frame: Frame, offset_ns: int) -> None:
        now_ns = time.time_ns() if self._options.stamps is Stamps.NOW else None
        if frame.camera_info is not None:
            self._send(self._info_topic, frame.camera_info, offset_ns, now_ns)
        for topic, message in frame.companions:
            self._send(topic, message, offset_ns, now_ns)
        self._send(self._image_topic, frame.message, offset_ns, now_ns)

    def _send(self, topic: str, message: Any, offset_ns: int, now_ns: int | None = None) -> None:
        stamp_ns = messages.stamp_of(message) + offset_ns if now_ns is None else now_ns
        stamped = replace(message, header=messages.header(stamp_ns, message.header.frame_id))
        kind = message.__msgtype__
        # Serialised already: what rclpy would do field by field takes ten times longer for images.
        self._publisher(topic, kind).publish(bytes(messages.typestore().serialize_cdr(stamped, kind)))

    def _publisher(self, topic: str, kind: str) -> Publisher:
        if topic not in self._publishers:
            # Reliable serves subscribers of both sorts.
            qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
            self._publishers[topic] = self._node.create_publisher(MESSAGE_CLASSES[kind], topic, qos)
        return self._publishers[topic]
