"""KITTI odometry (Geiger et al. 2012, "Are we ready for Autonomous Driving?"), as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kp_ros.camera import Camera
from kp_ros.odometry.base import Mode
from kp_ros.recordings.recording import RecordingError
from kp_ros.recordings.sensor_folder import SensorFolder, Times, partners, read_grey
from kp_ros.recordings.sensor_recording import nanoseconds_of


def is_kitti(path: Path) -> bool:
    """Whether a folder is one sequence of KITTI odometry."""
    return (path / "calib.txt").is_file() and (path / "times.txt").is_file()


def read_kitti(path: Path, mode: Mode | None) -> SensorFolder:
    """Open ``image_0/ image_1/ calib.txt times.txt``, or the colour images 2 and 3 where those are alone.

    :param mode: mono or stereo; None takes what is there.
    :raises RecordingError: something is missing or cannot be used.
    """
    left, right = (0, 1) if (path / "image_0").is_dir() else (2, 3)
    files = sorted((path / f"image_{left}").glob("*.png")) if (path / f"image_{left}").is_dir() else []
    if not files:
        raise RecordingError(f"{path} has neither image_0/ nor image_2/ with images; unpack them beside calib.txt")
    if mode is Mode.RGBD:
        raise RecordingError(f"{path} is KITTI odometry, which has no depth images; choose --mode stereo or mono")
    rows = dict(line.split(":", 1) for line in (path / "calib.txt").read_text().splitlines() if ":" in line)
    try:
        projections = [np.array(rows[f"P{one}"].split(), np.float64).reshape(3, 4) for one in (left, right)]
        texts = (path / "times.txt").read_text().split()
        stamps = [nanoseconds_of(text) for text in texts]
    except (KeyError, ValueError) as error:
        raise RecordingError(f"{path} cannot be used: calib.txt needs P{left} and P{right} ({error})") from error
    if len(stamps) != len(files):
        raise RecordingError(f"{path / 'times.txt'} has {len(stamps)} times for {len(files)} images")
    height, width = read_grey(files[0]).shape
    camera = Camera(width, height, projections[0][:, :3], np.zeros(0))
    sequence = SensorFolder(path, files, Times(stamps, texts), camera)
    if mode is Mode.STEREO or (mode is None and (path / f"image_{right}").is_dir()):
        sequence.right_files = partners(path / f"image_{right}", files)
        sequence.baseline = float((projections[0][0, 3] - projections[1][0, 3]) / projections[0][0, 0])
    return sequence
