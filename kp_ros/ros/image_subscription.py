"""The subscription to the camera, as reliable as the camera is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import ParameterAlreadyDeclaredException
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

RELIABILITIES = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}
#: Reliable if all publishers are, else best effort: what hears all of them.
BEST_AVAILABLE = "best_available"


class ImageSubscription:
    """Subscribes to images, and again when publishers come or go that offer another reliability.

    Best effort, as is the custom for sensor data, loses nearly every colour image of 640 x 480 on Fast DDS: they do not
    fit into its shared memory at once, and best effort does not ask again for what is missing. Reliable, on the other
    hand, hears nothing of a camera that is best effort. So the default is ``best_available``, which ROS 2 knows since
    Iron, but not for publishers that come later. The QoS override ``qos_overrides.TOPIC.subscription.reliability``
    takes ``reliable``, ``best_effort`` or ``best_available``.

    :param kind: sensor_msgs/Image or CompressedImage.
    :param topic: fully qualified.
    :param received: called with each message.
    :param lost: called with the number of messages that the middleware knows it lost.
    :raises ValueError: the QoS override is none of the three.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        received: Callable[[Any], None],
        lost: Callable[[int], None],
    ) -> None:
        self._node = node
        self._kind = kind
        self._topic = topic
        self._received = received
        self._lost = lost
        self._asked = self._declare_reliability()
        self._reliability = self._choose()
        self._subscription = self._subscribe()

    def adapt(self) -> None:
        """Subscribe anew if the publishers offer another reliability than when it was last done."""
        reliability = self._choose()
        if reliability != self._reliability:
            self._reliability = reliability
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def destroy(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _declare_reliability(self) -> str:
        name = f"qos_overrides.{self._topic}.subscription.reliability"
        choices = (*RELIABILITIES, BEST_AVAILABLE)
        descriptor = ParameterDescriptor(
            description="Reliability of the subscription to images. best_available: reliable if all publishers are.",
            additional_constraints=f"One of: {', '.join(choices)}.",
            read_only=True,
        )
        try:
            value = self._node.declare_parameter(name, BEST_AVAILABLE, descriptor).value
        except ParameterAlreadyDeclaredException:
            value = self._node.get_parameter(name).value
        if value not in choices:
            raise ValueError(f"{name} is '{value}'; choose one of: {', '.join(choices)}")
        return str(value)

    def _choose(self) -> ReliabilityPolicy:
        if self._asked in RELIABILITIES:
            return RELIABILITIES[self._asked]
        offered = [info.qos_profile.reliability for info in self._node.get_publishers_info_by_topic(self._topic)]
        reliable = offered and all(one == ReliabilityPolicy.RELIABLE for one in offered)
        return ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT

    def _subscribe(self) -> Any:
        qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=self._reliability)
        options = QoSOverridingOptions([QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH])
        events = SubscriptionEventCallbacks(message_lost=lambda event: self._lost(event.total_count_change))
        arguments = (self._kind, self._topic, self._received, qos)
        try:
            return self._node.create_subscription(*arguments, qos_overriding_options=options, event_callbacks=events)
        except UnsupportedEventTypeError:  # the middleware does not count what it loses
            return self._node.create_subscription(*arguments, qos_overriding_options=options)
