"""Poses in time: from those that were recorded to those of the images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from training.data.sequence import Poses

ROUNDING_NS = 1_000_000


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses as they were recorded.

    :ivar stamps_ns: int64 [N], nanoseconds, strictly ascending.
    :ivar poses: float64 [N, 4, 4], of a frame in the world.
    """

    stamps_ns: NDArray[np.int64]
    poses: Poses

    def __len__(self) -> int:
        return len(self.stamps_ns)


def in_order(stamps_ns: NDArray[np.int64], poses: Poses) -> Trajectory:
    """Sort by time; of several poses of one time, the first stays."""
    stamps, first = np.unique(stamps_ns, return_index=True)
    return Trajectory(stamps, poses[first])


def interpolate(trajectory: Trajectory, at_ns: NDArray[np.int64], longest_gap_ns: int) -> Poses:
    """The poses at other times: position linear, rotation at a constant rate (slerp, Shoemake 1985).

    :param at_ns: int64 [M].
    :param longest_gap_ns: between the recorded poses before and after, nanoseconds; beyond it nothing is known, nor
        is outside the trajectory (but for a millisecond, which clocks round by).
    :returns: float64 [M, 4, 4], NaN where nothing is known.
    """
    found = np.full((len(at_ns), 4, 4), np.nan)
    stamps = trajectory.stamps_ns
    if len(stamps) == 0:
        return found
    held = np.clip(at_ns, stamps[0], stamps[-1])
    after = np.clip(np.searchsorted(stamps, held, "left"), 0, len(stamps) - 1)
    before = np.where(stamps[after] == held, after, after - 1)
    known = stamps[after] - stamps[before] <= longest_gap_ns
    known &= np.abs(at_ns - held) <= ROUNDING_NS
    if not known.any():
        return found
    found[known] = np.eye(4)
    times, moments = (stamps - stamps[0]) * 1e-9, (held[known] - stamps[0]) * 1e-9
    positions = trajectory.poses[:, :3, 3]
    found[known, :3, 3] = np.stack([np.interp(moments, times, positions[:, axis]) for axis in range(3)], 1)
    if len(stamps) == 1:
        found[known, :3, :3] = trajectory.poses[0, :3, :3]
    else:
        turns = Slerp(times, Rotation.from_matrix(trajectory.poses[:, :3, :3]))
        found[known, :3, :3] = turns(moments).as_matrix()
    return found


def nearest(stamps_ns: NDArray[np.int64], at_ns: NDArray[np.int64], tolerance_ns: int) -> NDArray[np.intp]:
    """Which of some ascending times is nearest to each of others.

    :returns: intp [M], -1 where none is within the tolerance.
    """
    if len(stamps_ns) == 0:
        return np.full(len(at_ns), -1, np.intp)
    after = np.clip(np.searchsorted(stamps_ns, at_ns), 0, len(stamps_ns) - 1)
    before = np.maximum(after - 1, 0)
    closer = np.where(np.abs(stamps_ns[before] - at_ns) <= np.abs(stamps_ns[after] - at_ns), before, after)
    return np.where(np.abs(stamps_ns[closer] - at_ns) <= tolerance_ns, closer, -1).astype(np.intp)
