"""The lifecycle node: images in; keypoints, tracks, features and diagnostics out."""

from __future__ import annotations

import ctypes
import gc
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from kp_ros.detectors import DetectorInfo, load_detector
from kp_ros.errors import UserError
from kp_ros.frontend import Frontend
from kp_ros.ros.camera_watch import CameraWatch
from kp_ros.ros.diagnostics import NodeState, diagnose
from kp_ros.ros.image_subscription import ImageSubscription
from kp_ros.ros.log_bridge import NodeLogHandler
from kp_ros.ros.parameters import Settings, declare, refusal
from kp_ros.ros.pipeline import Continuation, Pipeline
from kp_ros.ros.publishers import Publishers, model_message
from kp_ros.ros.statistics import Statistics
from kp_ros.ros.topics import InputTopics, input_topics
from kp_ros.tracking import HybridTracker, load_tracker

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE

#: Seconds between two looks at what the camera's publishers offer.
ADAPTATION_PERIOD = 0.5


@runtime_checkable
class ThresholdDetector(Protocol):
    """A detector whose score threshold may change between two images."""

    score_threshold: float


class Subscriptions(Protocol):
    """What brings images."""

    def adapt(self) -> None:
        """Look again at what the publishers offer."""
        ...

    def destroy(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True)
class Configured:
    """What the node owns while it is inactive or active."""

    frontend: Frontend
    publishers: Publishers
    topics: InputTopics


@dataclass(frozen=True)
class Active:
    """What the node owns while it is active."""

    statistics: Statistics
    pipeline: Pipeline
    camera_info: Any
    images: Subscriptions


class KeypointNode(LifecycleNode):  # type: ignore[misc]
    """Detects and follows keypoints in a camera's images.

    ``configure`` loads the model and creates the publishers, ``activate`` subscribes and publishes, ``deactivate``
    stops both, ``cleanup`` frees everything. A transition that fails leaves nothing behind and logs why.

    :param arguments: for the node, as in :class:`rclpy.node.Node`.
    """

    #: Its name where it is given none.
    NAME = "keypoint_node"
    #: Its parameters.
    SETTINGS: type[Settings] = Settings

    #: None where the node never came to be: parameters that make no sense end it before.
    _log_handler: NodeLogHandler | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(self.NAME, **arguments)
        self.settings = declare(self, self.SETTINGS)
        self._log_handler = NodeLogHandler(self.get_logger())
        self._configured: Configured | None = None
        self._active: Active | None = None
        self._announced: DetectorInfo | None = None
        self._lifecycle = "unconfigured"
        self._problem = ""
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = self.create_publisher(
            DiagnosticArray, "/diagnostics", 10, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )
        # A steady clock: a simulation that stands still must not silence the diagnostics.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.settings.diagnostics_period, self._publish_diagnostics, clock=steady)
        self.create_timer(ADAPTATION_PERIOD, self._adapt, clock=steady)

    def autostart(self) -> None:
        """Configure and activate, if the parameters say so."""
        if self.settings.autostart and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def close(self) -> None:
        """Stop and free everything, in whatever state the node is."""
        self._stop()
        self._free()

    def destroy_node(self) -> None:
        """Also stop listening to the package's log."""
        if self._log_handler is not None:
            self._log_handler.close()
        super().destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and create the publishers."""
        result = self._attempt("configure", self._configure, undo=self._free)
        return self._enter("inactive", super().on_configure(state) if result == SUCCESS else result)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and publish."""
        super().on_activate(state)
        result = self._attempt("activate", self._start, undo=self._stop)
        if result != SUCCESS:
            super().on_deactivate(state)
        return self._enter("active", result)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop subscribing and publishing; the model stays loaded, the tracks are forgotten."""
        self._stop()
        return self._enter("inactive", super().on_deactivate(state))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        self._free()
        return self._enter("unconfigured", super().on_cleanup(state))

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything, for good."""
        self.close()
        return self._enter("finalized", super().on_shutdown(state))

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        self.close()
        return self._enter("unconfigured", super().on_error(state))

    def _enter(self, lifecycle: str, result: TransitionCallbackReturn) -> TransitionCallbackReturn:
        if result == SUCCESS:
            self._lifecycle = lifecycle
        return result

    def _attempt(self, transition: str, step: Callable[[], None], undo: Callable[[], None]) -> TransitionCallbackReturn:
        """Run a step that may fail, and say why it did: rclpy itself would swallow the exception."""
        self._problem = ""
        try:
            step()
        except (UserError, ValueError) as error:
            self._problem = str(error)
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"
            self.get_logger().error(traceback.format_exc())
        if not self._problem:
            return SUCCESS
        undo()
        self.get_logger().error(f"cannot {transition}: {self._problem}")
        return FAILURE

    def _configure(self) -> None:
        settings = self.settings
        detector = load_detector(
            settings.model or None,
            backend=settings.backend,
            max_keypoints=settings.max_keypoints,
            score_threshold=settings.score_threshold,
            threads=settings.threads or None,
            precision=settings.precision,
            background=True,
        )
        with ExitStack() as undo:
            undo.callback(detector.close)
            frontend = Frontend(detector, load_tracker(max_tracks=settings.max_tracks))
            topics = input_topics(self, settings.image_transport)
            self._configured = Configured(frontend, Publishers.create(self), topics)
            undo.pop_all()
        info = detector.info
        self.get_logger().info(
            f"{info.name} ({info.backend}, {info.precision}) finds up to {info.max_keypoints} keypoints an image"
        )

    def _start(self) -> None:
        configured = self._configured
        assert configured is not None
        statistics = Statistics()
        pipeline = Pipeline(
            configured.frontend,
            CameraWatch(configured.topics.camera_info, self._is_rectified()),
            configured.publishers,
            statistics,
            lambda: int(self.get_clock().now().nanoseconds),
            self.get_logger(),
            self._continuation(),
        )
        pipeline.tail_length = self.settings.debug_tail

        topics = configured.topics
        with ExitStack() as undo:
            undo.callback(pipeline.stop)
            camera_info = self._subscribe_to_calibration(topics.camera_info, pipeline.camera_watch)
            undo.callback(self.destroy_subscription, camera_info)
            images = self._subscribe(topics, pipeline, statistics)
            undo.pop_all()
        self._active = Active(statistics, pipeline, camera_info, images)
        self._announce_model(configured)
        self.get_logger().info(f"images from {topics.image}, calibration from {topics.camera_info}")

    def _subscribe_to_calibration(self, topic: str, watch: CameraWatch) -> Subscription:
        """Keep a camera's newest CameraInfo."""

        def on_camera_info(message: CameraInfo) -> None:
            watch.info = message

        return self.create_subscription(
            CameraInfo,
            topic,
            on_camera_info,
            # A copy: QoS overrides are written into the profile.
            copy(qos_profile_sensor_data),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _is_rectified(self) -> bool:
        """Whether CameraInfo's P describes the images."""
        return self.settings.rectified

    def _continuation(self) -> Continuation | None:
        """What is done with the tracks of each image beside publishing them."""
        return None

    def _subscribe(self, topics: InputTopics, pipeline: Pipeline, statistics: Statistics) -> Subscriptions:
        """Subscribe to what the pipeline takes in."""
        kind = Image if self.settings.image_transport == "raw" else CompressedImage
        return ImageSubscription(self, kind, topics.image, pipeline.submit, statistics.lost)

    def _input_problem(self) -> str:
        """Why images that come cannot be used together; empty where they can."""
        return ""

    def _further_diagnostics(self) -> list[DiagnosticStatus]:
        """What a node that does more has to tell."""
        return []

    def _announce_model(self, configured: Configured) -> None:
        """Publish what runs the model; again when an engine that was built meanwhile has taken over."""
        info = configured.frontend.detector.info
        if info == self._announced:
            return
        if self._announced is not None:
            self.get_logger().info(f"{info.name} now runs on {info.backend} in {info.precision}")
        self._announced = info
        configured.publishers.model.publish(model_message(info))

    def _stop(self) -> None:
        active, self._active = self._active, None
        self._announced = None
        if active is None:
            return
        self.destroy_subscription(active.camera_info)
        active.images.destroy()
        active.pipeline.stop()
        if self._configured is not None:
            self._configured.frontend.reset()

    def _free(self) -> None:
        configured, self._configured = self._configured, None
        if configured is None:
            return
        configured.publishers.destroy(self)
        configured.frontend.detector.close()
        del configured
        _return_memory()

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {parameter.name: parameter.value for parameter in parameters}
        reason = refusal(changes, self.settings, self._configured is not None)
        if reason:
            return SetParametersResult(successful=False, reason=reason)
        known = {name: value for name, value in changes.items() if name in self.SETTINGS.__dataclass_fields__}
        self.settings = replace(self.settings, **known)
        self._apply_settings()
        return SetParametersResult(successful=True)

    def _apply_settings(self) -> None:
        """Hand on what may change at any time. Each is one assignment, so the worker sees the old or the new."""
        if self._configured is not None:
            detector, tracker = self._configured.frontend.detector, self._configured.frontend.tracker
            if isinstance(detector, ThresholdDetector):
                detector.score_threshold = self.settings.score_threshold
            if isinstance(tracker, HybridTracker):
                tracker.options = replace(tracker.options, max_tracks=self.settings.max_tracks)
        if self._active is not None:
            self._active.pipeline.tail_length = self.settings.debug_tail

    def _adapt(self) -> None:
        if self._active is not None:
            self._active.images.adapt()

    def _publish_diagnostics(self) -> None:
        configured, active = self._configured, self._active
        if configured is not None and active is not None:
            self._announce_model(configured)
        topics = configured.topics if configured else input_topics(self, self.settings.image_transport)
        state = NodeState(
            name=self.get_fully_qualified_name(),
            lifecycle=self._lifecycle,
            problem=self._problem,
            settings=self.settings,
            image_topic=topics.image,
            image_publishers=self.count_publishers(topics.image),
            camera_problem=active.pipeline.camera_watch.problem if active else "",
            model=configured.frontend.detector.info if configured else None,
            building=getattr(configured.frontend.detector, "building", "") if configured else "",
            statistics=active.statistics.snapshot() if active else None,
            input_problem=self._input_problem(),
        )
        message = DiagnosticArray(status=[*diagnose(state), *self._further_diagnostics()])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _return_memory() -> None:
    """Give back to the system what nobody uses any more, now rather than some time.

    Callbacks and subscriptions refer to one another, so the tracker waits for Python's collector; and glibc keeps what
    was freed between other blocks, 80 MB after some models.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def main(arguments: list[str] | None = None) -> int:
    """Run the node until Ctrl-C. Exit status 1 when its parameters make no sense."""
    return run_node(KeypointNode, arguments)


def run_node(kind: type[KeypointNode], arguments: list[str] | None) -> int:
    """Run a node of this kind until Ctrl-C. Exit status 1 when its parameters make no sense."""
    rclpy.init(args=arguments)
    try:
        node = kind()
    except (ValueError, ParameterException) as error:
        print(f"{kind.NAME}: {error}; correct it on the command line or in the parameter file", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.autostart()
        _spin(executor, node)
    finally:
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _spin(executor: SingleThreadedExecutor, node: KeypointNode) -> None:
    """Spin until Ctrl-C, whatever a callback raises: Jazzy's rclpy does so on a transition that is not allowed."""
    while rclpy.ok():
        try:
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            return
        except Exception:
            # A signal that comes between two steps of the executor makes it fail in ways of its own.
            if rclpy.ok():
                node.get_logger().error(traceback.format_exc())


if __name__ == "__main__":
    sys.exit(main())
