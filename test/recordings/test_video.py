from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from drives import FRAMES, Drive

from kp_ros.recordings.decoding import decode
from kp_ros.recordings.opening import open_recording
from kp_ros.recordings.recording import RecordingError


def write_video(path: Path, drive: Drive, rate: float = 20.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (160, 120))
    for image in drive.images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def test_video(tmp_path: Path, drive: Drive) -> None:
    recording = open_recording(write_video(tmp_path / "drive.avi", drive))
    frames = list(recording.frames())
    assert recording.frame_count == len(frames) == FRAMES
    assert [frame.recorded_ns for frame in frames] == [round(i * 50e6) for i in range(FRAMES)]
    for frame, image in zip(frames, drive.images, strict=True):
        assert frame.message.encoding == "bgr8"
        assert np.abs(decode(frame.message).astype(int) - image).mean() < 8
    assert "without calibration" in recording.notices[0]


def test_cut_off_video(tmp_path: Path, drive: Drive) -> None:
    path = write_video(tmp_path / "drive.avi", drive)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    recording = open_recording(path)
    count = len(list(recording.frames()))
    assert 0 < count < FRAMES
    # Cut off, the file has lost its own count of frames too; where it has not, the user hears of it.
    if recording.frame_count:
        assert any(f"ends after {count} of {recording.frame_count}" in notice for notice in recording.notices)


def test_no_video(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(RecordingError, match="no video that OpenCV can read"):
        open_recording(path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="does not exist"):
        open_recording(tmp_path / "nowhere.mp4")
