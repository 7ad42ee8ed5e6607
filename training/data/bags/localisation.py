"""Where the camera was at each image: from the pose topic, /tf, and what is known of how the camera is mounted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp_ros.mounting import OPTICAL_TO_BODY
from training.data.bags.survey import Survey
from training.data.bags.topics import ChosenTopics
from training.data.sequence import Poses
from training.data.trajectory import in_order, interpolate

#: Frames that poses are given in, the best first: odometry has no jumps, and training needs neighbours to agree.
FIXED_FRAMES = ("odom", "map", "world")


@dataclass(frozen=True, eq=False)
class Localisation:
    """One way to read the bag's poses.

    :ivar poses: float64 [F, 4, 4], the camera's optical frame in the world, NaN where unknown.
    :ivar told: what says so, for the report.
    :ivar given: the bag or the user says how the camera is mounted; false for a guess by convention.
    """

    poses: Poses
    told: str
    given: bool


def localise(
    found: Survey,
    topics: ChosenTopics,
    at_ns: NDArray[np.int64],
    longest_gap_ns: int,
    camera_pose: Poses | None,
    fixed_frame: str | None,
) -> list[Localisation]:
    """The ways to read the poses, the most trustworthy first; none where the bag has no poses.

    The optical frame (x right, y down, z forward; REP 103) is what is wanted. Where a bag says that its images are in
    a frame which is the body's after all (x forward, y left, z up), the second way is right: images tell
    (:mod:`training.data.bags.pose_check`).

    :param at_ns: int64 [F], times of the images.
    :param camera_pose: float64 [4, 4], the camera's optical frame in the frame that the pose topic describes.
    :param fixed_frame: whose frame /tf's poses are taken in; None chooses.
    """
    turned = np.eye(4)
    turned[:3, :3] = OPTICAL_TO_BODY
    if topics.pose is None:
        return _by_tf(found, topics, at_ns, longest_gap_ns, fixed_frame, turned)
    if not found.poses:
        return []
    trajectory = in_order(np.array(found.pose_stamps_ns, np.int64), np.array(found.poses))
    body = interpolate(trajectory, at_ns, longest_gap_ns)
    child, camera = found.child_frame, topics.image_frame
    source = f"{topics.pose}: {child or 'its frame'} in {found.world_frame or 'the world'}"
    if camera_pose is not None:
        return [Localisation(body @ camera_pose, f"{source}, camera mounted as --camera-pose says", True)]
    if child and camera and found.tree.connected(child, camera):
        mounted = found.tree.pose(camera, child, at_ns, longest_gap_ns)
        way = "which is the camera" if child == camera else f"{camera} in it by /tf"
        return [
            Localisation(body @ mounted, f"{source}, {way}", True),
            Localisation(body @ mounted @ turned, f"{source}, {way}, taken as a body frame (x forward)", False),
        ]
    optical = Localisation(body, f"{source}, taken as the camera's optical frame", False)
    forward = Localisation(body @ turned, f"{source}, taken as a body with the camera looking forward", False)
    # A message that names no child is most often the output of a visual SLAM, and that is the camera's pose.
    of_camera = "optical" in child or (not child and "camera" in topics.pose)
    return [optical, forward] if of_camera else [forward, optical]


def _by_tf(
    found: Survey,
    topics: ChosenTopics,
    at_ns: NDArray[np.int64],
    longest_gap_ns: int,
    fixed_frame: str | None,
    turned: Poses,
) -> list[Localisation]:
    camera = topics.image_frame
    chain = found.tree.ancestors(camera)
    moves = [index for index, frame in enumerate(chain) if frame in found.tree.moving]
    if not moves:
        return []
    # Frames above the last moving part would add nothing that changes.
    usual = [frame for frame in FIXED_FRAMES if frame in chain[moves[0] + 1 :]]
    reference = fixed_frame or (usual[0] if usual else chain[moves[-1] + 1])
    if not found.tree.connected(camera, reference):
        return []
    poses = found.tree.pose(camera, reference, at_ns, longest_gap_ns)
    source = f"/tf: {camera} in {reference}"
    return [
        Localisation(poses, source, True),
        Localisation(poses @ turned, f"{source}, taken as a body frame (x forward)", False),
    ]
