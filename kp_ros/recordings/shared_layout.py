"""The layout of this project's own data: a folder of images with ``calib.json``."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kp_ros.camera import CalibrationError, Camera
from kp_ros.depth_decoding import register_depth
from kp_ros.features import Float32
from kp_ros.odometry.base import Mode
from kp_ros.recordings.image_folder import image_files
from kp_ros.recordings.messages import NANOSECONDS
from kp_ros.recordings.recording import RecordingError
from kp_ros.recordings.sensor_folder import Matrix, SensorFolder, Times, partners, pinhole
from kp_ros.recordings.sensor_recording import decimal_seconds, nanoseconds_of


def is_shared_layout(path: Path) -> bool:
    """Whether a folder holds ``images/`` or images, and ``calib.json``."""
    return path.is_dir() and (path / "calib.json").is_file() and bool(image_files(path))


def read_shared_layout(
    path: Path, mode: Mode | None, rate: float = 30.0, depth_camera: Matrix | None = None
) -> SensorFolder:
    """Open a folder of ``images/``, with ``images_right/`` or ``depth/`` where the mode needs them.

    ``calib.json`` holds ``fx fy cx cy width height`` and ``dist`` (k1 k2 p1 p2 k3, or of a ``distortion_model``). Of
    stereo it needs ``baseline`` (metres). Of depth it needs ``depth_scale`` (metres = value x scale), and may have
    ``depth_invalid`` (a value beside 0 that says unknown), ``depth_K`` (fx fy cx cy of a depth camera that is not
    registered with the images) and ``depth_to_camera`` (its pose in the camera's frame, 16 values row by row, metres).

    :param mode: None takes what is there.
    :param rate: images a second, where neither ``poses_tum.txt`` nor the names tell times.
    :param depth_camera: float64 [3, 3], K of a depth camera that is not registered; instead of ``depth_K``.
    :raises RecordingError: something is missing or cannot be used.
    """
    file = path / "calib.json"
    calibration = _json(file)
    files = image_files(path)
    notices: list[str] = []
    try:
        camera = Camera(
            int(calibration["width"]),
            int(calibration["height"]),
            pinhole(*(float(calibration[name]) for name in ("fx", "fy", "cx", "cy"))),
            np.array(calibration.get("dist", []), np.float64),
            calibration.get("distortion_model", "plumb_bob"),
        )
        sequence = SensorFolder(path, files, _times(path, files, rate, notices), camera, notices=notices)
        chosen = mode or _mode(path, calibration)
        if chosen is Mode.STEREO:
            sequence.right_files = partners(path / "images_right", files)
            sequence.baseline = float(calibration["baseline"])
        elif chosen is Mode.RGBD:
            sequence.depth_files = partners(path / "depth", files)
            sequence.load_depth = _depth_loader(calibration, camera, depth_camera)
    except KeyError as error:
        raise RecordingError(f"{file} lacks {error}; add it") from error
    except (ValueError, TypeError, CalibrationError) as error:
        raise RecordingError(f"{file} cannot be used: {error}; correct it") from error
    return sequence


def _json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RecordingError(f"{file} cannot be used: {error}; it needs fx, fy, cx, cy, width, height") from error


def _mode(path: Path, calibration: dict[str, Any]) -> Mode:
    if (path / "depth").is_dir() and "depth_scale" in calibration:
        return Mode.RGBD
    return Mode.STEREO if (path / "images_right").is_dir() and "baseline" in calibration else Mode.MONO


def _depth_loader(
    calibration: dict[str, Any], camera: Camera, depth_camera: Matrix | None
) -> Callable[[Path], Float32]:
    scale, invalid = float(calibration["depth_scale"]), calibration.get("depth_invalid")
    matrix = depth_camera
    if matrix is None and "depth_K" in calibration:
        matrix = pinhole(*(float(value) for value in calibration["depth_K"]))
    moved = calibration.get("depth_to_camera")
    to_camera = None if moved is None else np.array(moved, np.float64).reshape(4, 4)

    def load(file: Path) -> Float32:
        values = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if values is None or values.ndim != 2:
            raise RecordingError(f"{file} cannot be read as a depth image; delete it, or save it again")
        depth = np.multiply(values, np.float32(scale), dtype=np.float32)
        if invalid is not None:
            depth[values == invalid] = 0
        return depth if matrix is None else register_depth(depth, matrix, camera, to_camera)

    return load


def _times(path: Path, files: list[Path], rate: float, notices: list[str]) -> Times:
    """The first column of poses_tum.txt; else the names, where they are times or numbers; else a steady rate."""
    poses = path / "poses_tum.txt"
    texts = [file.stem for file in files]
    source = "the names of the images"
    if poses.is_file():
        lines = (line.split() for line in poses.read_text().splitlines() if not line.lstrip().startswith("#"))
        first = [fields[0] for fields in lines if fields]
        if len(first) == len(files):
            texts, source = first, str(poses)
        else:
            notices.append(f"{poses} has {len(first)} times for {len(files)} images: not used")
    steady = [round(number * NANOSECONDS / rate) for number in range(len(files))]
    if not all(re.fullmatch(r"\d+(\.\d*)?([eE][+-]?\d+)?", text) for text in texts):
        return Times(steady, [decimal_seconds(stamp) for stamp in steady])
    if all(re.fullmatch(r"\d{16,19}", text) for text in texts):
        # EuRoC names its images by nanoseconds.
        texts = [decimal_seconds(int(text)) for text in texts]
    stamps = [nanoseconds_of(text) for text in texts]
    if any(after <= before for before, after in itertools.pairwise(stamps)):
        notices.append(f"the times in {source} do not increase: {rate:g} Hz instead")
        return Times(steady, [decimal_seconds(stamp) for stamp in steady])
    if len(stamps) > 1 and all(stamp % NANOSECONDS == 0 for stamp in stamps):
        notices.append(f"{source} numbers the frames instead of timing them: motion is timed at {rate:g} Hz (--fps)")
        stamps = [round(stamp / rate) for stamp in stamps]
    return Times(stamps, texts)
