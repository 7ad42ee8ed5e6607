"""How long the live odometry node takes from an image's stamp to its pose, and whether it keeps up.

    python -m benchmarks.odometry_latency --seconds 30
    python -m benchmarks.odometry_latency --seconds 30 --profile config/fastdds_large_images.xml
    python -m benchmarks.odometry_latency --seconds 30 --profile config/fastdds_large_images.xml --separate

A camera process (this one) publishes images with their depth at a steady rate, to and fro through a sequence; the node
in a second process answers on ~/odometry. With --separate the same odometry runs in a third process instead, fed by
topics: the images, their depth, and the keypoint node's ~/tracks. Processor time is that of all processes but this one.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from lifecycle_msgs.msg import Transition
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image

from benchmarks.node_latency import CHECKOUT, WARM_UP_SECONDS, Camera, end, load, machine
from kp_ros.ros.statistics import TIMED_IMAGES

STAGES = (
    *("stamp_to_arrival", "wait", "decode", "detect", "track", "join", "pack", "publish"),
    *("decode_companion", "odometry", "publish_pose", "stamp_to_pose"),
)
TICKS = os.sysconf("SC_CLK_TCK")


def load_depths(folder: Path, scale: float) -> list[bytearray]:
    """Read a folder of depth images into serialised messages of millimetres."""
    messages = []
    for path in sorted(folder.iterdir()):
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        millimetres = np.rint(values * (scale * 1000)).clip(0, 65535).astype(np.uint16)
        height, width = millimetres.shape
        data = array("B", millimetres.tobytes())
        message = Image(height=height, width=width, encoding="16UC1", step=2 * width, data=data)
        message.header.frame_id = "camera"
        messages.append(bytearray(serialize_message(message)))
    return messages


def camera_info(calibration: dict[str, Any]) -> bytearray:
    """The sequence's CameraInfo, serialised."""
    fx, fy, cx, cy = (float(calibration[name]) for name in ("fx", "fy", "cx", "cy"))
    distortion = [float(value) for value in calibration.get("dist", [0.0] * 5)]
    info = CameraInfo(width=calibration["width"], height=calibration["height"], distortion_model="plumb_bob")
    info.d, info.k = distortion, np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1])
    info.p = np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0])
    info.header.frame_id = "camera"
    return bytearray(serialize_message(info))


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """That a process has used so far, user and system."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start the node, warm it up, measure; times in milliseconds."""
    calibration = json.loads((options.sequence / "calib.json").read_text())
    size = (calibration["width"], calibration["height"])
    images = load(options.sequence / "images", options.encoding, size)
    depths = load_depths(options.sequence / "depth", float(calibration["depth_scale"]))
    domain = 1 + os.getpid() % 100
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if options.profile is not None:
        # Of both names: distributions up to Humble know the second only.
        for variable in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
            os.environ[variable] = str(options.profile.resolve())
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": str(CHECKOUT)}
    parameters: dict[str, Any] = {
        "autostart": False,
        "max_keypoints": options.keypoints,
        "max_tracks": options.keypoints,
    }
    if options.model:
        parameters["model"] = options.model
    if options.threads:
        parameters["threads"] = options.threads
    name = "keypoint_node" if options.separate else "odometry_node"
    if not options.separate:
        parameters["publish_tf"] = False
    command = [sys.executable, "-m", f"kp_ros.ros.{name}", "--ros-args"]
    command += [part for key, value in parameters.items() for part in ("-p", f"{key}:={value}")]
    processes = [subprocess.Popen(command, env=environment)]
    if options.separate:
        separate = [sys.executable, "-m", "benchmarks.odometry_process"]
        processes.append(subprocess.Popen(separate, env=environment, cwd=CHECKOUT))
    try:
        topic = "/odometry_process/odometry" if options.separate else "odometry"
        camera = Camera(domain, False, False, [], node_name=name, kind=Odometry, depths=depths)
        full = topic if topic.startswith("/") else f"{name}/{topic}"
        camera.node.create_subscription(Odometry, full, camera.on_answer, 10, raw=True)
        camera.transition(Transition.TRANSITION_CONFIGURE)
        camera.activate()
        assert camera.depth_images is not None
        while camera.depth_images.get_subscription_count() == 0:
            camera.spin(0.1)
        info = camera_info(calibration)
        camera.publish(images, info, options.rate, WARM_UP_SECONDS)
        camera.transition(Transition.TRANSITION_DEACTIVATE)
        camera.activate()
        camera.spin(1.0)
        camera.answered.clear()
        used, begun = [processor_seconds(process) for process in processes], time.monotonic()
        sent = camera.publish(images, info, options.rate, options.seconds)
        seconds = time.monotonic() - begun
        used = [processor_seconds(process) - before for process, before in zip(processes, used, strict=True)]
    finally:
        end(processes)
    return {
        "sent": sent,
        "answered": len(camera.answered),
        "not_answered_percent": 100 * (1 - len(camera.answered) / sent),
        "dropped_by_the_node": int(camera.diagnostics["speed"]["dropped"]),
        "milliseconds": camera.times(STAGES),
        "processor_percent": [round(100 * value / seconds, 1) for value in used],
        "processor_ms_an_image": round(1000 * sum(used) / sent, 2),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sequence = CHECKOUT.parent / "shared" / "data" / "icl_kt3"
    parser.add_argument("--sequence", type=Path, default=sequence, help="folder with images/, depth/, calib.json")
    parser.add_argument("--model", default="", help="as the node's parameter; the default model if not given")
    parser.add_argument("--keypoints", type=int, default=1024, help="most keypoints, and most tracks (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of the inference; 0: the node's choice (%(default)s)")
    parser.add_argument("--rate", type=float, default=30.0, help="images a second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help=f"at most {TIMED_IMAGES} images are timed")
    parser.add_argument("--encoding", choices=("mono8", "bgr8"), default="mono8")
    parser.add_argument("--profile", type=Path, help="of Fast DDS, for all processes")
    parser.add_argument("--separate", action="store_true", help="odometry in a process of its own, fed by topics")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "benchmarks" / "results" / "odometry_latency.json")
    options = parser.parse_args()
    command = shlex.join(["python", "-m", "benchmarks.odometry_latency", *sys.argv[1:]])
    results = measure(options)
    name = "separate_process" if options.separate else "one_process"
    name += "_large_shared_memory" if options.profile else ""
    report = json.loads(options.output.read_text()) if options.output.is_file() else {}
    report[name] = {"command": command, **machine(), "results": results}
    print(f"{command}\n{results['sent']} images sent, {results['not_answered_percent']:.2f} % without a pose")
    print(f"processor: {results['processor_percent']} %, {results['processor_ms_an_image']} ms an image")
    print(f"{'milliseconds':24}{'p50':>9}{'p95':>9}{'p99':>9}")
    for stage, values in results["milliseconds"].items():
        print(f"{stage:24}" + "".join(f"{value:9.2f}" for value in values.values()))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
