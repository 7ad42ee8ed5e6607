"""EuRoC MAV (Burri et al. 2016, "The EuRoC micro aerial vehicle datasets"), as published in the ASL layout.

mav0/cam0/                           data/*.png, data.csv ("timestamp [ns],file"), sensor.yaml (T_BS: camera to
                                     body; intrinsics; distortion_model; distortion_coefficients; resolution)
mav0/state_groundtruth_estimate0/    data.csv: timestamp [ns], position x y z, quaternion w x y z of the body in
                                     the world, ...; sensor.yaml (T_BS)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from kp_ros.camera import CalibrationError, Camera
from training.data.sequence import DatasetError, ImageFiles, Poses, Sequence, pose_matrices
from training.data.trajectory import in_order, interpolate

#: ASL's name of a distortion model -> ROS's.
MODELS = {"radial-tangential": "plumb_bob", "radtan": "plumb_bob", "equidistant": "equidistant"}
#: The ground truth runs at 200 Hz.
POSE_GAP_NS = 100_000_000
TRUTH = "state_groundtruth_estimate0"


def is_euroc(folder: Path) -> bool:
    """Whether a folder looks like one sequence of this layout."""
    return (folder / "mav0").is_dir() or (folder / "cam0" / "data.csv").is_file()


def read_euroc(folder: Path, camera: int = 0) -> Sequence:
    """Open one camera of a sequence. Images before and after the ground truth have no pose.

    :param folder: the one that holds ``mav0``, or ``mav0`` itself.
    :raises DatasetError: a file is missing or cannot be used.
    """
    root = folder / "mav0" if (folder / "mav0").is_dir() else folder
    place = root / f"cam{camera}"
    rows = _csv(place / "data.csv")
    stamps = np.array([int(row[0]) for row in rows], np.int64)
    sensor = _yaml(place / "sensor.yaml")
    named = root.resolve().parent if root.name == "mav0" else root.resolve()
    return Sequence(
        name=named.name,
        frame_names=tuple(Path(row[1]).stem for row in rows),
        stamps_ns=stamps,
        load_image=ImageFiles(tuple(place / "data" / row[1] for row in rows)),
        cameras=(_camera(sensor, place / "sensor.yaml"),) * len(rows),
        poses=_poses(root / TRUTH, stamps, _transform(sensor, place / "sensor.yaml")),
    )


def _csv(file: Path) -> list[list[str]]:
    if not file.is_file():
        raise DatasetError(f"{file} does not exist; unpack the sequence in its ASL layout")
    lines = (line for line in file.read_text().splitlines() if line.strip() and not line.startswith("#"))
    return [[field.strip() for field in line.split(",")] for line in lines]


def _yaml(file: Path) -> dict[str, Any]:
    try:
        # Calibration tools write OpenCV's "%YAML:1.0", which YAML itself does not know.
        text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("%"))
        return dict(yaml.safe_load(text))
    except (OSError, yaml.YAMLError, TypeError, ValueError) as error:
        raise DatasetError(f"{file} cannot be used: {error}") from error


def _transform(sensor: dict[str, Any], file: Path) -> NDArray[np.float64]:
    try:
        return np.array(sensor["T_BS"]["data"], np.float64).reshape(4, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{file} has no T_BS of 16 values ({error})") from error


def _camera(sensor: dict[str, Any], file: Path) -> Camera:
    try:
        fx, fy, cx, cy = (float(value) for value in sensor["intrinsics"])
        width, height = (int(value) for value in sensor["resolution"])
        model = MODELS[sensor["distortion_model"]]
        distortion = np.array(sensor["distortion_coefficients"], np.float64)
        return Camera(width, height, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), distortion, model)
    except (KeyError, TypeError, ValueError, CalibrationError) as error:
        raise DatasetError(f"{file} makes no camera: {error}") from error


def _poses(folder: Path, stamps: NDArray[np.int64], camera_to_body: NDArray[np.float64]) -> Poses | None:
    if not folder.is_dir():
        return None
    rows = _csv(folder / "data.csv")
    values = np.array([row[1:8] for row in rows], np.float64).reshape(-1, 7)
    truth = pose_matrices(values[:, :3], values[:, [4, 5, 6, 3]])
    if (folder / "sensor.yaml").is_file():
        # The truth's own frame, in the body's.
        truth = truth @ np.linalg.inv(_transform(_yaml(folder / "sensor.yaml"), folder / "sensor.yaml"))
    trajectory = in_order(np.array([int(row[0]) for row in rows], np.int64), truth)
    return np.asarray(interpolate(trajectory, stamps, POSE_GAP_NS) @ camera_to_body, np.float64)
