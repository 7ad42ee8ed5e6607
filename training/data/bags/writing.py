"""The second reading of a bag: it writes the frames that are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kp_ros.camera import Camera
from kp_ros.image_decoding import ImageError
from kp_ros.recordings.bag_messages import BagMessages
from kp_ros.recordings.messages import COMPRESSED_IMAGE, stamp_of
from training.data.bags.decoding import DEPTH_SCALE, decode_colour, decode_depth, register_depth
from training.data.bags.planning import ConversionOptions, Plan
from training.data.bags.selection import MotionGate
from training.data.bags.survey import small_grey
from training.data.bags.topics import ChosenTopics
from training.data.sequence import NANOSECONDS, Depth, Poses

JPEG_QUALITY = 95


def write_frames(
    bag: BagMessages,
    topics: ChosenTopics,
    plan: Plan,
    folder: Path,
    options: ConversionOptions,
    progress: Callable[[], None],
) -> tuple[list[str], NDArray[np.intp]]:
    """Write images and depth; images without motion are dropped here.

    :returns: names of the kept frames, and their indices.
    """
    gate = MotionGate(options.least_motion)
    kept: list[int] = []
    names: list[str] = []
    depths = _DepthWriter(plan, folder)
    index = -1
    for message in bag.messages([topic for topic in (topics.image, topics.depth) if topic is not None]):
        if message.topic == topics.depth:
            depths.take(message.content)
            continue
        index += 1
        progress()
        if index >= len(plan.dropped):
            break
        if plan.dropped[index]:
            continue
        image = decode_colour(message.content)
        if not gate.passes(small_grey(image)):
            plan.dropped[index] = "without motion"
            depths.decide(index, None)
            continue
        seconds, rest = divmod(int(plan.stamps_ns[index]), NANOSECONDS)
        name = f"{seconds:010d}.{rest:09d}"
        _write_image(folder / "images", name, image, message.content, options.lossless)
        depths.decide(index, name)
        kept.append(index)
        names.append(name)
    unwritten = depths.finish()
    for position in reversed([place for place, number in enumerate(kept) if number in unwritten]):
        plan.dropped[kept[position]] = "without depth"
        for file in (folder / "images").glob(f"{names[position]}.*"):
            file.unlink()
        del kept[position], names[position]
    return names, np.array(kept, np.intp)


def _write_image(folder: Path, name: str, image: NDArray[np.uint8], message: Any, lossless: bool) -> None:
    if message.__msgtype__ == COMPRESSED_IMAGE:
        data = bytes(message.data)
        suffix = ".jpg" if data.startswith(b"\xff\xd8") else ".png"
        # As recorded: compressing once more would only lose.
        (folder / f"{name}{suffix}").write_bytes(data)
        return
    suffix, setting = (
        (".png", [cv2.IMWRITE_PNG_COMPRESSION, 4]) if lossless else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    )
    _, encoded = cv2.imencode(suffix, image, setting)
    (folder / f"{name}{suffix}").write_bytes(encoded.tobytes())


class _DepthWriter:
    """Brings depth images to the frames that they belong to: either may come first in the bag."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder / "depth"
        self._names: dict[int, str | None] = {}
        self._waiting: dict[int, Any] = {}
        self._missing: set[int] = set()
        self._by_stamp: dict[int, list[int]] = {}
        if plan.depth_of is not None:
            self._folder.mkdir()
            for index, stamp in plan.depth_of.items():
                if not plan.dropped[index]:
                    self._by_stamp.setdefault(stamp, []).append(index)

    def take(self, content: Any) -> None:
        """A depth message came."""
        if content is None:
            return
        for index in self._by_stamp.pop(stamp_of(content), []):
            if index in self._names:
                self._put(index, content)
            else:
                self._waiting[index] = content

    def decide(self, index: int, name: str | None) -> None:
        """An image was kept under a name, or (None) dropped."""
        if self._plan.depth_of is None:
            return
        self._names[index] = name
        if index in self._waiting:
            self._put(index, self._waiting.pop(index))
        elif name is not None:
            self._missing.add(index)

    def _put(self, index: int, content: Any) -> None:
        name = self._names[index]
        if name is None:
            return
        try:
            depth = self._in_the_image(decode_depth(content))
        except ImageError:
            self._missing.add(index)
            return
        values = np.rint(depth / DEPTH_SCALE)
        values[values > 65535] = 0
        cv2.imwrite(str(self._folder / f"{name}.png"), values.astype(np.uint16))
        self._missing.discard(index)

    def _in_the_image(self, depth: Depth) -> Depth:
        camera = self._plan.camera
        assert camera is not None
        size = (camera.width, camera.height)
        if self._plan.depth_from is not None:
            matrix, pose = self._plan.depth_from
            return register_depth(depth, matrix, pose, camera.matrix, size)
        if depth.shape[::-1] == size:
            return depth
        # Nearest: the mean of two depths at an edge is on neither surface.
        return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)

    def finish(self) -> set[int]:
        """The kept images whose depth did not come."""
        return self._missing


def write_poses(file: Path, stamps_ns: NDArray[np.int64], poses: Poses) -> None:
    """Write ``poses_tum.txt``: float64 [N, 4, 4], camera to world, of int64 [N] nanoseconds."""
    lines = ["# timestamp tx ty tz qx qy qz qw (camera to world, metres; x right, y down, z forward)"]
    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    for stamp, pose, quaternion in zip(stamps_ns.tolist(), poses, quaternions, strict=True):
        seconds, rest = divmod(stamp, NANOSECONDS)
        values = " ".join(f"{value:.9f}" for value in (*pose[:3, 3], *quaternion))
        lines.append(f"{seconds}.{rest:09d} {values}")
    file.write_text("\n".join(lines) + "\n")


def write_calibration(file: Path, camera: Camera, *, with_depth: bool) -> None:
    """Write ``calib.json``."""
    calibration: dict[str, Any] = {
        "fx": camera.matrix[0, 0],
        "fy": camera.matrix[1, 1],
        "cx": camera.matrix[0, 2],
        "cy": camera.matrix[1, 2],
        "width": camera.width,
        "height": camera.height,
        "dist": camera.distortion.tolist() or [0, 0, 0, 0, 0],
    }
    if camera.model != "plumb_bob":
        calibration["distortion_model"] = camera.model
    if with_depth:
        calibration["depth_scale"] = DEPTH_SCALE
    file.write_text(json.dumps(calibration, indent=2) + "\n")
