"""The odometry node's output topics, beside those of the keypoint node."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry, Path
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import PointCloud2

from kp_ros.ros.publishers import latched_qos, output_qos

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # it comes with a distribution's tf2, and is not on PyPI
    TFMessage = None

#: Whether transforms can be published.
HAS_TRANSFORMS = TFMessage is not None


@dataclass(frozen=True)
class OdometryPublishers:
    """``~/odometry``, ``~/path``, ``~/landmarks``, ``~/status``, and ``/tf`` where its message is installed."""

    odometry: Any
    path: Any
    landmarks: Any
    status: Any
    transforms: Any

    @classmethod
    def create(cls, node: LifecycleNode, with_transforms: bool) -> OdometryPublishers:
        """Create all of them on a node, or none where one fails: a QoS override that makes no sense.

        :param with_transforms: publish on ``/tf``, where tf2_msgs is installed.
        """
        with ExitStack() as undo:

            def publisher(kind: type, name: str, qos: QoSProfile) -> Any:
                options = QoSOverridingOptions.with_default_policies()
                created = node.create_lifecycle_publisher(kind, name, qos, qos_overriding_options=options)
                undo.callback(node.destroy_lifecycle_publisher, created)
                return created

            transforms = None
            if with_transforms and HAS_TRANSFORMS:
                # What tf2_ros.TransformBroadcaster does.
                qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)
                transforms = publisher(TFMessage, "/tf", qos)
            publishers = cls(
                odometry=publisher(Odometry, "~/odometry", output_qos()),
                path=publisher(Path, "~/path", latched_qos()),
                landmarks=publisher(PointCloud2, "~/landmarks", output_qos()),
                status=publisher(DiagnosticArray, "~/status", output_qos()),
                transforms=transforms,
            )
            undo.pop_all()
        return publishers

    def publish_transform(self, transform: TransformStamped) -> None:
        """Publish on ``/tf``, where there is a publisher for it."""
        if self.transforms is not None:
            self.transforms.publish(TFMessage(transforms=[transform]))

    def destroy(self, node: LifecycleNode) -> None:
        """Remove all of them from the node they were created on."""
        for publisher in (self.odometry, self.path, self.landmarks, self.status, self.transforms):
            if publisher is not None:
                node.destroy_lifecycle_publisher(publisher)
