"""Images of two topics that belong together, as they come over DDS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from kp_ros.odometry.base import Mode
from kp_ros.ros.image_subscription import ImageSubscription
from kp_ros.ros.messages import stamp_of
from kp_ros.ros.odometry_parameters import OdometrySettings
from kp_ros.synchronisation import Synchroniser

#: What the second image of a mode is called, and the relative topic that it comes from.
SECOND = {Mode.STEREO: ("right image", "right_image"), Mode.RGBD: ("depth image", "depth")}


@dataclass(frozen=True)
class SecondTopics:
    """Fully qualified names, remapping applied.

    :ivar image: of the right or depth images.
    :ivar camera_info: of the right camera; empty where none is needed.
    """

    image: str
    camera_info: str = ""


def second_topics(node: Node, settings: OdometrySettings) -> SecondTopics | None:
    """Resolve the topics of the second image as image_transport does; None with one camera alone."""
    mode = Mode(settings.mode)
    if mode is Mode.MONO:
        return None
    name = node.resolve_topic_name(SECOND[mode][1])
    transport = settings.depth_transport if mode is Mode.RGBD else settings.image_transport
    image = name if transport == "raw" else f"{name}/{transport}"
    if mode is Mode.RGBD:
        return SecondTopics(image)
    camera_info = node.resolve_topic_name("right_camera_info")
    is_remapped = camera_info != node.resolve_topic_name("right_camera_info", only_expand=True)
    if not is_remapped and name != node.resolve_topic_name(SECOND[mode][1], only_expand=True):
        camera_info = f"{name.rpartition('/')[0]}/camera_info"
    return SecondTopics(image, camera_info)


class PairSubscriptions:
    """Subscribes to images and to those that belong to them, and hands on pairs.

    :param first: topic of the images.
    :param second: topic of the right or depth images.
    :param paired: called with the two messages of each pair.
    :param lost: called with the number of messages that the middleware knows it lost.
    """

    def __init__(
        self,
        node: Node,
        settings: OdometrySettings,
        first: str,
        second: str,
        paired: Callable[[Any, Any], None],
        lost: Callable[[int], None],
    ) -> None:
        self._node = node
        self._mode = Mode(settings.mode)
        self._topics = (first, second)
        self._patience = settings.image_timeout
        self._synchroniser: Synchroniser[Any, Any] = Synchroniser(
            round(settings.sync_tolerance * 1e9), settings.sync_queue
        )
        self._paired = paired
        self._last: list[float | None] = [None, None]
        self._last_pair = time.monotonic()
        self._stamps: list[int | None] = [None, None]
        raw = settings.image_transport == "raw"
        raw_second = settings.depth_transport == "raw" if self._mode is Mode.RGBD else raw
        self._first = ImageSubscription(node, Image if raw else CompressedImage, first, self._on_first, lost)
        try:
            kind = Image if raw_second else CompressedImage
            self._second = ImageSubscription(node, kind, second, self._on_second, lost)
        except BaseException:
            self._first.destroy()
            raise

    def _on_first(self, message: Any) -> None:
        self._note(0, message)
        self._hand_on(self._synchroniser.add_first(stamp_of(message), message))

    def _on_second(self, message: Any) -> None:
        self._note(1, message)
        self._hand_on(self._synchroniser.add_second(stamp_of(message), message))

    def _note(self, index: int, message: Any) -> None:
        self._last[index] = time.monotonic()
        self._stamps[index] = stamp_of(message)

    def _hand_on(self, pair: Any) -> None:
        if pair is not None:
            self._last_pair = time.monotonic()
            self._paired(pair.first, pair.second)

    @property
    def unpaired(self) -> int:
        """Images that were left out because nothing belonged to them."""
        return self._synchroniser.unpaired_first

    @property
    def problem(self) -> str:
        """Why images that come are not used; empty where they are, or where none come."""
        now = time.monotonic()
        if now - self._last_pair < self._patience:
            return ""
        alive = [last is not None and now - last < self._patience for last in self._last]
        if alive == [True, True]:
            away = abs((self._stamps[0] or 0) - (self._stamps[1] or 0)) * 1e-9
            return (
                f"images on {self._topics[0]} and {self._topics[1]} do not belong together: their stamps, {away:.3f} s "
                f"apart at last, differ by more than sync_tolerance ({self._synchroniser.tolerance_ns * 1e-9:g} s); "
                "synchronise the cameras, or raise it"
            )
        if alive == [False, False]:
            return ""
        what, name = SECOND[self._mode]
        missing = alive.index(False)
        called = "image" if missing == 0 else what
        topic = self._topics[missing]
        publishers = self._node.count_publishers(topic)
        fix = (
            "its publisher is silent: check the camera"
            if publishers
            else f"nobody publishes there: start it, or remap {'image' if missing == 0 else name}"
        )
        return (
            f"no {called} on {topic} for {self._patience:g} s, while others come on {self._topics[1 - missing]}; {fix}"
        )

    def adapt(self) -> None:
        """Subscribe anew where the publishers offer another reliability than before."""
        self._first.adapt()
        self._second.adapt()

    def destroy(self) -> None:
        """End the subscriptions."""
        self._first.destroy()
        self._second.destroy()
