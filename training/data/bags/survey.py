"""The first reading of a bag: everything but the pixels that will be stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import CalibrationError, Camera
from kp_ros.image_decoding import ImageError
from kp_ros.recordings.bag_messages import BagMessages
from kp_ros.recordings.decoding import camera_of
from kp_ros.recordings.messages import stamp_of
from training.data.bags.decoding import decode_colour
from training.data.bags.topics import ChosenTopics
from training.data.bags.transforms import TransformTree, frame_name, matrix_of
from training.data.sequence import Image, Poses

#: Sharpness and motion are measured on images of this width: the same measure for every camera, and quick.
SMALL_WIDTH = 320


@dataclass
class Survey:
    """What the first reading found; lists of one kind belong together.

    :ivar stamps_ns: of each image, from its header, in the order of the bag.
    :ivar recorded_ns: when each image was recorded.
    :ivar sharpness: variance of the Laplacian of each image; NaN for one that cannot be decoded.
    :ivar sizes: width and height of each image; (0, 0) for one that cannot be decoded.
    :ivar problems: why images could not be decoded: index and reason.
    :ivar cameras: the calibrations, each one once, in their order.
    :ivar camera_problem: why there is no calibration.
    :ivar depth_stamps_ns: of the depth images.
    :ivar depth_recorded_ns: when each was recorded.
    :ivar depth_camera: the first calibration of the depth camera.
    :ivar pose_stamps_ns: of the pose topic.
    :ivar pose_recorded_ns: when each was recorded.
    :ivar poses: of the pose topic.
    :ivar world_frame: whose frame the poses are in.
    :ivar child_frame: whose poses they are; empty where the message does not tell.
    :ivar tree: /tf and /tf_static.
    """

    stamps_ns: list[int] = field(default_factory=list)
    recorded_ns: list[int] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    problems: dict[int, str] = field(default_factory=dict)
    cameras: list[Camera] = field(default_factory=list)
    camera_problem: str | None = None
    depth_stamps_ns: list[int] = field(default_factory=list)
    depth_recorded_ns: list[int] = field(default_factory=list)
    depth_camera: Camera | None = None
    pose_stamps_ns: list[int] = field(default_factory=list)
    pose_recorded_ns: list[int] = field(default_factory=list)
    poses: list[Poses] = field(default_factory=list)
    world_frame: str = ""
    child_frame: str = ""
    tree: TransformTree = field(default_factory=TransformTree)


def survey(bag: BagMessages, topics: ChosenTopics, progress: Callable[[], None]) -> Survey:
    """Read the bag once.

    :param progress: called after every image.
    """
    found = Survey()
    rectified = "rect" in topics.image.rpartition("/")[2] or "_rect" in topics.image
    for message in bag.messages(topics.all):
        content = message.content
        if message.topic == topics.image:
            _take_image(found, content, message.recorded_ns)
            progress()
        elif content is None:
            continue
        elif message.topic == topics.camera_info:
            _take_camera(found, content, rectified)
        elif message.topic == topics.depth:
            found.depth_stamps_ns.append(stamp_of(content))
            found.depth_recorded_ns.append(message.recorded_ns)
        elif message.topic == topics.depth_info:
            found.depth_camera = found.depth_camera or _camera(content, True) or _camera(content, False)
        elif message.topic == topics.pose:
            _take_pose(found, content, message.recorded_ns)
        elif message.topic in topics.transforms:
            found.tree.add(content.transforms, static=message.topic.endswith("_static"))
        # The camera and its depth may share one CameraInfo.
        if message.topic == topics.depth_info == topics.camera_info and content is not None:
            found.depth_camera = found.depth_camera or _camera(content, True) or _camera(content, False)
    return found


def small_grey(image: Image) -> Image:
    """The image in grey, :data:`SMALL_WIDTH` wide."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    height = max(1, round(grey.shape[0] * SMALL_WIDTH / grey.shape[1]))
    return np.asarray(cv2.resize(grey, (SMALL_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)


def sharpness_of(small: Image) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy")."""
    return float(cv2.Laplacian(small, cv2.CV_32F).var())


def _take_image(found: Survey, content: Any, recorded_ns: int) -> None:
    index = len(found.stamps_ns)
    found.recorded_ns.append(recorded_ns)
    found.stamps_ns.append(recorded_ns if content is None else stamp_of(content))
    try:
        if content is None:
            raise ImageError("its bytes are no image message")
        image = decode_colour(content)
    except ImageError as error:
        found.problems[index] = str(error)
        found.sharpness.append(float("nan"))
        found.sizes.append((0, 0))
        return
    found.sharpness.append(sharpness_of(small_grey(image)))
    found.sizes.append((image.shape[1], image.shape[0]))


def _camera(info: Any, rectified: bool) -> Camera | None:
    try:
        return camera_of(_spelt_as_ros2(info), rectified)
    except CalibrationError:
        return None


def _take_camera(found: Survey, info: Any, rectified: bool) -> None:
    try:
        camera = camera_of(_spelt_as_ros2(info), rectified)
    except CalibrationError as error:
        found.camera_problem = str(error)
        return
    known = found.cameras[-1] if found.cameras else None
    if known is None or not same_camera(known, camera):
        found.cameras.append(camera)


def same_camera(one: Camera, other: Camera) -> bool:
    """Whether two calibrations are equal."""
    return (
        (one.width, one.height, one.model) == (other.width, other.height, other.model)
        and np.array_equal(one.matrix, other.matrix)
        and np.array_equal(one.distortion, other.distortion)
    )


@dataclass(frozen=True)
class _Info:
    """A CameraInfo with D, K and P spelt as ROS 2 spells them."""

    width: int
    height: int
    distortion_model: str
    d: NDArray[np.float64]
    k: NDArray[np.float64]
    p: NDArray[np.float64]
    binning_x: int
    binning_y: int
    roi: Any


def _spelt_as_ros2(info: Any) -> _Info:
    d, k, p = (getattr(info, name, getattr(info, name.upper(), None)) for name in "dkp")
    assert d is not None
    assert k is not None
    assert p is not None
    return _Info(info.width, info.height, info.distortion_model, d, k, p, info.binning_x, info.binning_y, info.roi)


def _take_pose(found: Survey, content: Any, recorded_ns: int) -> None:
    holder = content
    while hasattr(holder, "pose"):
        holder = holder.pose
    if hasattr(holder, "transform"):
        position, orientation = holder.transform.translation, holder.transform.rotation
    else:
        position, orientation = holder.position, holder.orientation
    try:
        pose = matrix_of(position, orientation)
    except ValueError:
        return
    if not np.isfinite(pose).all():
        return
    found.poses.append(pose)
    found.pose_stamps_ns.append(stamp_of(content))
    found.pose_recorded_ns.append(recorded_ns)
    found.world_frame = frame_name(content.header.frame_id)
    found.child_frame = frame_name(getattr(content, "child_frame_id", ""))
