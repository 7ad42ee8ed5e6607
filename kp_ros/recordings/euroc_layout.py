"""EuRoC MAV (Burri et al. 2016, "The EuRoC micro aerial vehicle datasets"), in the ASL layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import yaml

from kp_ros.camera import CalibrationError, Camera
from kp_ros.odometry.base import Mode
from kp_ros.recordings.recording import RecordingError
from kp_ros.recordings.sensor_folder import Matrix, Rectification, SensorFolder, Times, pinhole
from kp_ros.recordings.sensor_recording import decimal_seconds

#: ASL's name of a distortion model -> ROS's.
ASL_MODELS = {"radial-tangential": "plumb_bob", "radtan": "plumb_bob", "equidistant": "equidistant"}


def is_euroc(path: Path) -> bool:
    """Whether a folder is one sequence of EuRoC."""
    return (path / "mav0").is_dir() or (path / "cam0" / "data.csv").is_file()


def read_euroc(path: Path, mode: Mode | None) -> SensorFolder:
    """Open ``mav0/cam0`` and, of stereo, ``cam1``, rectified by their ``sensor.yaml``.

    :param mode: mono (not rectified) or stereo; None takes what is there.
    :raises RecordingError: something is missing or cannot be used.
    """
    root = path / "mav0" if (path / "mav0").is_dir() else path
    if mode is Mode.RGBD:
        raise RecordingError(f"{path} is EuRoC, which has no depth images; choose --mode stereo or mono")
    left, left_to_body = _asl_camera(root / "cam0" / "sensor.yaml")
    images = _asl_images(root / "cam0")
    if mode is Mode.MONO or (mode is None and not (root / "cam1").is_dir()):
        return SensorFolder(path, list(images.values()), _asl_times(images), left)
    right, right_to_body = _asl_camera(root / "cam1" / "sensor.yaml")
    others = _asl_images(root / "cam1")
    common = {stamp: file for stamp, file in images.items() if stamp in others}
    if not common:
        raise RecordingError(f"no two images of {root / 'cam0'} and cam1 have one stamp; both must be of one sequence")
    rectification, camera, baseline = rectify(left, right, np.linalg.inv(right_to_body) @ left_to_body)
    sequence = SensorFolder(path, list(common.values()), _asl_times(common), camera, rectification=rectification)
    sequence.right_files, sequence.baseline = [others[stamp] for stamp in common], baseline
    if len(common) < len(images):
        sequence.notices.append(f"{len(images) - len(common)} images of cam0 have no partner in cam1: left out")
    return sequence


def rectify(left: Camera, right: Camera, left_to_right: Matrix) -> tuple[Rectification, Camera, float]:
    """Turn two cameras so that a point's two places share their row (Bouguet's method, as OpenCV has it).

    :param left_to_right: float64 [4, 4], from the left camera's frame to the right one's, metres.
    :returns: the maps, the camera of both rectified images, and the baseline in metres.
    """
    size = (left.width, left.height)
    rotation, translation = left_to_right[:3, :3], left_to_right[:3, 3:].copy()
    fisheye = left.model == "equidistant"
    if fisheye:
        r1, r2, p1, p2, _ = cv2.fisheye.stereoRectify(
            *(left.matrix, left.distortion, right.matrix, right.distortion),
            *(size, rotation, translation),
            flags=cv2.CALIB_ZERO_DISPARITY,
            balance=0.0,
        )
    else:
        r1, r2, p1, p2, *_ = cv2.stereoRectify(
            *(left.matrix, left.distortion, right.matrix, right.distortion),
            *(size, rotation, translation),
            flags=cv2.CALIB_ZERO_DISPARITY,
            alpha=0,
        )
    make = cv2.fisheye.initUndistortRectifyMap if fisheye else cv2.initUndistortRectifyMap
    maps = [
        make(one.matrix, one.distortion, turn, projection[:, :3], size, cv2.CV_16SC2)
        for one, turn, projection in ((left, r1, p1), (right, r2, p2))
    ]
    camera = Camera(*size, np.asarray(p1[:, :3], np.float64), np.zeros(0))
    baseline = -float(p2[0, 3] / p2[0, 0])
    if baseline <= 0:
        raise RecordingError("cam1 is not to the right of cam0; exchange the two cameras, or choose --mode mono")
    return Rectification(maps[0], maps[1]), camera, baseline


def _asl_images(place: Path) -> dict[int, Path]:
    file = place / "data.csv"
    if not file.is_file():
        raise RecordingError(f"{file} does not exist; unpack the sequence in its ASL layout")
    lines = (line for line in file.read_text().splitlines() if line.strip() and not line.startswith("#"))
    rows = [[value.strip() for value in line.split(",")] for line in lines]
    return {int(row[0]): place / "data" / row[1] for row in rows}


def _asl_times(images: dict[int, Path]) -> Times:
    return Times(list(images), [decimal_seconds(stamp) for stamp in images])


def _asl_camera(file: Path) -> tuple[Camera, Matrix]:
    """The camera, and its pose in the body's frame."""
    try:
        # Calibration tools write OpenCV's "%YAML:1.0", which YAML itself does not know.
        text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("%"))
        sensor = yaml.safe_load(text)
        width, height = (int(value) for value in sensor["resolution"])
        camera = Camera(
            width,
            height,
            pinhole(*(float(value) for value in sensor["intrinsics"])),
            np.array(sensor["distortion_coefficients"], np.float64),
            ASL_MODELS[sensor["distortion_model"]],
        )
        return camera, np.array(sensor["T_BS"]["data"], np.float64).reshape(4, 4)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, CalibrationError) as error:
        raise RecordingError(f"{file} makes no camera: {error}; correct it") from error
