"""The layout of this project's own data, which ``python -m training dataset`` writes as well.

    images/  depth/ masks/   files of one stem belong together; sorted order is time order; a mask is 0 where the image
                             does not show the scene
    calib.json               fx fy cx cy width height; dist: k1 k2 p1 p2 k3 (or as distortion_model has it);
                             depth_scale: metres = value x scale; depth_invalid: a value beside 0 that says unknown;
                             depth_K: fx fy cx cy of a depth camera that is not registered with the images
    poses_tum.txt            one line an image: timestamp tx ty tz qx qy qz qw, camera to world, metres
    pairs.tsv                pairs of frames that show the same scene or another one: :mod:`training.data.pairs`

Only ``images/`` must be there. Without poses, images whose names are times (``1305031232.861666.jpg``) tell the time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import CalibrationError, Camera
from training.data.pairs import read_pairs
from training.data.photographs import EXTENSIONS
from training.data.sequence import (
    DatasetError,
    DepthFiles,
    ImageFiles,
    Mask,
    Poses,
    RegisteredDepth,
    Sequence,
    nanoseconds,
    pose_matrices,
)


def is_shared_layout(folder: Path) -> bool:
    """Whether a folder looks like one sequence of this layout."""
    return (folder / "images").is_dir()


def read_shared_layout(folder: Path) -> Sequence:
    """Open a sequence.

    :raises DatasetError: a file is missing or cannot be used.
    """
    files = _image_files(folder / "images")
    calibration = _read_calibration(folder / "calib.json") if (folder / "calib.json").exists() else None
    camera = None if calibration is None else _camera(calibration, folder / "calib.json")
    poses, stamps = _read_poses(folder / "poses_tum.txt", len(files))
    depth, registered = _depth(folder, files, calibration, camera)
    return Sequence(
        name=folder.resolve().name,
        frame_names=tuple(file.stem for file in files),
        stamps_ns=_stamps_of_names(files) if stamps is None else stamps,
        load_image=ImageFiles(files),
        cameras=None if camera is None else (camera,) * len(files),
        poses=poses,
        load_depth=depth,
        depth_registered=registered,
        load_mask=MaskFiles(_partners(folder / "masks", files)) if (folder / "masks").is_dir() else None,
        pairs=read_pairs(folder),
    )


@dataclass(frozen=True)
class MaskFiles:
    """Loads masks: 0 is outside the scene.

    :ivar files: one a frame.
    """

    files: tuple[Path, ...]

    def __call__(self, index: int) -> Mask:
        """Bool [H, W]."""
        values = cv2.imread(str(self.files[index]), cv2.IMREAD_GRAYSCALE)
        if values is None:
            raise DatasetError(f"{self.files[index]} cannot be read as a mask; delete masks/ or mend it")
        return np.asarray(values > 0, np.bool_)


def _image_files(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} does not exist; a sequence keeps its images there")
    files = tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS))
    if not files:
        raise DatasetError(f"{folder} holds no image ({', '.join(sorted(EXTENSIONS))})")
    return files


def _partners(folder: Path, images: tuple[Path, ...]) -> tuple[Path, ...]:
    """The files of a folder that belong to the images, by stem."""
    found = {file.stem: file for file in folder.iterdir()}
    missing = [image.stem for image in images if image.stem not in found]
    if missing:
        raise DatasetError(
            f"{folder} lacks {missing[0]} and {len(missing) - 1} more of {len(images)}; files of one name belong "
            "together: add them, or move the folder away"
        )
    return tuple(found[image.stem] for image in images)


def read_camera(file: Path) -> Camera:
    """The camera that a calib.json describes.

    :raises DatasetError: it cannot be used.
    """
    return _camera(_read_calibration(file), file)


def _read_calibration(file: Path) -> dict[str, Any]:
    try:
        calibration = json.loads(file.read_text())
    except ValueError as error:
        raise DatasetError(f"{file} is no JSON ({error}); correct it, or move it away") from error
    if not isinstance(calibration, dict):
        raise DatasetError(f"{file} is no JSON object; it needs fx, fy, cx, cy, width, height")
    return calibration


def _camera(calibration: dict[str, Any], file: Path) -> Camera:
    try:
        return Camera(
            int(calibration["width"]),
            int(calibration["height"]),
            _matrix([calibration[name] for name in ("fx", "fy", "cx", "cy")]),
            np.array(calibration.get("dist", []), np.float64),
            calibration.get("distortion_model", "plumb_bob"),
        )
    except KeyError as error:
        raise DatasetError(f"{file} lacks {error}; it needs fx, fy, cx, cy, width, height") from error
    except (ValueError, TypeError, CalibrationError) as error:
        raise DatasetError(f"{file} cannot be used: {error}; correct it, or move it away") from error


def _matrix(values: list[float]) -> NDArray[np.float64]:
    fx, fy, cx, cy = (float(value) for value in values)
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _read_poses(file: Path, count: int) -> tuple[Poses | None, NDArray[np.int64] | None]:
    if not file.exists():
        return None, None
    try:
        stamps, poses = read_trajectory(file)
        if len(poses) != count:
            raise ValueError(f"it has {len(poses)} poses for {count} images")
        return poses, stamps
    except ValueError as error:
        raise DatasetError(f"{file} cannot be used: {error}; correct it, or move it away") from error


def _stamps_of_names(files: tuple[Path, ...]) -> NDArray[np.int64]:
    if all(re.fullmatch(r"\d+\.\d+", file.stem) for file in files):
        return np.array([nanoseconds(file.stem) for file in files], np.int64)
    return np.arange(len(files), dtype=np.int64)


def read_trajectory(file: Path) -> tuple[NDArray[np.int64], Poses]:
    """A trajectory as TUM and evo write it: lines of ``timestamp tx ty tz qx qy qz qw``.

    :returns: int64 [F] nanoseconds, and float64 [F, 4, 4].
    :raises ValueError: a line is not such a pose.
    """
    lines = [line.split() for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
    for fields in lines:
        if len(fields) != 8:
            raise ValueError(f"a line has {len(fields)} values instead of 8: {' '.join(fields)}")
    values = np.array([fields[1:] for fields in lines], np.float64).reshape(-1, 7)
    stamps = np.array([nanoseconds(fields[0]) for fields in lines], np.int64)
    return stamps, pose_matrices(values[:, :3], values[:, 3:])


def _depth(
    folder: Path, files: tuple[Path, ...], calibration: dict[str, Any] | None, camera: Camera | None
) -> tuple[Any, bool]:
    if not (folder / "depth").is_dir():
        return None, True
    if calibration is None or camera is None or "depth_scale" not in calibration:
        raise DatasetError(
            f"{folder} has depth/, but calib.json does not give depth_scale (metres = value x scale): add it"
        )
    loader = DepthFiles(
        _partners(folder / "depth", files), float(calibration["depth_scale"]), calibration.get("depth_invalid")
    )
    if "depth_K" not in calibration:
        return loader, True
    return RegisteredDepth(loader, _matrix(calibration["depth_K"]), camera), False
