"""7-Scenes (Shotton et al. 2013, "Scene Coordinate Regression Forests"), as published.

    redkitchen/seq-01/   frame-000000.color.png
                         frame-000000.depth.png   16 bit, millimetres, 65535 unknown; not registered with the colour
                         frame-000000.pose.txt    4 x 4, camera to world

The data set's page gives f = 585 and the principal point (320, 240) for the depth camera, whose poses these are. The
colour camera's nominal focal length is 525; how the two stand to each other is not published.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kp_ros.camera import Camera
from training.data.sequence import DatasetError, DepthFiles, ImageFiles, Poses, RegisteredDepth, Sequence

COLOUR_MATRIX = np.array([[525.0, 0, 320.0], [0, 525.0, 240.0], [0, 0, 1.0]])
DEPTH_MATRIX = np.array([[585.0, 0, 320.0], [0, 585.0, 240.0], [0, 0, 1.0]])
FRAME_NS = 33_333_333


def is_seven_scenes(folder: Path) -> bool:
    """Whether a folder looks like one sequence of this layout."""
    return next(folder.glob("frame-*.color.png"), None) is not None


def read_seven_scenes(folder: Path) -> Sequence:
    """Open one sequence, ``.../redkitchen/seq-01``.

    :raises DatasetError: a file is missing or cannot be used.
    """
    images = tuple(sorted(folder.glob("frame-*.color.png")))
    if not images:
        raise DatasetError(f"{folder} holds no frame-*.color.png; name one seq-XX folder of a scene")
    names = tuple(image.name.removesuffix(".color.png") for image in images)
    camera = Camera(640, 480, COLOUR_MATRIX, np.zeros(0))
    depth = DepthFiles(tuple(folder / f"{name}.depth.png" for name in names), 0.001, 65535)
    return Sequence(
        name=f"{folder.resolve().parent.name}_{folder.resolve().name}",
        frame_names=names,
        stamps_ns=np.arange(len(names), dtype=np.int64) * FRAME_NS,
        load_image=ImageFiles(images),
        cameras=(camera,) * len(names),
        poses=np.array([_pose(folder / f"{name}.pose.txt") for name in names]),
        load_depth=RegisteredDepth(depth, DEPTH_MATRIX, camera),
        depth_registered=False,
    )


def _pose(file: Path) -> Poses:
    try:
        pose = np.loadtxt(file).reshape(4, 4)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} is no 4 x 4 pose: {error}") from error
    # KinectFusion writes an all-zero or non-finite matrix where it was lost.
    lost = not np.isfinite(pose).all() or abs(np.linalg.det(pose[:3, :3]) - 1) > 0.01
    return np.full((4, 4), np.nan) if lost else np.asarray(pose, np.float64)
