"""The node's output topics."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String

from kp_ros.detectors.base import DetectorInfo
from kp_ros.model_description import describe_model


def output_qos() -> QoSProfile:
    """Reliable; a subscriber that hangs costs at most five clouds of memory. New each time: overrides change it."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE)


def latched_qos() -> QoSProfile:
    """Who subscribes later still gets the last message."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


@dataclass(frozen=True)
class Publishers:
    """The lifecycle publishers of ``~/keypoints``, ``~/tracks``, ``~/features``, ``~/debug_image`` and ``~/model``."""

    keypoints: Any
    tracks: Any
    features: Any
    debug_image: Any
    model: Any

    @classmethod
    def create(cls, node: LifecycleNode) -> Publishers:
        """Create all of them on a node, or none where one fails: a QoS override that makes no sense."""
        with ExitStack() as undo:

            def publisher(kind: type, name: str, qos: QoSProfile) -> Any:
                options = QoSOverridingOptions.with_default_policies()
                created = node.create_lifecycle_publisher(kind, f"~/{name}", qos, qos_overriding_options=options)
                undo.callback(node.destroy_lifecycle_publisher, created)
                return created

            publishers = cls(
                keypoints=publisher(PointCloud2, "keypoints", output_qos()),
                tracks=publisher(PointCloud2, "tracks", output_qos()),
                features=publisher(PointCloud2, "features", output_qos()),
                debug_image=publisher(Image, "debug_image", output_qos()),
                model=publisher(String, "model", latched_qos()),
            )
            undo.pop_all()
        return publishers

    def destroy(self, node: LifecycleNode) -> None:
        """Remove all of them from the node they were created on."""
        for publisher in (self.keypoints, self.tracks, self.features, self.debug_image, self.model):
            node.destroy_lifecycle_publisher(publisher)


def wanted(publisher: Any) -> bool:
    """Tell whether anyone subscribes, so that what nobody hears is never made."""
    return bool(publisher.get_subscription_count() > 0)


def model_message(info: DetectorInfo) -> String:
    """Describe the model for ``~/model``."""
    return String(data=describe_model(info))
