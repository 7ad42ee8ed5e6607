from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from kp_ros.frontend import Frontend
from kp_ros.offline.overlay import VideoFile, fitted, measured_rate, overlay_sheet, overlay_video, sheet
from kp_ros.recordings.opening import open_recording
from kp_ros.recordings.output import OutputError
from kp_ros.recordings.recording import RecordingError


def test_video_plays(tmp_path: Path, source: Path, frontend: Frontend) -> None:
    output = tmp_path / "out.mp4"
    summary = overlay_video(open_recording(source), frontend, output)
    capture = cv2.VideoCapture(str(output))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(30, abs=0.01)
    pictures = []
    while (read := capture.read())[0]:
        pictures.append(read[1])
    assert len(pictures) == summary.frames == 9
    # Twice the image's size, and in colour: points are drawn.
    assert pictures[-1].shape == (480, 640, 3)
    assert (pictures[-1].max(2).astype(int) - pictures[-1].min(2) > 60).mean() > 0.005


def test_sheet_and_single_frame(tmp_path: Path, source: Path, frontend: Frontend) -> None:
    overlay_sheet(open_recording(source), frontend, tmp_path / "sheet.png", tiles=4)
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture.shape[0] > 480
    assert picture.shape[1] > 640
    summary = overlay_sheet(open_recording(source), frontend, tmp_path / "one.png", frame=2)
    assert summary.frames == 3
    assert cv2.imread(str(tmp_path / "one.png")).shape == (480, 640, 3)
    with pytest.raises(RecordingError, match="has no frame 10; choose one from 0 to 9"):
        overlay_sheet(open_recording(source), frontend, tmp_path / "none.png", frame=10)


def test_full_disk(tmp_path: Path) -> None:
    (tmp_path / f".out.{os.getpid()}.part.mp4").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"out\.mp4"), VideoFile(tmp_path / "out.mp4", 30.0) as video:
        for _ in range(5):
            video.write(np.zeros((64, 64, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_video_keeps_its_size(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "out.mp4", 10.0) as video:
        for shape in ((61, 81, 3), (122, 162, 3), (30, 30, 3)):
            video.write(np.full(shape, 200, np.uint8))
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert [capture.read()[1].shape for _ in range(3)] == [(60, 80, 3)] * 3


def test_fitted_keeps_the_aspect() -> None:
    picture = fitted(np.full((100, 50, 3), 255, np.uint8), 200, 200)
    assert (picture[:, 50:150] == 255).all()
    assert (picture[:, :50] == 0).all()


def test_sheet_has_room_for_every_picture() -> None:
    pictures = [np.full((60, 80, 3), 40 * (index + 1), np.uint8) for index in range(5)]
    whole = sheet(pictures, gap=4)
    assert set(np.unique(whole)) == {0, 40, 80, 120, 160, 200}
    assert 1 < whole.shape[1] / whole.shape[0] < 2.5


def test_rate_of_the_recording(source: Path) -> None:
    assert measured_rate(open_recording(source)) == pytest.approx(30, rel=1e-6)
