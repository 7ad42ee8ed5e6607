from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from moving_picture import FRAMES, PERIOD_NS, START_NS
from rosbags.highlevel import AnyReader

from kp_ros.frontend import Frontend
from kp_ros.offline.run import run
from kp_ros.point_cloud import TRACK_DTYPE
from kp_ros.recordings import messages
from kp_ros.recordings.decoding import DecodedFrame
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.recordings.opening import open_recording
from kp_ros.recordings.recording import RecordingError

GOOD = [START_NS + index * PERIOD_NS for index in range(FRAMES) if index != 5]


def test_bag_to_bag(tmp_path: Path, source: Path, frontend: Frontend) -> None:
    output = tmp_path / "out.mcap"
    summary = run(open_recording(source), frontend, output, node="/kp")
    assert (summary.frames, summary.interrupted) == (9, False)
    (notice,) = summary.notices
    assert "1 frame could not be decoded" in notice
    with AnyReader([output]) as bag:
        heard: dict[str, list[object]] = {connection.topic: [] for connection in bag.connections}
        for connection, recorded_ns, raw in bag.messages():
            message = bag.deserialize(raw, connection.msgtype)
            heard[connection.topic].append(message)
            if connection.topic != "/kp/model":
                assert messages.stamp_of(message) == recorded_ns
                assert message.header.frame_id == "lens"  # type: ignore[attr-defined]
    assert json.loads(heard["/kp/model"][0].data)["name"] == "orb"  # type: ignore[attr-defined]
    for name in ("keypoints", "tracks", "features"):
        assert [messages.stamp_of(message) for message in heard[f"/kp/{name}"]] == GOOD
    last = heard["/kp/tracks"][-1]
    tracks = np.frombuffer(last.data, TRACK_DTYPE)  # type: ignore[attr-defined]
    assert len(tracks) > 100
    assert (tracks["age"] > 3).any()
    np.testing.assert_allclose(tracks["x"], (tracks["u"] - 159.5) / 300, atol=1e-5)


def test_images_can_come_along(tmp_path: Path, source: Path, frontend: Frontend) -> None:
    output = tmp_path / "out.mcap"
    run(open_recording(source), frontend, output, keep_images=True)
    recording = open_recording(output)
    assert recording.topic == "/camera/image/compressed"
    assert [messages.stamp_of(frame.message) for frame in recording.frames()] == GOOD
    assert recording.notices == []


def test_ctrl_c_finishes_the_bag(tmp_path: Path, source: Path, frontend: Frontend) -> None:
    def interrupted(frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        for index, frame in enumerate(frames):
            if index == 3:
                signal.raise_signal(signal.SIGINT)
            yield frame

    output = tmp_path / "out.mcap"
    summary = run(open_recording(source), frontend, output, watch=interrupted)
    assert (summary.frames, summary.interrupted) == (4, True)
    with AnyReader([output]) as bag:
        assert {c.topic: c.msgcount for c in bag.connections}["/keypoint_node/tracks"] == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_second_ctrl_c_leaves_nothing(tmp_path: Path, source: Path, frontend: Frontend) -> None:
    def interrupted(frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        yield from frames

    with pytest.raises(KeyboardInterrupt):
        run(open_recording(source), frontend, tmp_path / "out.mcap", watch=interrupted)
    assert [file.name for file in tmp_path.iterdir()] == ["source.mcap"]


def test_no_frame_to_be_used(tmp_path: Path, frontend: Frontend) -> None:
    source = tmp_path / "bad.mcap"
    with McapWriter(source) as bag:
        bag.write("/image/compressed", messages.compressed_image(b"no picture", "jpeg", 1, "lens"), 1)
    with pytest.raises(RecordingError, match=r"no frame of .* can be used.*neither JPEG nor PNG"):
        run(open_recording(source), frontend, tmp_path / "out.mcap")
    assert not (tmp_path / "out.mcap").exists()


def test_uncalibrated_camera(tmp_path: Path, source: Path, frontend: Frontend) -> None:
    frames = list(open_recording(source).frames())[:2]
    bad = tmp_path / "bad.mcap"
    with McapWriter(bad) as bag:
        for frame in frames:
            info = replace(frame.camera_info, k=np.zeros(9))
            bag.write("/camera/camera_info", info, frame.recorded_ns)
            bag.write("/camera/image/compressed", frame.message, frame.recorded_ns)
    summary = run(open_recording(bad), frontend, tmp_path / "out.mcap")
    assert summary.frames == 2
    assert "the camera is uncalibrated (K[0] is 0)" in summary.notices[0]


@pytest.mark.parametrize(
    "name", ["hololens", "icl_kt3", "karlsruhe", "kitti_06", "redkitchen", "tum_fr1_rpy", "bags/aruco_images.bag"]
)
def test_the_beginning_of_every_real_recording(
    tmp_path: Path, shared_data: Path, frontend: Frontend, name: str
) -> None:
    def beginning(frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        yield from (frame for _, frame in zip(range(4), frames, strict=False))

    summary = run(open_recording(shared_data / name), frontend, tmp_path / "out.mcap", watch=beginning)
    assert summary.frames == (1 if name.endswith(".bag") else 4)
    assert summary.points > 50 * summary.frames
