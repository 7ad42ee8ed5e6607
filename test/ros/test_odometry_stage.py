"""What is published of each image, with odometry and publishers that remember."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from recorders import Log, Topic
from sensor_msgs.msg import CameraInfo

from kp_ros.camera import Camera
from kp_ros.errors import UserError
from kp_ros.features import Features, Tracks
from kp_ros.frontend import FrameResult
from kp_ros.odometry import Estimate, Health, Landmarks, OdometryFrame, State
from kp_ros.recordings import messages
from kp_ros.ros.camera_mounting import GivenMounting
from kp_ros.ros.camera_watch import CameraWatch
from kp_ros.ros.odometry_parameters import OdometrySettings
from kp_ros.ros.odometry_publishers import OdometryPublishers
from kp_ros.ros.odometry_stage import OdometryStage
from kp_ros.ros.pipeline import DecodedArrival

CAMERA = Camera(8, 6, np.array([[5.0, 0, 4], [0, 5.0, 3], [0, 0, 1]]), np.zeros(0))
SECOND = 10**9


class Forward:
    """Moves a metre an image; its states are told to it."""

    def __init__(self) -> None:
        self.frames: list[OdometryFrame] = []
        self.states: dict[int, tuple[State, int]] = {}
        self.resets = 0
        self.place = -1.0

    def process(self, frame: OdometryFrame) -> Estimate:
        self.frames.append(frame)
        self.place += 1.0
        state, segment = self.states.get(len(self.frames), (State.GOOD, 0))
        pose = np.eye(4)
        pose[2, 3] = self.place
        health = Health(50, 1.0, 1.0, 1.0, 0.0, "covered" if state is State.LOST else "")
        return Estimate(
            frame.stamp_ns, state, segment, pose, np.eye(6), np.zeros(6), np.eye(6), keyframe=False, health=health
        )

    def landmarks(self) -> Landmarks:
        return Landmarks(np.array([1], np.uint32), np.array([[0, 0, 9.0]]), np.array([0.1]))

    def reset(self) -> None:
        self.resets += 1
        self.place = -1.0

    def close(self) -> None:
        pass


class Bench:
    def __init__(self, right: bool = False, **settings: Any) -> None:
        self.odometry, self.log = Forward(), Log()
        self.topics = {name: Topic() for name in ("odometry", "path", "landmarks", "status")}
        self.watch = CameraWatch("/right/camera_info", True) if right else None
        self.settings = OdometrySettings(**settings)
        self.now_ns = 0
        self.stage = OdometryStage(
            self.odometry,
            OdometryPublishers(transforms=None, **self.topics),
            GivenMounting(self.settings),
            self.watch,
            lambda: self.settings,
            lambda: self.now_ns,
            "/odometry_node",
            self.log,
        )

    def see(self, stamp_ns: int, companion: Any = None, camera: Camera | None = CAMERA) -> Any:
        image = np.zeros((6, 8), np.uint8)
        features = Features(np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros((0, 0), np.float32))
        none = np.zeros(0, np.uint32)
        tracks = Tracks(none, none, features.keypoints, features.keypoints, features.scores, features.descriptors)
        self.now_ns = stamp_ns + 20_000_000
        arrival = DecodedArrival(image, stamp_ns, camera, "camera", {}, Future(), companion)
        return self.stage(arrival, FrameResult(stamp_ns, features, tracks, {}))

    def places(self) -> list[float]:
        return [message.pose.pose.position.x for message in self.topics["odometry"].published]


def depth_message(stamp_ns: int) -> Any:
    return messages.image(np.full((6, 8), 1500, np.uint16), "16UC1", stamp_ns, "camera")


def test_each_image_is_published() -> None:
    bench = Bench()
    seconds = bench.see(SECOND, depth_message(SECOND))
    assert bench.places() == [0.0]
    np.testing.assert_allclose(bench.odometry.frames[0].depth, np.full((6, 8), 1.5))
    assert bench.topics["status"].published[0].status[0].message == "good"
    assert len(bench.topics["landmarks"].published) == 1
    assert seconds["stamp_to_pose"] == pytest.approx(0.02)
    assert set(seconds) == {"decode_companion", "odometry", "publish_pose", "stamp_to_pose"}


def test_the_path_is_bounded_and_has_steps() -> None:
    bench = Bench(path_length=3, path_step=1.5)
    for index in range(12):
        bench.see((index + 1) * SECOND)
    path = bench.topics["path"].published[-1]
    assert [pose.pose.position.x for pose in path.poses] == [6.0, 8.0, 10.0]
    bench.settings = replace(bench.settings, path_length=1)
    bench.see(13 * SECOND)
    assert [pose.pose.position.x for pose in bench.topics["path"].published[-1].poses] == [12.0]


def test_the_path_is_published_twice_a_second() -> None:
    bench = Bench(path_step=0.0)
    for index in range(60):
        bench.see(index * SECOND // 30 + 1)
    assert len(bench.topics["path"].published) == 4


def test_lost_frames_are_told_and_no_part_of_the_path() -> None:
    bench = Bench(path_step=0.0)
    bench.odometry.states = {2: (State.LOST, 0), 3: (State.GOOD, 1)}
    for index in range(3):
        bench.see((index + 1) * SECOND)
    levels = [message.status[0].level for message in bench.topics["status"].published]
    assert levels == [b"\x00", b"\x02", b"\x00"]
    assert [line for line in bench.log.lines if "lost (covered)" in line]
    assert [line for line in bench.log.lines if "tracking again, in segment 1" in line]
    assert len(bench.topics["odometry"].published) == 3
    assert [pose.pose.position.x for pose in bench.topics["path"].published[-1].poses] == [0.0, 2.0]


def test_a_time_that_jumps_back_and_a_reset_begin_anew() -> None:
    bench = Bench()
    bench.see(5 * SECOND)
    bench.see(6 * SECOND)
    bench.see(2 * SECOND)
    assert (bench.odometry.resets, bench.places()) == (1, [0.0, 1.0, 0.0])
    bench.stage.reset()
    assert bench.odometry.resets == 1
    bench.see(3 * SECOND)
    bench.see(4 * SECOND)
    assert (bench.odometry.resets, bench.places()[-2:]) == (2, [0.0, 1.0])


def test_without_calibration_there_is_no_pose_and_it_says_so() -> None:
    bench = Bench()
    assert bench.see(SECOND, camera=None) == {}
    assert not bench.odometry.frames
    assert "calibration" in bench.stage.problem
    bench.see(2 * SECOND)
    assert bench.stage.problem == ""


def right_info(tx: float) -> CameraInfo:
    return CameraInfo(width=8, height=6, p=np.array([5.0, 0, 4, tx, 0, 5, 3, 0, 0, 0, 1, 0]))


def test_the_baseline_is_the_right_camera_s() -> None:
    bench = Bench(right=True, mode="stereo")
    image = messages.image(np.full((6, 8), 7, np.uint8), "mono8", SECOND, "right")
    assert bench.watch is not None
    with pytest.raises(UserError, match="no message on /right/camera_info yet"):
        bench.see(SECOND, image)
    bench.watch.info = right_info(0.0)
    with pytest.raises(UserError, match=r"has no baseline \(P\[3\] is 0\)"):
        bench.see(2 * SECOND, image)
    bench.watch.info = right_info(-0.6)
    bench.see(3 * SECOND, image)
    assert bench.odometry.frames[-1].baseline == pytest.approx(0.12)
    assert (bench.odometry.frames[-1].right == 7).all()
    bench.settings = replace(bench.settings, baseline=0.3)
    bench.see(4 * SECOND, image)
    assert bench.odometry.frames[-1].baseline == 0.3


def test_transforms_go_out_where_tf2_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import kp_ros.ros.odometry_publishers as module

    monkeypatch.setattr(module, "TFMessage", lambda transforms: SimpleNamespace(transforms=transforms))
    topic, bench = Topic(), Bench()
    stage_publishers = OdometryPublishers(transforms=topic, **bench.topics)
    bench.stage._publishers = stage_publishers
    bench.see(SECOND)
    (transform,) = topic.published[0].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("odom", "base_link")
