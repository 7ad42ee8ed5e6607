"""KITTI odometry (Geiger et al. 2012, "Are we ready for Autonomous Driving?"), as published.

dataset/sequences/06/   image_0/ image_1/ (grey) image_2/ image_3/ (colour)   000000.png, rectified
                        calib.txt    P0 P1 P2 P3: 3 x 4 projection matrices, row by row
                        times.txt    seconds, one line an image
dataset/poses/06.txt    (sequences 00 to 10) 3 x 4, row by row: camera 0 to the first frame's camera 0
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from training.data.sequence import DatasetError, ImageFiles, Poses, Sequence, image_size, nanoseconds


def is_kitti_odometry(folder: Path) -> bool:
    """Whether a folder looks like one sequence of this layout."""
    return (folder / "calib.txt").is_file() and (folder / "times.txt").is_file()


def read_kitti_odometry(folder: Path, camera: int | None = None) -> Sequence:
    """Open a sequence.

    :param folder: ``.../sequences/06``.
    :param camera: 0 to 3; None takes the first whose images are there.
    :raises DatasetError: a file is missing or cannot be used.
    """
    number = _first_camera(folder) if camera is None else camera
    files = tuple(sorted((folder / f"image_{number}").glob("*.png")))
    if not files:
        raise DatasetError(f"{folder / f'image_{number}'} holds no image; unpack the archive of that camera")
    projection = _projections(folder / "calib.txt")[number]
    matrix = projection[:, :3]
    stamps = [nanoseconds(line) for line in (folder / "times.txt").read_text().split()]
    if len(stamps) != len(files):
        raise DatasetError(f"{folder / 'times.txt'} has {len(stamps)} times for {len(files)} images")
    # P = K [I | t]: x_camera = x_camera0 + t.
    to_camera_0 = np.eye(4)
    to_camera_0[:3, 3] = -np.linalg.solve(matrix, projection[:, 3])
    poses = _poses(folder.resolve().parents[1] / "poses" / f"{folder.resolve().name}.txt", len(files))
    return Sequence(
        name=f"kitti_{folder.resolve().name}",
        frame_names=tuple(file.stem for file in files),
        stamps_ns=np.array(stamps, np.int64),
        load_image=ImageFiles(files),
        cameras=(Camera(*image_size(files[0]), matrix, np.zeros(0)),) * len(files),
        poses=None if poses is None else poses @ to_camera_0,
    )


def _first_camera(folder: Path) -> int:
    for number in range(4):
        if (folder / f"image_{number}").is_dir():
            return number
    raise DatasetError(f"{folder} has none of image_0 to image_3; unpack the images beside calib.txt")


def _projections(file: Path) -> list[NDArray[np.float64]]:
    rows = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
    try:
        return [np.array(rows[f"P{number}"].split(), np.float64).reshape(3, 4) for number in range(4)]
    except (KeyError, ValueError) as error:
        raise DatasetError(f"{file} cannot be used: it needs P0 to P3 of 12 values each ({error})") from error


def _poses(file: Path, count: int) -> Poses | None:
    if not file.is_file():
        return None
    rows = np.loadtxt(file, ndmin=2)
    if rows.shape != (count, 12):
        raise DatasetError(f"{file} has poses of shape {rows.shape} for {count} images; it needs 12 values an image")
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3] = rows.reshape(count, 3, 4)
    return poses
