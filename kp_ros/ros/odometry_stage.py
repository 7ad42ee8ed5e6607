"""What the odometry node does with an image when its tracks are published."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CompressedImage

from kp_ros.depth_decoding import decode_compressed_depth, decode_depth
from kp_ros.errors import UserError
from kp_ros.features import Float32
from kp_ros.frontend import FrameResult
from kp_ros.image_decoding import Grey
from kp_ros.mounting import BaseMotion, Float64, base_motion
from kp_ros.odometry import Estimate, Odometry, OdometryFrame, State
from kp_ros.ros.camera_mounting import CameraMounting
from kp_ros.ros.camera_watch import CameraWatch
from kp_ros.ros.messages import decode
from kp_ros.ros.odometry_messages import (
    odometry_message,
    odometry_status,
    pack_landmarks,
    path_message,
    stamped_pose,
    status_message,
    transform_message,
)
from kp_ros.ros.odometry_parameters import OdometrySettings
from kp_ros.ros.odometry_publishers import OdometryPublishers
from kp_ros.ros.pipeline import LOG_PERIOD, SAME_CLOCK, DecodedArrival
from kp_ros.ros.publishers import wanted

#: ``~/path`` is published at most so often: it holds all its poses each time. Nanoseconds of the images' time.
PATH_PERIOD_NS = 500_000_000
#: States that have a pose.
POSED = (State.GOOD, State.WEAK)


class OdometryStage:
    """Carries odometry on to each image and publishes it, in the pipeline's thread.

    Poses are continuous: when tracking starts again after it was lost, the new segment begins where the last one
    ended, and ``~/status`` says so. A stamp that does not advance, or a call of :meth:`reset`, begins anew at the
    identity.

    :param right_watch: of stereo: the right camera's calibration.
    :param settings: gives the parameters as they are now.
    :param now_ns: the node's clock, nanoseconds.
    :param name: of the node, for the status.
    :param logger: of the node.
    """

    def __init__(
        self,
        odometry: Odometry,
        publishers: OdometryPublishers,
        mounting: CameraMounting,
        right_watch: CameraWatch | None,
        settings: Callable[[], OdometrySettings],
        now_ns: Callable[[], int],
        name: str,
        logger: Any,
    ) -> None:
        self._odometry = odometry
        self._publishers = publishers
        self._mounting = mounting
        self._right_watch = right_watch
        self._settings = settings
        self._now_ns = now_ns
        self._name = name
        self._logger = logger
        self._lock = threading.Lock()
        self._reset_asked = False
        self._last_stamp_ns: int | None = None
        self._last_state = State.INITIALISING
        self._segment = 0
        self._path: deque[PoseStamped] = deque()
        self._path_end: Float64 | None = None
        self._path_stamp_ns: int | None = None
        self.estimate: Estimate | None = None
        self.problem = ""

    def reset(self) -> None:
        """Begin anew with the next image. May be called from any thread."""
        with self._lock:
            self._reset_asked = True

    def __call__(self, arrival: DecodedArrival, result: FrameResult) -> Mapping[str, float]:
        """Process one image.

        :returns: seconds a stage, and from the image's stamp to the publication of its pose.
        :raises UserError: its companion cannot be used.
        """
        begun = time.perf_counter()
        if self._begins_anew(arrival.stamp_ns):
            self._forget()
        self._last_stamp_ns = arrival.stamp_ns
        base_from_camera = self._mounting.base_from_camera(arrival.frame_id)
        if arrival.camera is None or base_from_camera is None:
            self._complain(self._mounting.problem or "no pose without a calibration of the camera")
            return {}
        right, baseline, depth = self._companion(arrival.companion)
        decoded = time.perf_counter()
        estimate = self._odometry.process(
            OdometryFrame(
                stamp_ns=arrival.stamp_ns,
                image=arrival.image,
                camera=arrival.camera,
                tracks=result.tracks,
                right=right,
                baseline=baseline,
                depth=depth,
            )
        )
        estimated = time.perf_counter()
        self.problem = ""
        self.estimate = estimate
        self._tell_changes(estimate)
        self._publish(estimate, base_motion(estimate, base_from_camera), base_from_camera, arrival.frame_id)
        seconds = {
            "decode_companion": decoded - begun,
            "odometry": estimated - decoded,
            "publish_pose": time.perf_counter() - estimated,
        }
        latency = (self._now_ns() - arrival.stamp_ns) * 1e-9
        return seconds | ({"stamp_to_pose": latency} if abs(latency) < SAME_CLOCK else {})

    def _begins_anew(self, stamp_ns: int) -> bool:
        with self._lock:
            asked, self._reset_asked = self._reset_asked, False
        return asked or (self._last_stamp_ns is not None and stamp_ns <= self._last_stamp_ns)

    def _forget(self) -> None:
        self._odometry.reset()
        self._path.clear()
        self._path_end = self._path_stamp_ns = None
        self._last_state, self._segment = State.INITIALISING, 0
        self._logger.info("odometry begins anew: odom is now where the robot is")

    def _complain(self, problem: str) -> None:
        self.problem = problem
        self._logger.warning(f"no pose: {problem}", throttle_duration_sec=LOG_PERIOD)

    def _companion(self, message: Any) -> tuple[Grey | None, float | None, Float32 | None]:
        """The right image and its baseline, or the depth image, of what came with the image."""
        if message is None:
            return None, None, None
        if self._right_watch is not None:
            image = decode(message)
            return image, self._baseline(self._right_watch), None
        if isinstance(message, CompressedImage):
            return None, None, decode_compressed_depth(message.format, message.data)
        big = bool(message.is_bigendian)
        return (
            None,
            None,
            decode_depth(message.encoding, message.height, message.width, message.step, big, message.data),
        )

    def _baseline(self, watch: CameraWatch) -> float:
        given = self._settings().baseline
        if given > 0:
            return given
        if watch.info is None:
            raise UserError(
                f"the baseline is not known: {watch.problem}, or set the parameter baseline to the metres between the "
                "two cameras"
            )
        p = watch.info.p
        if p[0] == 0 or p[3] >= 0:
            raise UserError(
                f"the CameraInfo on {watch.topic} has no baseline (P[3] is {p[3]:g}); calibrate the pair with "
                "camera_calibration, exchange the two cameras if they are swapped, or set the parameter baseline"
            )
        return float(-p[3] / p[0])

    def _tell_changes(self, estimate: Estimate) -> None:
        state, segment = estimate.state, estimate.segment
        reason = f" ({estimate.health.reason})" if estimate.health.reason else ""
        if state is not self._last_state:
            if state is State.LOST:
                self._logger.error(f"lost{reason}: the last pose is repeated", throttle_duration_sec=LOG_PERIOD)
            elif segment != self._segment:
                self._logger.warning(
                    f"tracking again, in segment {segment}: it begins at the last pose; what the robot moved in "
                    "between is not known",
                    throttle_duration_sec=LOG_PERIOD,
                )
            else:
                self._logger.info(f"odometry is {state.value}{reason}", throttle_duration_sec=LOG_PERIOD)
        self._last_state, self._segment = state, segment

    def _publish(self, estimate: Estimate, motion: BaseMotion, base_from_camera: Float64, camera_frame: str) -> None:
        settings, publishers, stamp_ns = self._settings(), self._publishers, estimate.stamp_ns
        odom, base = settings.odom_frame, settings.base_frame
        publishers.publish_transform(transform_message(motion.pose, stamp_ns, odom, base))
        if wanted(publishers.odometry):
            publishers.odometry.publish(odometry_message(motion, stamp_ns, odom, base))
        if wanted(publishers.status):
            status = odometry_status(estimate, self._name, camera_frame)
            publishers.status.publish(status_message(status, stamp_ns, odom))
        if wanted(publishers.landmarks):
            landmarks = pack_landmarks(self._odometry.landmarks(), base_from_camera, stamp_ns, odom)
            publishers.landmarks.publish(landmarks.to_cdr())
        self._extend_path(estimate, motion, settings)

    def _extend_path(self, estimate: Estimate, motion: BaseMotion, settings: OdometrySettings) -> None:
        stamp_ns = estimate.stamp_ns
        place = motion.pose[:3, 3]
        if estimate.state in POSED and (
            self._path_end is None or np.linalg.norm(place - self._path_end) >= settings.path_step
        ):
            self._path_end = place
            self._path.append(stamped_pose(motion.pose, stamp_ns, settings.odom_frame))
        while len(self._path) > settings.path_length:
            self._path.popleft()
        due = self._path_stamp_ns is None or stamp_ns - self._path_stamp_ns >= PATH_PERIOD_NS
        if due and self._path and wanted(self._publishers.path):
            self._path_stamp_ns = stamp_ns
            self._publishers.path.publish(path_message(self._path, stamp_ns, settings.odom_frame))
