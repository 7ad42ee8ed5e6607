from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from carried_camera import START_NS, Recording, write_bag
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer

from kp_ros.recordings import messages
from kp_ros.recordings.recording import RecordingError
from training.data.bags.conversion import convert
from training.data.bags.planning import ConversionOptions
from training.data.bags.report import Report
from training.data.bags.topics import AskedTopics
from training.data.readers.shared_layout import read_shared_layout
from training.data.sequence import DatasetError, Sequence, SequenceFrame

#: Everything is kept, as far as it is good.
ALL = ConversionOptions(least_motion=0, least_sharpness=0, pairs=False, lossless=True)


def converted(bag: Path, options: ConversionOptions = ALL) -> tuple[Sequence, Report]:
    output = bag.with_name("dataset")
    report = convert(bag, output, options)
    assert json.loads((output / "report.json").read_text())["kept"] == report.kept
    assert (output / "overview.jpg").stat().st_size > 0
    return read_shared_layout(output), report


def assert_poses(sequence: Sequence, frames: list[SequenceFrame]) -> None:
    assert sequence.poses is not None
    truth = np.array([frame.pose for frame in frames])
    np.testing.assert_allclose(sequence.poses, truth, atol=1e-7)


@pytest.mark.parametrize("jpeg", [False, True])
def test_a_real_recording_comes_back_as_it_was(office_frames: list[SequenceFrame], tmp_path: Path, jpeg: bool) -> None:
    sequence, report = converted(write_bag(tmp_path / "office.mcap", office_frames, Recording(jpeg=jpeg)))
    assert report.kept == len(office_frames) == len(sequence)
    assert report.poses.agreement < 2, "the device's poses agree with its images to about a pixel"
    assert_poses(sequence, office_frames)
    for index, frame in enumerate(office_frames):
        again = sequence.frame(index)
        assert again.stamp_ns == START_NS + index * 100_000_000
        assert again.depth is not None
        assert frame.depth is not None
        np.testing.assert_allclose(again.depth, frame.depth, atol=1e-6)
        assert again.camera is not None
        assert frame.camera is not None
        np.testing.assert_allclose(again.camera.matrix, frame.camera.matrix)
        expected = cv2.imdecode(cv2.imencode(".jpg", frame.image)[1], cv2.IMREAD_COLOR) if jpeg else frame.image
        np.testing.assert_array_equal(again.image, expected)


@pytest.mark.parametrize("poses", ["odometry", "base", "tf", "pose"])
def test_poses_are_the_cameras_however_they_are_recorded(
    room_frames: list[SequenceFrame], tmp_path: Path, poses: str
) -> None:
    sequence, report = converted(write_bag(tmp_path / "room.mcap", room_frames, Recording(poses=poses)))
    assert report.kept == len(room_frames)
    assert_poses(sequence, room_frames)
    assert report.poses.given == (poses != "pose"), "without /tf, the images decide how the camera looks"
    assert report.poses.agreement < 1


def test_poses_of_other_times_are_interpolated(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    late = Recording(pose_late_ns=30_000_000)
    sequence, report = converted(write_bag(tmp_path / "late.mcap", room_frames, late))
    assert report.dropped == {"without pose": 1}, "the first image is before the first pose"
    assert sequence.poses is not None
    before, after = room_frames[3].pose, room_frames[4].pose
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(sequence.poses[3, :3, 3], 0.3 * before[:3, 3] + 0.7 * after[:3, 3], atol=1e-7)


def test_depth_in_metres(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    sequence, _ = converted(write_bag(tmp_path / "room.mcap", room_frames, Recording(depth="32FC1")))
    depth = sequence.depth(5)
    assert depth is not None
    assert room_frames[5].depth is not None
    np.testing.assert_allclose(depth, room_frames[5].depth, atol=0.0006)


def test_without_camera_info_the_images_stay(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    sequence, report = converted(write_bag(tmp_path / "room.mcap", room_frames, Recording(info=False, poses="")))
    assert (len(sequence), sequence.cameras, sequence.has_depth) == (len(room_frames), None, False)
    assert any("no CameraInfo" in note for note in report.notes)
    assert any("depth left out" in note for note in report.notes)
    assert sequence.stamps_ns[1] == START_NS + 100_000_000, "names tell the time where poses do not"


def test_two_clocks_are_told_and_the_rest_is_kept(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    hour = Recording(pose_late_ns=3_600_000_000_000)
    sequence, report = converted(write_bag(tmp_path / "room.mcap", room_frames, hour))
    assert (len(sequence), sequence.poses, sequence.has_depth) == (len(room_frames), None, True)
    assert any("3600.0 s ahead of those of images" in note for note in report.notes)


def test_depth_that_is_not_synchronised_is_left_out(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "room.mcap", room_frames, Recording(depth_late_ns=40_000_000))
    sequence, report = converted(bag)
    assert not sequence.has_depth
    assert_poses(sequence, room_frames)
    assert any("depth left out: only 0% of the images" in note and "--tolerance" in note for note in report.notes)


def test_a_truncated_bag_gives_its_good_part(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    whole = write_bag(tmp_path / "whole.mcap", room_frames * 4)
    bag = tmp_path / "cut.mcap"
    bag.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    sequence, report = converted(bag)
    assert 10 < len(sequence) < 40
    assert sequence.has_depth
    assert any("damaged" in note and "mcap recover" in note for note in report.notes)


def test_broken_images_are_counted_and_named(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "room.mcap", room_frames[:4], Recording(jpeg=True, depth="", poses=""))
    from kp_ros.recordings.mcap_writer import McapWriter

    with McapWriter(bag) as writer:
        for index, frame in enumerate(room_frames[:4]):
            data = cv2.imencode(".jpg", frame.image)[1].tobytes()
            cut = data[:500] if index == 2 else data
            stamp = START_NS + index * 100_000_000
            writer.write("/camera/image/compressed", messages.compressed_image(cut, "jpeg", stamp, "camera"), stamp)
    _, report = converted(bag)
    assert (report.kept, report.dropped) == (3, {"cannot be decoded": 1})
    assert "image 2" in report.problems[0]
    assert "cut off" in report.problems[0]


def test_still_and_blurred_images_are_left_out(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    from dataclasses import replace

    blurred = [replace(frame, image=cv2.GaussianBlur(frame.image, (0, 0), 4)) for frame in room_frames]
    frames = [room_frames[0]] * 3 + room_frames[1:4] + [blurred[4]] + room_frames[5:8]
    bag = write_bag(tmp_path / "room.mcap", frames)
    _, report = converted(bag, ConversionOptions(pairs=False))
    assert report.dropped == {"without motion": 2, "blurred or empty": 1}
    assert report.kept == len(frames) - 3


def test_pairs_are_labelled_by_matching(
    room_frames: list[SequenceFrame], office_frames: list[SequenceFrame], tmp_path: Path
) -> None:
    small = [cv2.resize(frame.image, (320, 240), interpolation=cv2.INTER_AREA) for frame in office_frames]
    from dataclasses import replace

    frames = room_frames + [replace(room_frames[0], image=image) for image in small]
    bag = write_bag(tmp_path / "two.mcap", frames, Recording(info=False, depth="", poses=""))
    sequence, report = converted(bag, ConversionOptions(least_motion=0, least_sharpness=0))
    assert report.positive_pairs >= 10
    assert report.negative_pairs >= 3
    place = {name: index < len(room_frames) for index, name in enumerate(sequence.frame_names)}
    assert all(place[pair.first] == place[pair.second] for pair in sequence.pairs if pair.label > 0)
    assert sum(pair.label < 0 for pair in sequence.pairs) == report.negative_pairs


def test_a_rosbag2_folder_of_sqlite3(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    types = messages.typestore()
    with Rosbag2Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as bag:
        topic = bag.add_connection("/image_raw", "sensor_msgs/msg/Image", typestore=types)
        for index, frame in enumerate(room_frames[:3]):
            image = messages.image(frame.image, "bgr8", START_NS + index, "camera")
            bag.write(topic, START_NS + index, types.serialize_cdr(image, image.__msgtype__))
    sequence, _ = converted(tmp_path / "bag")
    np.testing.assert_array_equal(sequence.image(2), room_frames[2].image)


@pytest.mark.parametrize(("name", "images"), [("t265_trimmed_locoffice.bag", 2), ("aruco_images.bag", 1)])
def test_the_real_bags_of_ros_1(shared_data: Path, tmp_path: Path, name: str, images: int) -> None:
    report = convert(shared_data / "bags" / name, tmp_path / "dataset", ALL)
    sequence = read_shared_layout(tmp_path / "dataset")
    assert report.kept == images == len(sequence)
    assert sequence.image(0).shape[:2] in ((800, 848), (960, 1280))
    assert (sequence.cameras is None) == name.startswith("t265")
    assert (sequence.poses is None) == name.startswith("aruco")


def test_what_cannot_be_converted_says_why_and_leaves_nothing(room_frames: list[SequenceFrame], tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "room.mcap", room_frames[:2])
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    black = [SequenceFrame("a", 0, np.zeros((240, 320, 3), np.uint8), None, None, None, np.ones((240, 320), bool))]
    dark = write_bag(tmp_path / "dark.mcap", black, Recording(info=False, depth="", poses=""))
    asked = ConversionOptions(topics=AskedTopics(image="/other"))
    for path, output, options, error, reason in (
        (tmp_path / "nowhere.bag", "out", ALL, RecordingError, "does not exist"),
        (bag, "full", ALL, DatasetError, "is there already"),
        (bag, "out", asked, RecordingError, "no images on /other; its image topics are: /camera/image"),
        (dark, "out", ALL, DatasetError, "can be kept: 1 blurred or empty"),
    ):
        with pytest.raises(error, match=reason):
            convert(path, tmp_path / output, options)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["dark.mcap", "full", "room.mcap"]
