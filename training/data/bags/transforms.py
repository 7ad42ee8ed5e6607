"""The tree of frames that /tf and /tf_static give (Foote 2013, "tf: The transform library")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.recordings.messages import stamp_of
from training.data.sequence import Poses, pose_matrices
from training.data.trajectory import Trajectory, in_order, interpolate

TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")


def frame_name(name: str) -> str:
    """A frame without the slash that ROS 1 may put before it."""
    return name.lstrip("/")


def matrix_of(position: Any, orientation: Any) -> Poses:
    """A message's position or translation, and its quaternion, as float64 [4, 4].

    :raises ValueError: the quaternion is 0.
    """
    return np.asarray(
        pose_matrices(
            np.array([[position.x, position.y, position.z]], np.float64),
            np.array([[orientation.x, orientation.y, orientation.z, orientation.w]], np.float64),
        )[0],
        np.float64,
    )


@dataclass
class TransformTree:
    """Frames, each with its parent: fixed to it, or moving.

    :ivar fixed: child -> parent and pose of the child in the parent.
    :ivar moving: child -> parent -> stamps and poses as they came.
    """

    fixed: dict[str, tuple[str, Poses]] = field(default_factory=dict)
    moving: dict[str, tuple[str, list[tuple[int, Poses]]]] = field(default_factory=dict)

    def add(self, transforms: Iterable[Any], *, static: bool) -> None:
        """Take in the transforms of a message; broken ones (quaternion 0) are left out."""
        for stamped in transforms:
            parent, child = frame_name(stamped.header.frame_id), frame_name(stamped.child_frame_id)
            try:
                pose = matrix_of(stamped.transform.translation, stamped.transform.rotation)
            except ValueError:
                continue
            if static:
                self.fixed[child] = (parent, pose)
            elif child not in self.fixed:
                self.moving.setdefault(child, (parent, []))[1].append((stamp_of(stamped), pose))

    def ancestors(self, frame: str) -> list[str]:
        """The frame, its parent, and so on to the root."""
        chain = [frame]
        while (parent := self._parent(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def _parent(self, frame: str) -> str | None:
        known = self.fixed.get(frame) or self.moving.get(frame)
        return None if known is None else known[0]

    def connected(self, one: str, other: str) -> bool:
        """Whether the tree leads from one frame to the other."""
        return one == other or bool(set(self.ancestors(one)) & set(self.ancestors(other)))

    def pose(self, frame: str, reference: str, at_ns: NDArray[np.int64], longest_gap_ns: int) -> Poses:
        """Poses of a frame in another, at some times.

        :param at_ns: int64 [M], nanoseconds.
        :param longest_gap_ns: as in :func:`training.data.trajectory.interpolate`.
        :returns: float64 [M, 4, 4], NaN where a moving part of the way is not known at the time.
        :raises KeyError: the tree does not lead from one to the other.
        """
        up, down = self.ancestors(frame), self.ancestors(reference)
        common = next((name for name in up if name in down), None)
        if common is None:
            raise KeyError(f"no transform leads from {reference} to {frame}")
        from_frame = self._to_ancestor(up[: up.index(common)], at_ns, longest_gap_ns)
        from_reference = self._to_ancestor(down[: down.index(common)], at_ns, longest_gap_ns)
        return np.asarray(_inverse(from_reference) @ from_frame, np.float64)

    def _to_ancestor(self, chain: list[str], at_ns: NDArray[np.int64], longest_gap_ns: int) -> Poses:
        poses: Poses = np.tile(np.eye(4), (len(at_ns), 1, 1))
        for child in reversed(chain):
            if child in self.fixed:
                poses = poses @ self.fixed[child][1]
            else:
                poses = poses @ interpolate(self.trajectory(child), at_ns, longest_gap_ns)
        return poses

    def trajectory(self, child: str) -> Trajectory:
        """The recorded poses of a moving frame in its parent."""
        recorded = self.moving[child][1]
        return in_order(np.array([stamp for stamp, _ in recorded], np.int64), np.array([pose for _, pose in recorded]))


def _inverse(poses: Poses) -> Poses:
    """Of rigid motions, float64 [M, 4, 4]; NaN stays NaN."""
    rotations = poses[:, :3, :3].transpose(0, 2, 1)
    inverse = np.array(poses, np.float64)
    inverse[:, :3, :3] = rotations
    inverse[:, :3, 3] = -np.einsum("nij,nj->ni", rotations, poses[:, :3, 3])
    return inverse
