"""A folder of images, with or without calibration and time."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kp_ros.camera import CalibrationError, Camera
from kp_ros.recordings import messages
from kp_ros.recordings.messages import NANOSECONDS
from kp_ros.recordings.recording import Frame, RecordingError, camera_info_topic

#: Sent as they are, in a CompressedImage.
COMPRESSED_FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
#: Sent decoded: type and dimensions of OpenCV's array -> sensor_msgs/Image.encoding.
ENCODINGS = {("uint8", 2): "mono8", ("uint8", 3): "bgr8", ("uint16", 2): "mono16", ("uint16", 3): "bgr16"}
IMAGE_SUFFIXES = (*COMPRESSED_FORMATS, ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".webp")


def image_files(path: Path) -> list[Path]:
    """The images of a folder, or of its subfolder ``images``, sorted by name."""
    folder = path / "images" if (path / "images").is_dir() else path
    return sorted(
        (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")),
        key=lambda file: file.name,
    )


class ImageFolder:
    """Images of a folder in the order of their names.

    Beside the images, or in the folder above ``images/``, these are read where they exist: ``calib.json`` (``fx fy cx
    cy width height``, and ``dist``: k1 k2 p1 p2 k3) for the camera, and ``poses_tum.txt``, one line an image that
    begins with its time in seconds. Without it, names that are times (``1305031232.861666.jpg``) tell the time; else,
    and where the times of poses_tum.txt are the numbers of frames, images come at ``rate``.

    :param topic: what a replay publishes.
    :param rate: images a second.
    :raises RecordingError: there is no image, or calib.json cannot be used.
    """

    def __init__(self, path: Path, topic: str = "/camera/image_raw", rate: float = 30.0) -> None:
        self.path = path
        self._files = image_files(path)
        if not self._files:
            raise RecordingError(
                f"{path} holds neither a bag nor images ({', '.join(IMAGE_SUFFIXES)}), nor does its subfolder images/"
            )
        self.notices: list[str] = []
        self.frame_count: int | None = len(self._files)
        self._camera = self._read_camera()
        self._stamps = self._read_stamps(rate)
        compressed = all(file.suffix.lower() in COMPRESSED_FORMATS for file in self._files)
        self._compressed = compressed
        self.topic = f"{topic}/compressed" if compressed else topic
        self.camera_info_topic = camera_info_topic(topic)

    def _read_camera(self) -> Camera | None:
        path = self.path / "calib.json"
        if not path.exists():
            self.notices.append(f"{self.path} has no calib.json: keypoints get no rays (x y z are NaN)")
            return None
        try:
            calibration = json.loads(path.read_text())
            fx, fy, cx, cy = (float(calibration[name]) for name in ("fx", "fy", "cx", "cy"))
            return Camera(
                int(calibration["width"]),
                int(calibration["height"]),
                np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
                np.array(calibration.get("dist", []), np.float64),
            )
        except KeyError as error:
            raise RecordingError(f"{path} lacks {error}; it needs fx, fy, cx, cy, width, height") from error
        except (ValueError, TypeError, CalibrationError) as error:
            raise RecordingError(f"{path} cannot be used: {error}; correct it, or move it away") from error

    def _read_stamps(self, rate: float) -> list[int]:
        count = len(self._files)
        by_rate = [round(number * NANOSECONDS / rate) for number in range(count)]
        path = self.path / "poses_tum.txt"
        if path.exists():
            lines = (line.split() for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
            times = [fields[0] for fields in lines if fields]
            source = str(path)
            if len(times) != count:
                self.notices.append(f"{path} has {len(times)} times for {count} images: not used; {rate:g} Hz instead")
                return by_rate
        else:
            times = [file.stem for file in self._files]
            source = "their names"
            if not all(re.fullmatch(r"\d+\.\d+", time) for time in times):
                return by_rate
        try:
            stamps = [_nanoseconds(time) for time in times]
        except ValueError:
            self.notices.append(f"{source} does not begin its lines with times in seconds: {rate:g} Hz instead")
            return by_rate
        if count > 1 and all(stamp % NANOSECONDS == 0 for stamp in stamps):
            self.notices.append(f"{source} numbers the frames instead of timing them: {rate:g} Hz assumed (--fps)")
            return [round(stamp / rate) for stamp in stamps]
        if any(after <= before for before, after in itertools.pairwise(stamps)):
            self.notices.append(f"the times in {source} do not increase: {rate:g} Hz instead")
            return by_rate
        return stamps

    def frames(self) -> Iterator[Frame]:
        """See :class:`~kp_ros.recordings.recording.Recording`."""
        unreadable = []
        for file, stamp_ns in zip(self._files, self._stamps, strict=True):
            message = self._message(file, stamp_ns)
            if message is None:
                unreadable.append(file.name)
                continue
            info = None if self._camera is None else messages.camera_info(self._camera, stamp_ns, "camera")
            yield Frame(file.name, stamp_ns, message, info)
        text = f"{len(unreadable)} images could not be read and were skipped: {', '.join(unreadable)}"
        if unreadable and text not in self.notices:
            self.notices.append(text)

    def _message(self, file: Path, stamp_ns: int) -> Any:
        if self._compressed:
            kind = COMPRESSED_FORMATS[file.suffix.lower()]
            return messages.compressed_image(file.read_bytes(), kind, stamp_ns, "camera")
        flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
        pixels: Any = cv2.imread(str(file), flags)
        encoding = "" if pixels is None else ENCODINGS.get((pixels.dtype.name, pixels.ndim), "")
        return messages.image(pixels, encoding, stamp_ns, "camera") if encoding else None

    def close(self) -> None:
        """See :class:`~kp_ros.recordings.recording.Recording`. Files are open only while they are read."""


def _nanoseconds(text: str) -> int:
    """Seconds in decimal to nanoseconds, exactly: a float of today's time is good to 0.2 microseconds only."""
    seconds, _, fraction = text.partition(".")
    if not re.fullmatch(r"\d+", seconds) or not re.fullmatch(r"\d*", fraction):
        return round(float(text) * NANOSECONDS)
    return int(seconds) * NANOSECONDS + int(fraction.ljust(9, "0")[:9])
