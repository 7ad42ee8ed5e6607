from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from drives import Drive

from kp_ros.recordings import messages
from kp_ros.recordings.decoding import Decoding, camera_of, decode
from kp_ros.recordings.image_folder import ImageFolder
from kp_ros.recordings.opening import open_recording
from kp_ros.recordings.recording import RecordingError

CALIBRATION = {"fx": 500.0, "fy": 501.0, "cx": 80.0, "cy": 60.0, "width": 160, "height": 120, "dist": [0.1, 0, 0, 0, 0]}


def write_folder(
    path: Path, drive: Drive, count: int = 4, suffix: str = ".png", times: list[str] | None = None
) -> Path:
    (path / "images").mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(path / "images" / f"{index:03d}{suffix}"), drive.images[index])
    (path / "calib.json").write_text(json.dumps(CALIBRATION))
    if times is not None:
        lines = ["# timestamp tx ty tz qx qy qz qw", *(f"{time} 0 0 0 0 0 0 1" for time in times)]
        (path / "poses_tum.txt").write_text("\n".join(lines))
    return path


def stamps(folder: ImageFolder) -> list[int]:
    return [messages.stamp_of(frame.message) for frame in folder.frames()]


def test_images_calibration_and_times(tmp_path: Path, drive: Drive) -> None:
    times = ["1305031232.861666123", "1305031232.9", "1305031233", "1305031233.000000001"]
    folder = ImageFolder(write_folder(tmp_path, drive, times=times))
    frames = list(folder.frames())
    assert [frame.name for frame in frames] == ["000.png", "001.png", "002.png", "003.png"]
    assert stamps(folder) == [1305031232861666123, 1305031232900000000, 1305031233000000000, 1305031233000000001]
    assert (folder.topic, folder.camera_info_topic) == ("/camera/image_raw/compressed", "/camera/camera_info")
    for frame, image in zip(frames, drive.images, strict=False):
        np.testing.assert_array_equal(decode(frame.message), image)
        camera = camera_of(frame.camera_info)
        assert (camera.matrix[0, 0], camera.matrix[1, 1], camera.distortion[0]) == (500.0, 501.0, 0.1)
    assert folder.notices == []


def test_numbers_of_frames_are_no_seconds(tmp_path: Path, drive: Drive) -> None:
    folder = ImageFolder(write_folder(tmp_path, drive, times=["3", "4", "5", "7"]), rate=10.0)
    assert stamps(folder) == [300_000_000, 400_000_000, 500_000_000, 700_000_000]
    assert "numbers the frames" in folder.notices[0]


def test_names_that_are_times(tmp_path: Path, drive: Drive) -> None:
    for name in ("12.5", "12.75"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), drive.images[0])
    assert stamps(ImageFolder(tmp_path)) == [12_500_000_000, 12_750_000_000]


@pytest.mark.parametrize(
    ("times", "notice"),
    [
        (["1.5", "2.5"], "has 2 times for 4 images"),
        (["1.5", "2.5", "2.5", "3.5"], "do not increase"),
        (["one", "two", "three", "four"], "times in seconds"),
    ],
)
def test_times_that_make_no_sense(tmp_path: Path, drive: Drive, times: list[str], notice: str) -> None:
    folder = ImageFolder(write_folder(tmp_path, drive, times=times), rate=20.0)
    assert stamps(folder) == [0, 50_000_000, 100_000_000, 150_000_000]
    assert notice in folder.notices[0]


def test_colour_and_16_bit_files_are_sent_decoded(tmp_path: Path, drive: Drive) -> None:
    cv2.imwrite(str(tmp_path / "0.bmp"), np.dstack([drive.images[0]] * 3))
    cv2.imwrite(str(tmp_path / "1.tiff"), drive.images[0].astype(np.uint16) * 256)
    folder = ImageFolder(tmp_path)
    assert folder.topic == "/camera/image_raw"
    assert [frame.message.encoding for frame in folder.frames()] == ["bgr8", "mono16"]


def test_corrupt_images_are_skipped_and_named(tmp_path: Path, drive: Drive) -> None:
    folder = write_folder(tmp_path, drive, suffix=".jpg")
    victim = folder / "images" / "002.jpg"
    victim.write_bytes(victim.read_bytes()[:-200])
    (folder / "images" / "001.jpg").write_bytes(b"")
    decoding = Decoding(ImageFolder(folder))
    assert [decoded.frame.name for decoded in decoding.frames()] == ["000.jpg", "003.jpg"]
    (notice,) = decoding.notices
    assert "2 frames could not be decoded" in notice
    assert "001.jpg" in notice
    assert "002.jpg (the JPEG image ends" in notice


def test_corrupt_images_that_are_sent_decoded(tmp_path: Path, drive: Drive) -> None:
    folder = write_folder(tmp_path, drive, suffix=".bmp")
    (folder / "images" / "001.bmp").write_bytes(b"BM no picture")
    recording = ImageFolder(folder)
    assert [frame.name for frame in recording.frames()] == ["000.bmp", "002.bmp", "003.bmp"]
    assert recording.notices == ["1 images could not be read and were skipped: 001.bmp"]


def test_calibration_that_cannot_be_used(tmp_path: Path, drive: Drive) -> None:
    folder = write_folder(tmp_path, drive)
    (folder / "calib.json").write_text("{")
    with pytest.raises(RecordingError, match=r"calib\.json cannot be used"):
        open_recording(folder)
    (folder / "calib.json").write_text(json.dumps({"fx": 1}))
    with pytest.raises(RecordingError, match=r"calib\.json lacks 'fy'"):
        open_recording(folder)
    (folder / "calib.json").write_text(json.dumps({**CALIBRATION, "fx": 0}))
    with pytest.raises(RecordingError, match="uncalibrated"):
        open_recording(folder)


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="neither a bag nor images"):
        open_recording(tmp_path)


@pytest.mark.parametrize("name", ["hololens", "icl_kt3", "karlsruhe", "kitti_06", "redkitchen", "tum_fr1_rpy"])
def test_every_real_sequence(shared_data: Path, name: str) -> None:
    recording = open_recording(shared_data / name)
    frames = list(recording.frames())
    files = sorted((shared_data / name / "images").iterdir())
    assert [frame.name for frame in frames] == [file.name for file in files]
    times = [frame.recorded_ns for frame in frames]
    assert all(after > before for before, after in itertools.pairwise(times))
    # Frames of a camera, not of a slide show.
    assert 0.01e9 < np.median(np.diff(np.array(times))) < 0.2e9
    first = decode(frames[0].message)
    np.testing.assert_array_equal(first, cv2.imread(str(files[0]), cv2.IMREAD_GRAYSCALE))
    assert camera_of(frames[0].camera_info).resized(first.shape[1], first.shape[0])
