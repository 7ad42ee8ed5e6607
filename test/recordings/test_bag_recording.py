from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drives import FRAMES, IMAGE_TOPIC, INFO_TOPIC, PERIOD_NS, Drive, WriteBag
from rosbags.rosbag2 import StoragePlugin

from kp_ros.recordings import messages
from kp_ros.recordings.decoding import camera_of, decode
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.recordings.opening import open_recording
from kp_ros.recordings.recording import Recording, RecordingError

WriteRosbag2 = Callable[[Path, StoragePlugin], Path]


def check(recording: Recording, drive: Drive) -> None:
    frames = list(recording.frames())
    assert (recording.topic, recording.camera_info_topic) == (IMAGE_TOPIC, INFO_TOPIC)
    assert recording.frame_count == len(frames) == FRAMES
    assert recording.notices == []
    assert sorted(frame.name for frame in frames) == [frame.name for frame in frames]
    for index, frame in enumerate(frames):
        assert messages.stamp_of(frame.message) == frame.recorded_ns == drive.stamps[index]
        assert frame.message.header.frame_id == "camera"
        np.testing.assert_array_equal(decode(frame.message), drive.images[index])
        camera = camera_of(frame.camera_info)
        np.testing.assert_array_equal(camera.matrix, drive.camera.matrix)
        np.testing.assert_array_equal(camera.distortion, drive.camera.distortion)


def test_mcap_file(tmp_path: Path, drive: Drive, write_mcap: WriteBag) -> None:
    check(open_recording(write_mcap(tmp_path / "drive.mcap")), drive)


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_rosbag2_folder_and_its_file_alone(
    tmp_path: Path, drive: Drive, write_rosbag2: WriteRosbag2, storage: StoragePlugin
) -> None:
    folder = write_rosbag2(tmp_path / "drive", storage)
    check(open_recording(folder), drive)
    (file,) = [file for file in folder.iterdir() if file.suffix in (".mcap", ".db3")]
    check(open_recording(file), drive)


def test_ros1_bag(tmp_path: Path, drive: Drive, write_rosbag1: WriteBag) -> None:
    check(open_recording(write_rosbag1(tmp_path / "drive.bag")), drive)


def test_frames_can_be_read_again(tmp_path: Path, write_mcap: WriteBag) -> None:
    recording = open_recording(write_mcap(tmp_path / "drive.mcap"))
    assert [frame.name for frame in recording.frames()] == [frame.name for frame in recording.frames()]


@pytest.mark.parametrize("storage", list(StoragePlugin))
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_cut_off_rosbag2(
    tmp_path: Path, drive: Drive, write_rosbag2: WriteRosbag2, storage: StoragePlugin, share: float
) -> None:
    folder = write_rosbag2(tmp_path / "drive", storage)
    (file,) = [file for file in folder.iterdir() if file.suffix in (".mcap", ".db3")]
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    recording = open_recording(folder)
    frames = list(recording.frames())
    assert 3 <= len(frames) < FRAMES
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(decode(frame.message), drive.images[index])
    (notice,) = recording.notices
    assert str(file) in notice
    assert (
        f"{drive.stamps[len(frames) - 1] / 1e9:.3f} s" in notice or f"{drive.stamps[len(frames)] / 1e9:.3f} s" in notice
    )
    assert "mends it" in notice or "mend it" in notice


@pytest.mark.parametrize("share", [0.6, 0.99])
def test_cut_off_mcap_and_ros1(
    tmp_path: Path, drive: Drive, write_mcap: WriteBag, write_rosbag1: WriteBag, share: float
) -> None:
    for path, fix in (
        (write_mcap(tmp_path / "a.mcap"), "mcap recover"),
        (write_rosbag1(tmp_path / "a.bag"), "reindex"),
    ):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        recording = open_recording(path)
        frames = list(recording.frames())
        assert FRAMES * share - 8 <= len(frames) <= FRAMES
        assert recording.frame_count == len(frames)
        for index, frame in enumerate(frames):
            np.testing.assert_array_equal(decode(frame.message), drive.images[index])
        (notice,) = recording.notices
        assert "is damaged" in notice
        assert fix in notice


def test_bag_whose_recorder_was_killed(tmp_path: Path, write_rosbag2: WriteRosbag2) -> None:
    folder = write_rosbag2(tmp_path / "drive", StoragePlugin.MCAP)
    (folder / "metadata.yaml").unlink()
    (tmp_path / "drive" / "drive.mcap").rename(folder / "drive_0.mcap")
    (folder / "drive_1.mcap").write_bytes((folder / "drive_0.mcap").read_bytes())
    recording = open_recording(folder)
    assert len(list(recording.frames())) == 2 * FRAMES
    assert "ros2 bag reindex" in recording.notices[0]


@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "a.bag"])
@pytest.mark.parametrize("content", [b"", b"not a bag at all" * 100])
def test_no_bag_at_all(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match="no message can be read"):
        open_recording(tmp_path / name)


def test_corrupt_chunk_in_the_middle(tmp_path: Path, drive: Drive, write_mcap: WriteBag) -> None:
    path = write_mcap(tmp_path / "drive.mcap")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)
    recording = open_recording(path)
    frames = list(recording.frames())
    assert len(frames) < FRAMES
    assert any("is damaged" in notice for notice in recording.notices)


def test_choice_of_topic(tmp_path: Path, drive: Drive) -> None:
    path = tmp_path / "stereo.mcap"
    with McapWriter(path) as bag:
        bag.write("/left/image_raw", drive.image(0), drive.stamps[0])
        bag.write("/right/image_raw", drive.image(1), drive.stamps[1])
    with pytest.raises(RecordingError, match=r"several image topics.*--topic: /left/image_raw \(1 images\), /right"):
        open_recording(path)
    with pytest.raises(RecordingError, match="no images on /up; choose with --topic: /left"):
        open_recording(path, topic="/up")
    recording = open_recording(path, topic="/right/image_raw")
    (frame,) = recording.frames()
    np.testing.assert_array_equal(decode(frame.message), drive.images[1])
    assert frame.camera_info is None
    assert "no CameraInfo on /right/camera_info" in recording.notices[0]


def test_depth_images_are_no_choice(tmp_path: Path, drive: Drive) -> None:
    path = tmp_path / "depth.mcap"
    with McapWriter(path) as bag:
        depth = messages.image(np.ones((120, 160), np.float32), "32FC1", drive.stamps[0], "camera")
        bag.write("/camera/depth", depth, drive.stamps[0])
        bag.write(IMAGE_TOPIC, drive.image(0), drive.stamps[0])
    assert open_recording(path).topic == IMAGE_TOPIC


def test_bag_without_images(tmp_path: Path, drive: Drive) -> None:
    path = tmp_path / "info.mcap"
    with McapWriter(path) as bag:
        bag.write(INFO_TOPIC, drive.info(0), drive.stamps[0])
    with pytest.raises(RecordingError, match=r"no image topic; its topics are: /camera/camera_info \(sensor_msgs"):
        open_recording(path)


def test_calibration_is_the_last_one_before_the_frame(tmp_path: Path, drive: Drive) -> None:
    path = tmp_path / "drive.mcap"
    with McapWriter(path) as bag:
        for index in range(4):
            bag.write(IMAGE_TOPIC, drive.image(index), drive.stamps[index])
            if index in (1, 2):
                bag.write(INFO_TOPIC, drive.info(index), drive.stamps[index] + PERIOD_NS // 2)
    stamps = [messages.stamp_of(frame.camera_info) for frame in open_recording(path).frames()]
    assert stamps == [drive.stamps[1], drive.stamps[1], drive.stamps[1], drive.stamps[2]]


def test_named_calibration(tmp_path: Path, drive: Drive) -> None:
    path = tmp_path / "drive.mcap"
    with McapWriter(path) as bag:
        bag.write(IMAGE_TOPIC, drive.image(0), drive.stamps[0])
        bag.write("/elsewhere", drive.info(0), drive.stamps[0])
    assert "--camera-info: /elsewhere" in open_recording(path).notices[0]
    (frame,) = open_recording(path, camera_info="/elsewhere").frames()
    assert frame.camera_info is not None
    with pytest.raises(RecordingError, match="no CameraInfo on /nowhere; name another with --camera-info: /elsewhere"):
        open_recording(path, camera_info="/nowhere")


def test_real_bags(shared_data: Path) -> None:
    fisheye = shared_data / "bags" / "t265_trimmed_locoffice.bag"
    with pytest.raises(RecordingError, match=r"/camera/fisheye1/image_raw .* /camera/fisheye2/image_raw"):
        open_recording(fisheye)
    frames = list(open_recording(fisheye, topic="/camera/fisheye2/image_raw").frames())
    assert [decode(frame.message).shape for frame in frames] == [(800, 848)] * 3
    assert frames[0].message.header.frame_id == "camera_fisheye2_optical_frame"
    (frame,) = open_recording(shared_data / "bags" / "aruco_images.bag").frames()
    assert decode(frame.message).shape == (960, 1280)
    assert camera_of(frame.camera_info).matrix[0, 0] == pytest.approx(1014.343)
