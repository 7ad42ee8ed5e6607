"""A recording replayed through a live node in a process of its own, and what came back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2

import kp_ros
from kp_ros.errors import UserError
from kp_ros.point_cloud import TRACK_DTYPE
from kp_ros.recordings.recording import Recording
from kp_ros.resources import share_directory
from kp_ros.ros.replay import ReplayOptions, ReplaySummary, replay, topics_of
from kp_ros.trajectories import rotation_of

NODE = "/odometry_node"
#: Seconds that the node may take to load its model and subscribe.
START_TIMEOUT = 60.0
#: Seconds without an answer after which the last frames count as dropped.
ANSWER_TIMEOUT = 2.0
POLL = 0.05
#: Where Linux has it, and what must be free there: each process takes 8 MB.
SHARED_MEMORY, SPARE_BYTES = Path("/dev/shm"), 64 << 20


class NodeError(UserError):
    """The node did not start, or ended. The message says why, as far as the node told."""


@dataclass(frozen=True)
class Answer:
    """What the node published for one image.

    :ivar tracks: of ``~/tracks``: structured array, see :data:`kp_ros.point_cloud.TRACK_DTYPE`.
    :ivar heard: when it was received, seconds of the monotonic clock.
    """

    tracks: NDArray[np.void]
    heard: float


@dataclass(frozen=True)
class LivePose:
    """What the node published on ``~/odometry`` for one image.

    :ivar pose: float64 [4, 4], base_link in odom: x forward, y left, z up.
    :ivar heard: when it was received, seconds of the monotonic clock.
    """

    pose: NDArray[np.float64]
    heard: float


@dataclass
class LiveRun:
    """What was sent and what came back.

    :ivar sent: stamp (ns) -> when the image had been handed to DDS, seconds of the monotonic clock.
    :ivar answers: stamp (ns) -> what came back for it.
    :ivar keypoints: stamp (ns) -> how many points ``~/keypoints`` had.
    :ivar poses: stamp (ns) -> where the robot was then, as far as the node knows.
    :ivar states: stamp (ns) -> how far that can be trusted: the first word of ``~/status``.
    :ivar diagnostics: subject (``speed``, ...) -> the last values that the node's diagnostics had for it.
    """

    sent: dict[int, float] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    keypoints: dict[int, int] = field(default_factory=dict)
    poses: dict[int, LivePose] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    diagnostics: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """Images that nothing came back for."""
        return len(self.sent.keys() - self.answers.keys())

    @property
    def rate(self) -> float:
        """Answers a second."""
        times = sorted(answer.heard for answer in self.answers.values())
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    @property
    def latencies(self) -> NDArray[np.float64]:
        """Milliseconds from an image's hand-over to DDS until its tracks were received."""
        return self._latencies({stamp: answer.heard for stamp, answer in self.answers.items()})

    @property
    def pose_latencies(self) -> NDArray[np.float64]:
        """Likewise until its pose was received."""
        return self._latencies({stamp: pose.heard for stamp, pose in self.poses.items()})

    def _latencies(self, heard: Mapping[int, float]) -> NDArray[np.float64]:
        return np.array([1e3 * (moment - self.sent[stamp]) for stamp, moment in heard.items() if stamp in self.sent])


@contextmanager
def private_domain() -> Iterator[int]:
    """A ROS domain on this machine alone, for this process and those that it starts.

    A robot on the same network neither hears the block's topics nor is heard.
    """
    wanted = {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    wanted |= _shared_memory()
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield int(wanted["ROS_DOMAIN_ID"])
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _shared_memory() -> dict[str, str]:
    """Settings of Fast DDS whose shared memory holds an image and its depth: 1.5 MB do not fit into its own 512 KB.

    Three of four pairs were lost without. Empty where the user has settings, or the machine has no memory to spare.
    """
    variables = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    if any(name in os.environ for name in variables) or not SHARED_MEMORY.is_dir():
        return {}
    if shutil.disk_usage(SHARED_MEMORY).free < SPARE_BYTES:
        return {}
    profile = str(share_directory() / "config" / "fastdds_shared_memory.xml")
    return dict.fromkeys(variables, profile)


class _NodeProcess:
    """The live node, ended when the block ends.

    :param log: where its output goes.
    """

    def __init__(self, log: Path, remappings: Mapping[str, str], parameters: Mapping[str, object]) -> None:
        self.log = log
        settings = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
        settings += [part for name, topic in remappings.items() for part in ("-r", f"{name}:={topic}")]
        command = [sys.executable, "-m", "kp_ros.ros.odometry_node", "--ros-args"]
        code = str(Path(kp_ros.__file__).parents[1])
        path = os.pathsep.join([code, *filter(None, [os.environ.get("PYTHONPATH")])])
        with log.open("wb") as output:
            # A group of its own: Ctrl-C is for us, and we end it.
            self._process = subprocess.Popen(
                [*command, *settings],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> _NodeProcess:
        return self

    def check(self) -> None:
        """Fail when it has ended."""
        if self._process.poll() is not None:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
            last = lines[-1].strip() if lines else "it said nothing"
            raise NodeError(f"the node ended with status {self._process.returncode}: {last}; see {self.log}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class _Listener:
    """Hears the node's topics in a thread of its own."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("kp_ros_listener", context=self._context)
        self.error = ""
        reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        self.node.create_subscription(PointCloud2, f"{NODE}/tracks", self._on_tracks, reliable)
        self.node.create_subscription(PointCloud2, f"{NODE}/keypoints", self._on_keypoints, reliable)
        self.node.create_subscription(Odometry, f"{NODE}/odometry", self._on_odometry, reliable)
        self.node.create_subscription(DiagnosticArray, f"{NODE}/status", self._on_status, reliable)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name="listener", daemon=True)

    def __enter__(self) -> _Listener:
        self._thread.start()
        return self

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._context.shutdown()
        self._thread.join(5)
        self._executor.shutdown()
        self.node.destroy_node()

    def _on_tracks(self, message: PointCloud2) -> None:
        heard = time.monotonic()
        tracks = np.frombuffer(bytes(message.data), TRACK_DTYPE)
        self._run.answers[_stamp(message)] = Answer(tracks, heard)

    def _on_keypoints(self, message: PointCloud2) -> None:
        self._run.keypoints[_stamp(message)] = message.width

    def _on_odometry(self, message: Odometry) -> None:
        heard = time.monotonic()
        pose = message.pose.pose
        matrix = np.eye(4)
        turn = pose.orientation
        matrix[:3, :3] = rotation_of(np.array([turn.x, turn.y, turn.z, turn.w]))
        matrix[:3, 3] = pose.position.x, pose.position.y, pose.position.z
        self._run.poses[_stamp(message)] = LivePose(matrix, heard)

    def _on_status(self, message: DiagnosticArray) -> None:
        self._run.states[_stamp(message)] = message.status[0].message.partition(":")[0]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            subject = status.name.rpartition(": ")[2]
            self._run.diagnostics[subject] = {value.key: value.value for value in status.values}
            if status.level == DiagnosticStatus.ERROR:
                self.error = status.message


def _stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def run_live(
    recording: Recording,
    stamps_ns: NDArray[np.int64],
    parameters: Mapping[str, object],
    log: Path,
    published: Callable[[int], None] = lambda frames: None,
    rate: float = 1.0,
    depth_topic: str | None = None,
) -> tuple[LiveRun, ReplaySummary]:
    """Start the node in its own process, replay a recording to it over DDS, hear what comes back.

    :param stamps_ns: int64 [F], of the recording's images.
    :param parameters: of the node.
    :param log: where the node's output goes.
    :param published: called after each image with the number of images so far.
    :param rate: times as fast as recorded.
    :param depth_topic: of depth images that come along with the recording's; None leaves one camera alone.
    :raises NodeError: the node does not start, or ends.
    """
    run = LiveRun()
    options = ReplayOptions(rate)
    image_topic, _ = topics_of(recording, options)

    def sent(_: int, frames: int) -> None:
        run.sent[int(stamps_ns[frames - 1])] = time.monotonic()
        process.check()
        published(frames)

    remappings = {"image": image_topic} | ({"depth": depth_topic} if depth_topic else {})
    settings = {"mode": "rgbd" if depth_topic else "mono", "publish_tf": False, **parameters}
    with private_domain(), _Listener(run) as listener, _NodeProcess(log, remappings, settings) as process:
        _wait_until_it_listens(listener, process, image_topic)
        summary = replay(recording, options, sent)
        quiet_since = time.monotonic()
        while run.dropped and time.monotonic() - quiet_since < ANSWER_TIMEOUT:
            heard = len(run.answers)
            time.sleep(POLL)
            if len(run.answers) > heard:
                quiet_since = time.monotonic()
        # The node's own figures come once a second.
        time.sleep(1.2)
    return run, summary


def _wait_until_it_listens(listener: _Listener, process: _NodeProcess, image_topic: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while listener.node.count_subscribers(image_topic) == 0:
        process.check()
        if listener.error:
            raise NodeError(f"the node cannot start: {listener.error}")
        if time.monotonic() > deadline:
            raise NodeError(
                f"the node was not ready within {START_TIMEOUT:.0f} s; see {process.log}, and whether a firewall "
                "or RMW_IMPLEMENTATION keeps processes on this machine from meeting over DDS"
            )
        time.sleep(POLL)
