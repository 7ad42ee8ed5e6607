"""What the first reading of a bag decides: which images are candidates, and what goes with each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import CalibrationError, Camera
from training.data.bags.localisation import Localisation, localise
from training.data.bags.selection import blurred
from training.data.bags.survey import Survey
from training.data.bags.topics import AskedTopics, ChosenTopics
from training.data.sequence import NANOSECONDS, DatasetError, Poses, pose_matrices
from training.data.trajectory import nearest

#: A topic that fits fewer of the images is left out as a whole, so that the images are kept.
LEAST_SHARE = 0.5
#: Clocks that differ by more are two clocks; less is the time that a message takes.
CLOCK_DIFFERENCE_NS = NANOSECONDS


@dataclass(frozen=True)
class ConversionOptions:
    """How a bag is converted.

    :ivar topics: what the user names.
    :ivar fixed_frame: whose frame /tf's poses are taken in; None chooses.
    :ivar camera_pose: float64 [4, 4], the camera's optical frame in the frame that the pose topic describes; None asks
        /tf_static.
    :ivar tolerance: seconds between an image and its depth.
    :ivar pose_gap: seconds between two poses that are interpolated.
    :ivar least_motion: median motion in the image since the last kept one, as a share of its diagonal.
    :ivar least_sharpness: share of the sharpness of the images around.
    :ivar lossless: PNG instead of JPEG for images that were recorded raw.
    :ivar pairs: label pairs.
    """

    topics: AskedTopics = field(default_factory=AskedTopics)
    fixed_frame: str | None = None
    camera_pose: Poses | None = None
    tolerance: float = 0.02
    pose_gap: float = 0.25
    least_motion: float = 0.01
    least_sharpness: float = 0.4
    lossless: bool = False
    pairs: bool = True


@dataclass(frozen=True, eq=False)
class Plan:
    """What the first reading decided.

    :ivar dropped: why an image is not kept, "" for a candidate, one an image.
    :ivar stamps_ns: int64 [F], of each image.
    :ivar camera: or None.
    :ivar depth_of: index of an image -> stamp of its depth image; None without depth.
    :ivar depth_from: K of a depth camera of its own and its pose in the image's camera; None where they are the same.
    :ivar readings: ways to read the poses, of all images.
    """

    dropped: list[str]
    stamps_ns: NDArray[np.int64]
    camera: Camera | None
    depth_of: dict[int, int] | None
    depth_from: tuple[NDArray[np.float64], Poses] | None
    readings: list[Localisation]


def make_plan(found: Survey, topics: ChosenTopics, options: ConversionOptions, notes: list[str]) -> Plan:
    """Decide what can be decided without the pixels.

    :param notes: receives what the user should know.
    """
    count = len(found.stamps_ns)
    dropped = [""] * count
    stamps = np.array(found.stamps_ns, np.int64)
    if count and not stamps.any():
        notes.append(f"the images of {topics.image} have no time in their headers: the time of recording is used")
        stamps = np.array(found.recorded_ns, np.int64)

    def drop(index: int, reason: str) -> None:
        dropped[index] = dropped[index] or reason

    size = Counter(size for size in found.sizes if size != (0, 0)).most_common(1)
    last = -1
    for index in range(count):
        if index in found.problems:
            drop(index, "cannot be decoded")
        elif found.sizes[index] != size[0][0]:
            drop(index, "of another size")
        elif stamps[index] <= last:
            drop(index, "not later than the image before")
        else:
            last = int(stamps[index])
    for soft in np.flatnonzero(blurred(np.array(found.sharpness), options.least_sharpness)).tolist():
        drop(soft, "blurred or empty")
    candidates = np.array([index for index in range(count) if not dropped[index]], np.intp)
    camera = _camera(found, topics, size[0][0], notes) if size else None

    depth_of, depth_from = _plan_depth(found, topics, options, stamps, candidates, camera, notes)
    if depth_of is not None:
        for candidate in candidates.tolist():
            if candidate not in depth_of:
                drop(candidate, "without depth")
    readings = localise(
        found, topics, stamps, round(options.pose_gap * NANOSECONDS), options.camera_pose, options.fixed_frame
    )
    if readings:
        known = np.isfinite(readings[0].poses[:, 0, 0])
        if len(candidates) and known[candidates].mean() < LEAST_SHARE:
            notes.append(f"poses left out: {_unsynchronised(found, stamps, topics, options, known[candidates].mean())}")
            readings = []
        else:
            for candidate in candidates[~known[candidates]].tolist():
                drop(candidate, "without pose")
    return Plan(dropped, stamps, camera, depth_of, depth_from, readings)


def _camera(found: Survey, topics: ChosenTopics, size: tuple[int, int], notes: list[str]) -> Camera | None:
    if topics.camera_info is None:
        return None
    if not found.cameras:
        notes.append(f"no calibration: {found.camera_problem or f'{topics.camera_info} holds none that can be read'}")
        return None
    if len(found.cameras) > 1:
        notes.append(f"{topics.camera_info} changed {len(found.cameras) - 1} times: the first calibration is used")
    try:
        return found.cameras[0].resized(*size)
    except CalibrationError as error:
        notes.append(f"no calibration: {error}")
        return None


def _plan_depth(
    found: Survey,
    topics: ChosenTopics,
    options: ConversionOptions,
    stamps: NDArray[np.int64],
    candidates: NDArray[np.intp],
    camera: Camera | None,
    notes: list[str],
) -> tuple[dict[int, int] | None, tuple[NDArray[np.float64], Poses] | None]:
    if topics.depth is None:
        return None, None
    if camera is None:
        notes.append(f"depth left out: without the camera's calibration {topics.depth} is of no use")
        return None, None
    depth_from = None
    if topics.depth_frame != topics.image_frame:
        tree = found.tree
        if found.depth_camera is None or not tree.connected(topics.depth_frame, topics.image_frame):
            notes.append(
                f"depth left out: {topics.depth} is in {topics.depth_frame}, the images are in {topics.image_frame}, "
                "and the bag lacks the depth camera's CameraInfo or the transform between them; record the aligned "
                "depth topic (aligned_depth_to_color, depth_registered), or /tf_static and the CameraInfo"
            )
            return None, None
        between = tree.pose(topics.depth_frame, topics.image_frame, stamps[:1], NANOSECONDS)[0]
        if not np.isfinite(between).all():
            notes.append(f"depth left out: {topics.depth_frame} moves against {topics.image_frame}")
            return None, None
        depth_from = (found.depth_camera.matrix, between)
    recorded = np.array(found.depth_stamps_ns, np.int64)
    order = np.argsort(recorded, kind="stable")
    partner = nearest(recorded[order], stamps, round(options.tolerance * NANOSECONDS))
    share = float((partner[candidates] >= 0).mean()) if len(candidates) else 0.0
    if share < LEAST_SHARE:
        notes.append(
            f"depth left out: only {share:.0%} of the images have a depth image within {options.tolerance} s; "
            + _clocks(topics.depth, found.depth_stamps_ns, found.depth_recorded_ns, found, stamps, "--tolerance")
        )
        return None, None
    return {index: int(recorded[order][partner[index]]) for index in range(len(stamps)) if partner[index] >= 0}, (
        depth_from
    )


def _unsynchronised(
    found: Survey, stamps: NDArray[np.int64], topics: ChosenTopics, options: ConversionOptions, share: float
) -> str:
    reason = f"only {share:.0%} of the images have poses around them that are at most {options.pose_gap} s apart; "
    if topics.pose is None:
        return reason + "record /tf all the time, or raise --pose-gap"
    return reason + _clocks(topics.pose, found.pose_stamps_ns, found.pose_recorded_ns, found, stamps, "--pose-gap")


def _clocks(
    topic: str, topic_stamps: list[int], topic_recorded: list[int], found: Survey, stamps: NDArray[np.int64], knob: str
) -> str:
    """Why a topic's times do not fit the images', and what to do."""
    if not topic_stamps:
        return f"nothing on {topic} can be read"
    lateness = [
        np.median(np.array(r) - np.array(s)) for r, s in ((topic_recorded, topic_stamps), (found.recorded_ns, stamps))
    ]
    difference = float(lateness[1] - lateness[0])
    if abs(difference) > CLOCK_DIFFERENCE_NS:
        return (
            f"the stamps of {topic} are {abs(difference) / NANOSECONDS:.1f} s "
            f"{'ahead of' if difference > 0 else 'behind'} those of images recorded at the same time: two clocks; "
            "synchronise them (chrony, PTP) and record again"
        )
    spans = [f"{min(s) / NANOSECONDS:.3f} to {max(s) / NANOSECONDS:.3f} s" for s in (topic_stamps, stamps.tolist())]
    return f"{topic} covers {spans[0]}, the images {spans[1]}, with {len(topic_stamps)} messages; {knob} allows more"


def parse_pose(text: str) -> Poses:
    """'x y z qx qy qz qw' as float64 [4, 4].

    :raises DatasetError: it is not seven numbers, or the quaternion is 0.
    """
    try:
        values = np.array(text.replace(",", " ").split(), np.float64)
        if len(values) != 7:
            raise ValueError(f"{len(values)} numbers instead of 7")
        return np.asarray(pose_matrices(values[None, :3], values[None, 3:])[0], np.float64)
    except ValueError as error:
        raise DatasetError(f"--camera-pose '{text}' is no pose: {error}; give 'x y z qx qy qz qw'") from error
