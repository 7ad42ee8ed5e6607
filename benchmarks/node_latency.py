"""How long the live node takes, and whether it keeps up: real images over DDS into the node's own process.

    python benchmarks/node_latency.py --model kp_base --seconds 30

A camera process (this one) publishes images at a steady rate; the node in a second process answers. The times of the
stages are the node's own, from its /diagnostics; the way there and back is measured here. `track` is processor time:
most of it runs beside `detect`, and `join` is the part that comes after. The figures and the machine go to a JSON file
under benchmarks/results/.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from kp_ros.ros.statistics import PERCENTILES, TIMED_IMAGES

CHECKOUT = Path(__file__).resolve().parents[1]
WARM_UP_SECONDS = 3.0
#: Where a serialised message that begins with a header has its stamp.
STAMP = slice(4, 12)
STAGES = ("stamp_to_arrival", "wait", "decode", "detect", "track", "join", "pack", "publish", "stamp_to_publication")


@dataclass
class Camera:
    """The camera's process: publishes messages made beforehand, notes when the node's answers come.

    :ivar topics: of the node's, whose answers are noted.
    :ivar node_name: of the node.
    :ivar kind: of those topics' messages, which begin with a header.
    :ivar depths: depth images that go with the images, if any.
    :ivar answered: seconds from an image's stamp to the arrival of the last message for it, by stamp.
    """

    domain: int
    compressed: bool
    best_effort: bool
    topics: list[str]
    node_name: str = "keypoint_node"
    kind: type = PointCloud2
    depths: list[bytearray] = field(default_factory=list)
    answered: dict[int, float] = field(default_factory=dict)
    diagnostics: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rclpy.init(domain_id=self.domain)
        self.node = rclpy.create_node("camera")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        kind, topic = (CompressedImage, "image/compressed") if self.compressed else (Image, "image")
        reliable = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self.images = self.node.create_publisher(kind, topic, qos_profile_sensor_data if self.best_effort else reliable)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", reliable)
        for name in self.topics:
            self.node.create_subscription(self.kind, f"{self.node_name}/{name}", self.on_answer, reliable, raw=True)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, reliable)
        self.state = self.node.create_client(ChangeState, f"{self.node_name}/change_state")
        self.depth_images = self.node.create_publisher(Image, "depth", reliable) if self.depths else None

    def on_answer(self, data: bytes) -> None:
        """Note when an answer came."""
        # Raw, so that unpacking here does not take the node's processor time: a message begins with its stamp.
        seconds, nanoseconds = np.frombuffer(data, "<i4", 2, 4).tolist()
        stamp_ns = seconds * 10**9 + nanoseconds
        self.answered[stamp_ns] = (time.time_ns() - stamp_ns) * 1e-9

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name.rpartition(": ")[2]] = {item.key: item.value for item in status.values}

    def spin(self, seconds: float) -> None:
        """Take in answers for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(left)

    def transition(self, identifier: int) -> None:
        """Take the node through a transition of its lifecycle."""
        if not self.state.wait_for_service(30):
            sys.exit("the node did not start within 30 s; run it by hand to see why")
        self.spin(0.5)
        future = self.state.call_async(ChangeState.Request(transition=Transition(id=identifier)))
        self.executor.spin_until_future_complete(future, 60)
        if not (future.done() and future.result().success):
            sys.exit("the node refused a transition; its log, above, says why")

    def activate(self) -> None:
        """Activate the node and wait until it hears the camera: its statistics begin anew."""
        self.transition(Transition.TRANSITION_ACTIVATE)
        while self.images.get_subscription_count() == 0:
            self.spin(0.1)
        self.spin(0.5)

    def publish(self, messages: list[bytearray], info: bytearray, rate: float, seconds: float) -> int:
        """Publish images at a steady rate, to and fro through the sequence, stamped with the time; how many."""
        order, depths = ([*some, *some[-2:0:-1]] for some in (messages, self.depths))
        count = round(rate * seconds)
        begun = time.monotonic()
        for index in range(count):
            self.spin(begun + index / rate - time.monotonic())
            message = order[index % len(order)]
            stamp = struct.pack("<iI", *divmod(time.time_ns(), 10**9))
            message[STAMP] = info[STAMP] = stamp
            if self.depth_images is not None:
                depths[index % len(order)][STAMP] = stamp
                self.depth_images.publish(bytes(depths[index % len(order)]))
            # In the order of image_transport's CameraPublisher, which most drivers use.
            self.images.publish(bytes(message))
            self.infos.publish(bytes(info))
        self.spin(2.0)
        return count

    def times(self, stages: Sequence[str]) -> dict[str, dict[str, float]]:
        """Percentiles of the node's stages, those that it has, and of the way there and back, milliseconds."""
        speed = self.diagnostics["speed"]
        found = {
            stage: {f"p{p}": float(speed[f"{stage} p{p} (ms)"]) for p in PERCENTILES}
            for stage in stages
            if f"{stage} p50 (ms)" in speed
        }
        received = np.percentile(list(self.answered.values()), PERCENTILES) * 1e3
        found["stamp_to_reception"] = {f"p{p}": float(value) for p, value in zip(PERCENTILES, received, strict=True)}
        return found


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end, and end those that do not."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def load(folder: Path, encoding: str, size: tuple[int, int]) -> list[bytearray]:
    """Read a folder of images into serialised messages of one size, uint8 grey, BGR or JPEG."""
    messages: list[Any] = []
    for path in sorted(folder.iterdir()):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if encoding == "mono8" else cv2.IMREAD_COLOR)
        if image is None:
            continue
        if image.shape[1::-1] != size:
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if encoding == "jpeg":
            data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            messages.append(CompressedImage(format="jpeg", data=array("B", data)))
        else:
            step = image.strides[0]
            pixels = array("B", image.tobytes())
            messages.append(Image(height=size[1], width=size[0], encoding=encoding, step=step, data=pixels))
        messages[-1].header.frame_id = "camera"
    if len(messages) < 2:
        sys.exit(f"fewer than two images in {folder}; name a folder of a camera's images with --images")
    return [bytearray(serialize_message(message)) for message in messages]


def calibration(size: tuple[int, int]) -> bytearray:
    """A lens with distortion, so that rays cost what they cost in the field."""
    width, height = size
    matrix = np.array([0.9 * width, 0, width / 2, 0, 0.9 * width, height / 2, 0, 0, 1])
    distortion = [-0.1, 0.02, 0.0, 0.0, 0.0]
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob", d=distortion, k=matrix)
    info.header.frame_id = "camera"
    return bytearray(serialize_message(info))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    packages = ("numpy", "opencv-python-headless", "onnxruntime", "ros-rclpy", "ros-rmw-fastrtps-cpp")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "of the distribution"
    commit = subprocess.run(["git", "-C", CHECKOUT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    policies = {os.SCHED_OTHER: "other", os.SCHED_FIFO: "fifo", os.SCHED_RR: "round robin", os.SCHED_BATCH: "batch"}
    policy = os.sched_getscheduler(0)
    return {
        "processor": model.partition(":")[2].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "scheduling": f"{policies.get(policy, policy)}, nice {os.nice(0)}",
        "load_average": os.getloadavg()[0],
        "versions": versions,
        "commit": commit.stdout.strip(),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start the node, warm it up, measure; the figures, times in milliseconds."""
    size = tuple(int(side) for side in options.size.split("x"))
    assert len(size) == 2
    messages, info = load(options.images, options.encoding, size), calibration(size)
    domain = 1 + os.getpid() % 100
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    parameters = {
        "autostart": False,
        "max_keypoints": options.keypoints,
        "max_tracks": options.keypoints,
        "image_transport": "compressed" if options.encoding == "jpeg" else "raw",
    }
    if options.threads:
        parameters["threads"] = options.threads
    if options.model:
        parameters["model"] = options.model
    command = [sys.executable, "-m", "kp_ros.ros.keypoint_node", "--ros-args"]
    command += [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": str(CHECKOUT)}
    node = subprocess.Popen(command, env=environment)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        camera = Camera(domain, options.encoding == "jpeg", options.best_effort, options.topics)
        camera.transition(Transition.TRANSITION_CONFIGURE)
        camera.activate()
        camera.publish(messages, info, options.rate, WARM_UP_SECONDS)
        camera.transition(Transition.TRANSITION_DEACTIVATE)
        camera.activate()
        camera.answered.clear()
        sent = camera.publish(messages, info, options.rate, options.seconds)
    finally:
        for other in others:
            other.kill()
        end([node])
    speed, tracks = camera.diagnostics["speed"], camera.diagnostics["tracks"]
    times = camera.times(STAGES)
    return {
        "sent": sent,
        "answered": len(camera.answered),
        "not_answered_percent": 100 * (1 - len(camera.answered) / sent),
        "dropped_by_the_node": int(speed["dropped"]),
        "lost_on_the_way": sent - int(camera.diagnostics["input"]["received"]),
        "tracks": int(tracks["tracks"]),
        "median_track_age": float(tracks["median age (frames)"]),
        "milliseconds": times,
        "added_by_the_node_p50": sum(times[stage]["p50"] for stage in ("decode", "pack", "publish")),
        "latency_beyond_detect_and_track_p50": times["stamp_to_publication"]["p50"]
        - times["detect"]["p50"]
        - times["track"]["p50"],
        "latency_beyond_detect_and_join_p50": times["stamp_to_publication"]["p50"]
        - times["detect"]["p50"]
        - times["join"]["p50"],
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sequence = CHECKOUT.parent / "shared" / "data" / "icl_kt3" / "images"
    parser.add_argument("--images", type=Path, default=sequence, help="folder of images in order of time (%(default)s)")
    parser.add_argument("--model", default="", help="as the node's parameter; the default model if not given")
    parser.add_argument("--keypoints", type=int, default=1024, help="most keypoints, and most tracks (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of the inference; 0: the node's choice (%(default)s)")
    parser.add_argument("--size", default="640x480", help="of the images (%(default)s)")
    parser.add_argument("--rate", type=float, default=30.0, help="images a second (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help=f"at most {TIMED_IMAGES} images are timed (%(default)s)"
    )
    parser.add_argument("--encoding", choices=("mono8", "bgr8", "jpeg"), default="mono8")
    parser.add_argument("--best-effort", action="store_true", help="publish images so; most drivers are reliable")
    parser.add_argument(
        "--busy", type=int, default=0, help="so many other processes compute all the time (%(default)s)"
    )
    parser.add_argument(
        "--topics",
        nargs="+",
        choices=("keypoints", "tracks", "features"),
        default=["keypoints", "tracks", "features"],
        help="what is subscribed to; the node makes nothing else (all)",
    )
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks" / "results" / "node_latency.json")
    options = parser.parse_args()
    command = shlex.join(["python", "benchmarks/node_latency.py", *sys.argv[1:]])
    report = {"command": command, **machine(), "results": measure(options)}
    results = report["results"]
    print(f"{report['processor']}, {report['cores']} cores, {report['versions']}")
    print(
        f"{command}\n{results['sent']} images sent, {results['not_answered_percent']:.2f} % not answered: "
        f"{results['dropped_by_the_node']} dropped by the node, {results['lost_on_the_way']} lost on the way to it; "
        f"{results['tracks']} tracks"
    )
    print(f"{'milliseconds':24}{'p50':>9}{'p95':>9}{'p99':>9}")
    for stage, values in results["milliseconds"].items():
        print(f"{stage:24}" + "".join(f"{value:9.2f}" for value in values.values()))
    print(f"{'decode + pack + publish':24}{results['added_by_the_node_p50']:9.2f}")
    for stage in ("track", "join"):
        beyond = results[f"latency_beyond_detect_and_{stage}_p50"]
        print(f"stamp to publication less detect and {stage}: {beyond:.2f}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
