"""TUM RGB-D (Sturm et al. 2012, "A Benchmark for the Evaluation of RGB-D SLAM Systems"), as published.

    rgbd_dataset_freiburg1_xyz/   rgb/ depth/         PNG; depth: 16 bit, metres = value / 5000, registered
                                  rgb.txt depth.txt   lines of "timestamp file"
                                  groundtruth.txt     lines of "timestamp tx ty tz qx qy qz qw": colour camera to world

The archives hold no calibration: that of the three cameras is published on the data set's page and stands here. Data of
another camera in this layout need a ``calib.json`` beside ``rgb.txt`` (fx fy cx cy width height dist).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from training.data.readers.shared_layout import read_camera, read_trajectory
from training.data.sequence import DatasetError, DepthFiles, ImageFiles, Poses, Sequence, nanoseconds
from training.data.trajectory import in_order, interpolate, nearest

DEPTH_SCALE = 1 / 5000
#: Colour and depth image that lie farther apart are no pair; the benchmark's associate.py has the same default.
PAIR_NS = 20_000_000
#: Motion capture runs at 100 Hz and more; a longer gap is a loss of sight.
POSE_GAP_NS = 100_000_000
#: fx fy cx cy k1 k2 p1 p2 k3 of each camera.
INTRINSICS = {
    "1": (517.306408, 516.469215, 318.643040, 255.313989, 0.262383, -0.953104, -0.005358, 0.002628, 1.163314),
    "2": (520.908620, 521.007327, 325.141442, 249.701764, 0.231222, -0.784899, -0.003257, -0.000105, 0.917205),
    "3": (535.4, 539.2, 320.1, 247.6, 0.0, 0.0, 0.0, 0.0, 0.0),
}


def is_tum_rgbd(folder: Path) -> bool:
    """Whether a folder looks like one sequence of this layout."""
    return (folder / "rgb.txt").is_file() and (folder / "groundtruth.txt").is_file()


def read_tum_rgbd(folder: Path) -> Sequence:
    """Open a sequence: the colour images that have a depth image (where there are any), with interpolated poses.

    :raises DatasetError: a file is missing or cannot be used, or the camera is not known.
    """
    stamps, images = _list(folder / "rgb.txt")
    camera = _camera(folder)
    depth = None
    if (folder / "depth.txt").is_file():
        depth_stamps, depth_images = _list(folder / "depth.txt")
        partner = nearest(depth_stamps, stamps, PAIR_NS)
        paired = np.flatnonzero(partner >= 0)
        if len(paired) == 0:
            raise DatasetError(f"{folder}: no colour image has a depth image within 0.02 s; compare rgb.txt, depth.txt")
        stamps, images = stamps[paired], tuple(images[index] for index in paired)
        depth = DepthFiles(tuple(depth_images[partner[index]] for index in paired), DEPTH_SCALE)
    return Sequence(
        name=folder.resolve().name,
        frame_names=tuple(image.stem for image in images),
        stamps_ns=stamps,
        load_image=ImageFiles(images),
        cameras=(camera,) * len(images),
        poses=_poses(folder / "groundtruth.txt", stamps),
        load_depth=depth,
    )


def _list(file: Path) -> tuple[NDArray[np.int64], tuple[Path, ...]]:
    lines = [line.split() for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
    try:
        stamps = np.array([nanoseconds(fields[0]) for fields in lines], np.int64)
        files = tuple(file.parent / fields[1] for fields in lines)
    except (ValueError, IndexError) as error:
        raise DatasetError(f"{file} cannot be used: its lines must be 'timestamp file' ({error})") from error
    if not files:
        raise DatasetError(f"{file} lists no image; unpack the archive again")
    order = np.argsort(stamps, kind="stable")
    return stamps[order], tuple(files[index] for index in order)


def _camera(folder: Path) -> Camera:
    if (folder / "calib.json").is_file():
        return read_camera(folder / "calib.json")
    which = re.search(r"freiburg(\d)", folder.resolve().name)
    if which is None or which.group(1) not in INTRINSICS:
        raise DatasetError(
            f"{folder} is not named after one of the three cameras (freiburg1, 2, 3); put a calib.json into it "
            "(fx fy cx cy width height dist)"
        )
    fx, fy, cx, cy, *distortion = INTRINSICS[which.group(1)]
    matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    return Camera(640, 480, matrix, np.array(distortion if any(distortion) else [], np.float64))


def _poses(file: Path, stamps: NDArray[np.int64]) -> Poses:
    try:
        return interpolate(in_order(*read_trajectory(file)), stamps, POSE_GAP_NS)
    except ValueError as error:
        raise DatasetError(f"{file} cannot be used: {error}") from error
