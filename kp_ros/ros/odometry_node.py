"""The lifecycle node of visual odometry: all that the keypoint node does, and the robot's motion."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import Trigger

from kp_ros.odometry import Mode, Odometry, make_odometry
from kp_ros.ros.camera_mounting import CameraMounting, camera_mounting
from kp_ros.ros.camera_watch import CameraWatch
from kp_ros.ros.keypoint_node import KeypointNode, Subscriptions, run_node
from kp_ros.ros.odometry_inputs import PairSubscriptions, second_topics
from kp_ros.ros.odometry_messages import odometry_status
from kp_ros.ros.odometry_parameters import OdometrySettings
from kp_ros.ros.odometry_publishers import HAS_TRANSFORMS, OdometryPublishers
from kp_ros.ros.odometry_stage import OdometryStage
from kp_ros.ros.pipeline import LOG_PERIOD, Continuation, Pipeline
from kp_ros.ros.statistics import Statistics
from kp_ros.ros.topics import InputTopics


@dataclass(frozen=True)
class OdometryParts:
    """What the node owns for odometry while it is inactive or active."""

    odometry: Odometry
    publishers: OdometryPublishers
    mounting: CameraMounting
    reset: Any
    right_watch: CameraWatch | None


@dataclass(frozen=True)
class StereoSubscriptions:
    """Pairs of images, and the right camera's calibration."""

    node: OdometryNode
    pairs: PairSubscriptions
    camera_info: Any

    def adapt(self) -> None:
        """See :class:`kp_ros.ros.keypoint_node.Subscriptions`."""
        self.pairs.adapt()

    def destroy(self) -> None:
        """See :class:`kp_ros.ros.keypoint_node.Subscriptions`."""
        self.pairs.destroy()
        self.node.destroy_subscription(self.camera_info)


class OdometryNode(KeypointNode):
    """Publishes ``~/odometry``, ``~/path``, ``~/landmarks``, ``~/status`` and the transform from odom to base_link.

    Its lifecycle is the keypoint node's, and so are its other topics. Odometry begins anew with each activation.
    """

    NAME = "odometry_node"
    SETTINGS = OdometrySettings
    settings: OdometrySettings

    def __init__(self, **arguments: Any) -> None:
        self._parts: OdometryParts | None = None
        self._stage: OdometryStage | None = None
        self._pairs: PairSubscriptions | None = None
        super().__init__(**arguments)

    def _configure(self) -> None:
        super()._configure()
        settings = self.settings
        with ExitStack() as undo:
            odometry = make_odometry(Mode(settings.mode))
            undo.callback(odometry.close)
            mounting = camera_mounting(self, settings)
            undo.callback(mounting.close)
            publishers = OdometryPublishers.create(self, settings.publish_tf)
            undo.callback(publishers.destroy, self)
            second = second_topics(self, settings)
            right_watch = CameraWatch(second.camera_info, True) if second and second.camera_info else None
            reset = self.create_service(Trigger, "~/reset", self._on_reset)
            self._parts = OdometryParts(odometry, publishers, mounting, reset, right_watch)
            undo.pop_all()
        if settings.publish_tf and not HAS_TRANSFORMS:
            self.get_logger().warning(
                f"no transform from {settings.odom_frame} to {settings.base_frame}: tf2_msgs is not installed; source "
                "a distribution that has it, or set publish_tf to false"
            )

    def _is_rectified(self) -> bool:
        # Stereo is rectified by what calls itself stereo: a point's two places share their row.
        return self.settings.rectified or Mode(self.settings.mode) is Mode.STEREO

    def _continuation(self) -> Continuation | None:
        parts = self._parts
        assert parts is not None
        parts.odometry.reset()
        self._stage = OdometryStage(
            parts.odometry,
            parts.publishers,
            parts.mounting,
            parts.right_watch,
            lambda: self.settings,
            lambda: int(self.get_clock().now().nanoseconds),
            self.get_fully_qualified_name(),
            self.get_logger(),
        )
        return self._stage

    def _subscribe(self, topics: InputTopics, pipeline: Pipeline, statistics: Statistics) -> Subscriptions:
        second, parts = second_topics(self, self.settings), self._parts
        if second is None or parts is None:
            return super()._subscribe(topics, pipeline, statistics)
        pairs = PairSubscriptions(self, self.settings, topics.image, second.image, pipeline.submit, statistics.lost)
        self._pairs = pairs
        self.get_logger().info(f"{Mode(self.settings.mode).value}: with images from {second.image}")
        watch = parts.right_watch
        if watch is None:
            return pairs
        if not (self.settings.rectified or "rect" in topics.image):
            self.get_logger().warning(
                f"stereo takes its images for rectified, and {topics.image} does not say that they are: feed "
                "image_rect of image_proc, or set rectified to true if they are"
            )
        return StereoSubscriptions(self, pairs, self._subscribe_to_calibration(second.camera_info, watch))

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._stage is None:
            response.success, response.message = False, "the node is not active; activate it: odometry then begins anew"
        else:
            self._stage.reset()
            response.success, response.message = True, "odometry begins anew with the next image"
        return response

    def _stop(self) -> None:
        super()._stop()
        self._stage = self._pairs = None

    def _free(self) -> None:
        parts, self._parts = self._parts, None
        if parts is not None:
            self.destroy_service(parts.reset)
            parts.publishers.destroy(self)
            parts.mounting.close()
            parts.odometry.close()
        super()._free()

    def _input_problem(self) -> str:
        problem = "" if self._pairs is None else self._pairs.problem
        if problem:
            self.get_logger().warning(problem, throttle_duration_sec=LOG_PERIOD)
        return problem

    def _further_diagnostics(self) -> list[DiagnosticStatus]:
        stage = self._stage
        if stage is None:
            return []
        name = self.get_fully_qualified_name()
        if stage.problem or stage.estimate is None:
            message = stage.problem or "no image yet"
            return [
                DiagnosticStatus(level=DiagnosticStatus.WARN, name=f"{name.lstrip('/')}: odometry", message=message)
            ]
        return [odometry_status(stage.estimate, name, self.settings.base_frame)]


def main(arguments: list[str] | None = None) -> int:
    """Run the node until Ctrl-C. Exit status 1 when its parameters make no sense."""
    return run_node(OdometryNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
