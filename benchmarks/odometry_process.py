"""Odometry in a process of its own, fed by the keypoint node's topics: only to measure what that would cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from kp_ros.depth_decoding import decode_depth
from kp_ros.features import Tracks
from kp_ros.mounting import base_motion, mounted
from kp_ros.odometry import Mode, OdometryFrame, make_odometry
from kp_ros.point_cloud import TRACK_DTYPE
from kp_ros.ros.messages import camera_of, decode, stamp_of
from kp_ros.ros.odometry_messages import odometry_message


def main() -> None:
    """Join the messages of one stamp, carry odometry on, publish."""
    rclpy.init()
    node = rclpy.create_node("odometry_process")
    publisher = node.create_publisher(Odometry, "~/odometry", 10)
    odometry, mounting = make_odometry(Mode.RGBD), mounted(0, 0, 0, 0, 0, 0)
    waiting: dict[int, dict[str, Any]] = {}
    info: list[CameraInfo] = []
    last = [0]

    def take(name: str, message: Any) -> None:
        stamp_ns = stamp_of(message)
        waiting.setdefault(stamp_ns, {})[name] = message
        while len(waiting) > 10:
            del waiting[min(waiting)]
        if len(waiting.get(stamp_ns, {})) < 3 or not info:
            return
        together = waiting.pop(stamp_ns)
        if stamp_ns <= last[0]:
            return
        last[0] = stamp_ns
        image, depth = together["image"], together["depth"]
        points = np.frombuffer(bytes(together["tracks"].data), TRACK_DTYPE)
        tracks = Tracks(
            points["track_id"].copy(),
            points["age"].copy(),
            np.stack([points["u"], points["v"]], 1),
            np.stack([points["vx"], points["vy"]], 1),
            points["score"].copy(),
            np.zeros((len(points), 0), np.float32),
        )
        estimate = odometry.process(
            OdometryFrame(
                stamp_ns=stamp_ns,
                image=decode(image),
                camera=camera_of(info[-1], False),
                tracks=tracks,
                depth=decode_depth(depth.encoding, depth.height, depth.width, depth.step, False, depth.data),
            )
        )
        publisher.publish(odometry_message(base_motion(estimate, mounting), stamp_ns, "odom", "base_link"))

    node.create_subscription(Image, "image", lambda message: take("image", message), 10)
    node.create_subscription(Image, "depth", lambda message: take("depth", message), 10)
    node.create_subscription(PointCloud2, "keypoint_node/tracks", lambda message: take("tracks", message), 10)
    node.create_subscription(CameraInfo, "camera_info", lambda message: info.__setitem__(slice(None), [message]), 10)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        odometry.close()


if __name__ == "__main__":
    main()
