"""A sequence of images in folders, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Float32
from kp_ros.image_decoding import Grey, stretch_to_uint8
from kp_ros.recordings.recording import RecordingError
from kp_ros.recordings.sensor_recording import SensorFrame

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Times:
    """When the frames were taken.

    :ivar stamps_ns: nanoseconds, ascending.
    :ivar texts: as the input has them.
    """

    stamps_ns: list[int]
    texts: list[str]


@dataclass(frozen=True)
class Rectification:
    """Makes two cameras look alike: rows of the left image are rows of the right one.

    :ivar left: the two maps of :func:`cv2.remap`.
    :ivar right: likewise.
    """

    left: tuple[Any, Any]
    right: tuple[Any, Any]


@dataclass
class SensorFolder:
    """Images of folders, file by file.

    :ivar depth_file: loads a depth image in metres, registered with the image.
    """

    path: Path
    files: list[Path]
    times: Times
    camera: Camera
    right_files: list[Path] | None = None
    baseline: float | None = None
    depth_files: list[Path] | None = None
    load_depth: Callable[[Path], Float32] | None = None
    rectification: Rectification | None = None
    notices: list[str] = field(default_factory=list)

    @property
    def frame_count(self) -> int | None:
        """See :class:`~kp_ros.recordings.sensor_recording.SensorRecording`."""
        return len(self.files)

    def frames(self) -> Iterator[SensorFrame]:
        """See :class:`~kp_ros.recordings.sensor_recording.SensorRecording`.

        :raises RecordingError: a file cannot be read.
        """
        for index, file in enumerate(self.files):
            image = read_grey(file)
            right = None if self.right_files is None else read_grey(self.right_files[index])
            if self.rectification is not None:
                image = remapped(image, self.rectification.left)
                right = None if right is None else remapped(right, self.rectification.right)
            depth = None
            if self.depth_files is not None and self.load_depth is not None:
                depth = self.load_depth(self.depth_files[index])
            yield SensorFrame(
                name=file.name,
                stamp_ns=self.times.stamps_ns[index],
                time=self.times.texts[index],
                image=image,
                camera=self.camera.resized(image.shape[1], image.shape[0]),
                right=right,
                baseline=self.baseline,
                depth=depth,
            )

    def close(self) -> None:
        """See :class:`~kp_ros.recordings.sensor_recording.SensorRecording`. Files are open only while they are read."""


def read_grey(file: Path) -> Grey:
    """An image file as uint8 [H, W].

    :raises RecordingError: the file is no image.
    """
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    image: Any = cv2.imread(str(file), flags)
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise RecordingError(f"{file} cannot be read as an image; delete it, or save it again")
    return stretch_to_uint8(image) if image.dtype == np.uint16 else np.asarray(image, np.uint8)


def remapped(image: Grey, maps: tuple[Any, Any]) -> Grey:
    """An image whose pixels come from where two maps of :func:`cv2.remap` say."""
    return np.asarray(cv2.remap(image, *maps, cv2.INTER_LINEAR), np.uint8)


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Matrix:
    """K, float64 [3, 3]."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def partners(folder: Path, files: list[Path]) -> list[Path]:
    """The files of a folder that have the names of others, whatever their suffixes.

    :raises RecordingError: the folder or one of them is missing.
    """
    if not folder.is_dir():
        raise RecordingError(f"{folder} does not exist; --mode needs it: add it, or choose another mode")
    found = {file.stem: file for file in folder.iterdir()}
    missing = [file.stem for file in files if file.stem not in found]
    if missing:
        raise RecordingError(
            f"{folder} lacks {missing[0]} and {len(missing) - 1} more of {len(files)}; files of one name belong "
            "together"
        )
    return [found[file.stem] for file in files]
