"""The other side of the node: a process that publishes a camera and hears what the node says, over DDS."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from array import array
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from numpy.typing import NDArray
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import String

CHECKOUT = Path(__file__).resolve().parents[2]
#: The interpreter that runs the node: another one's ROS 2 may be another distribution.
NODE_PYTHON = os.environ.get("KP_ROS_NODE_PYTHON", sys.executable)
NODE = "/keypoint_node"
CLOUDS = ("keypoints", "tracks", "features")
FRAME_ID = "camera_optical_frame"
CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE

#: Seconds after which something will not happen any more, on a slow machine that has other work.
PATIENCE = 60.0
#: Seconds after which a request is asked again: DDS may take 3 until a new client's requests are heard.
REPETITION = 4.0

Value = TypeVar("Value")


def environment(domain: int) -> dict[str, str]:
    """What a process needs to find this checkout and to meet only those of its own test."""
    # The wheels of ROS set these for one interpreter; another one that inherits them finds the wrong libraries.
    of_the_wheels = {"LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"} if sys.executable != NODE_PYTHON else set()
    return {
        **{name: value for name, value in os.environ.items() if name not in of_the_wheels},
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
    }


class NodeProcess:
    """The live node, started as a user would.

    :param log: where its output goes.
    :param ros_arguments: what follows ``--ros-args``.
    :param node: its name, which is its module's in kp_ros.ros.
    """

    def __init__(self, domain: int, log: Path, *ros_arguments: str, node: str = NODE) -> None:
        self.log_path = log
        module = f"kp_ros.ros.{node.lstrip('/')}"
        command = [NODE_PYTHON, "-m", module, "--ros-args", *ros_arguments]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, env=environment(domain), stdout=output, stderr=output)

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()


class Robot:
    """Publishes images and CameraInfo, keeps every message of the node's topics in ``heard``.

    :param node_name: of the node that it talks to.
    """

    def __init__(self, domain: int, node_name: str = NODE) -> None:
        self.node_name = node_name
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("robot", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self._clients: dict[str, Any] = {}
        reliable = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        self.image_publisher = self.node.create_publisher(Image, "/image", reliable)
        self.compressed_publisher = self.node.create_publisher(CompressedImage, "/image/compressed", reliable)
        self.camera_info_publisher = self.node.create_publisher(CameraInfo, "/camera_info", reliable)
        for topic in CLOUDS:
            self.listen(PointCloud2, f"{self.node_name}/{topic}", topic)
        latched = QoSProfile(
            depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self.listen(String, f"{self.node_name}/model", "model", latched)
        self.listen(DiagnosticArray, "/diagnostics", "diagnostics")

    def listen(self, kind: type, topic: str, name: str, qos: QoSProfile | None = None) -> Any:
        """Keep every message of a topic in ``heard[name]``."""
        profile = qos or QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)

        def callback(message: Any) -> None:
            self.heard[name].append(message)

        return self.node.create_subscription(kind, topic, callback, profile)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(0.02)

    def wait_for(self, what: str, poll: Callable[[], Value], seconds: float = PATIENCE) -> Value:
        """Spin until ``poll`` gives something true; a healthy node gives it in a fraction of that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = poll()
            if value:
                return value
            self.executor.spin_once(0.02)
        raise AssertionError(f"no {what} within {seconds} s")

    def request(self, kind: type, service: str, request: Any) -> Any:
        """Call a service of the node; the future of its answer."""
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self.node.create_client(kind, f"{self.node_name}/{service}")
            self.wait_for(f"service {service}", client.service_is_ready)
            # The service may answer into the void until it, too, has discovered its client.
            self.spin(0.5)
        return client.call_async(request)

    def call(self, kind: type, service: str, request: Any) -> Any:
        """Call a service and wait for its answer; asked again where the link lost the request."""
        futures: list[Any] = []
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            futures.append(self.request(kind, service, request))
            again = time.monotonic() + REPETITION
            while time.monotonic() < again:
                self.executor.spin_once(0.02)
                # The first that is answered counts: a slow node answers the first question, and then the repetition.
                answered = [future for future in futures if future.done()]
                if answered:
                    return answered[0].result()
        raise AssertionError(f"no answer of {service} within {PATIENCE} s")

    def request_transition(self, identifier: int) -> Any:
        return self.request(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=identifier)))

    def transition(self, identifier: int) -> bool:
        """Take the node through a transition; whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=identifier))
        return bool(self.call(ChangeState, "change_state", request).success)

    def state(self) -> str:
        return str(self.call(GetState, "get_state", GetState.Request()).current_state.label)

    def parameter(self, name: str) -> Any:
        value = self.call(GetParameters, "get_parameters", GetParameters.Request(names=[name])).values[0]
        return value_of(value)

    def describe(self, *names: str) -> list[Any]:
        request = DescribeParameters.Request(names=list(names))
        return list(self.call(DescribeParameters, "describe_parameters", request).descriptors)

    def set_parameter(self, name: str, value: Any) -> str:
        """Set a parameter; why it was refused, or nothing."""
        request = SetParameters.Request(parameters=[ParameterMessage(name=name, value=parameter_value(value))])
        result = self.call(SetParameters, "set_parameters", request).results[0]
        assert result.successful != bool(result.reason)
        return str(result.reason)

    def wait_until_it_listens(self, publisher: Any = None) -> None:
        """Wait until the node subscribes to a topic, and a little longer: the node learns of us later than we of it."""
        publisher = publisher or self.image_publisher
        self.wait_for("subscription of the node", lambda: publisher.get_subscription_count() > 0)
        for topic in CLOUDS:
            self.wait_for(topic, lambda topic=topic: self.node.count_publishers(f"{self.node_name}/{topic}"))  # type: ignore[misc]
        self.spin(0.5)

    def send_calibration(self, info: CameraInfo) -> None:
        """Publish a CameraInfo until the node has it: what comes before a service's request is taken before it."""
        publisher = self.camera_info_publisher
        self.wait_for("calibration subscriber", lambda: publisher.get_subscription_count() > 0)
        for _ in range(3):
            publisher.publish(info)
            self.state()

    def clouds(self, stamp_ns: int) -> dict[str, PointCloud2]:
        """What the node published for a stamp, by topic; empty unless all of it is there."""
        found = {t: m for t in CLOUDS for m in self.heard[t] if stamp_of(m) == stamp_ns}
        return found if len(found) == len(CLOUDS) else {}

    def ask(self, message: Image | CompressedImage) -> dict[str, PointCloud2]:
        """Send an image and give what the node publishes for it; sent again where the link lost it."""
        publisher = self.image_publisher if isinstance(message, Image) else self.compressed_publisher
        for _ in range(5):
            publisher.publish(message)
            try:
                return self.wait_for("clouds", lambda: self.clouds(stamp_of(message)), PATIENCE / 5)
            except AssertionError:
                continue
        raise AssertionError(f"the node never answered the image of {stamp_of(message)}")

    def diagnosis(self, subject: str, condition: Callable[[DiagnosticStatus], bool]) -> DiagnosticStatus:
        """The next status on a subject that meets a condition."""

        def poll() -> DiagnosticStatus | None:
            statuses = [s for array_ in self.heard["diagnostics"] for s in array_.status if s.name.endswith(subject)]
            self.heard["diagnostics"].clear()
            return next((s for s in statuses if condition(s)), None)

        return self.wait_for(f"diagnosis of {subject}", poll)  # type: ignore[return-value]


def stamp_of(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def stamped(message: Any, stamp_ns: int) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    message.header.frame_id = FRAME_ID
    return message


def image_message(pixels: NDArray[Any], encoding: str, stamp_ns: int, padding: int = 0) -> Image:
    """An image with some unused bytes at the end of each row."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=rows.shape[1])
    message.data = array("B", rows.tobytes())
    return stamped(message, stamp_ns)  # type: ignore[no-any-return]


def compressed_message(data: bytes, kind: str, stamp_ns: int) -> CompressedImage:
    message = CompressedImage(format=kind, data=array("B", data))
    return stamped(message, stamp_ns)  # type: ignore[no-any-return]


def parameter_value(value: Any) -> ParameterValue:
    kinds = {bool: "bool", int: "integer", float: "double", str: "string"}
    kind = kinds[type(value)]
    return ParameterValue(type=getattr(ParameterType, f"PARAMETER_{kind.upper()}"), **{f"{kind}_value": value})


def value_of(value: ParameterValue) -> Any:
    kinds = {
        ParameterType.PARAMETER_BOOL: "bool_value",
        ParameterType.PARAMETER_INTEGER: "integer_value",
        ParameterType.PARAMETER_DOUBLE: "double_value",
        ParameterType.PARAMETER_STRING: "string_value",
    }
    return getattr(value, kinds[value.type])


def points(cloud: PointCloud2) -> NDArray[np.void]:
    """A cloud's points by their fields alone, as a subscriber that knows nothing of kp_ros reads them."""
    formats = {2: "u1", 6: "<u4", 7: "<f4"}
    dtype = np.dtype(
        {
            "names": [f.name for f in cloud.fields],
            "formats": [
                (formats[f.datatype], (f.count,)) if f.count > 1 else formats[f.datatype] for f in cloud.fields
            ],
            "offsets": [f.offset for f in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    return np.frombuffer(bytes(cloud.data), dtype)
