"""The map: one inverse depth for each track, along the ray of the frame in which the track began.

A template's first place defines its point, so the ray is exact by definition and only the depth is unknown: one
number a point, whose Gaussian holds from the nearest to the farthest points (Civera et al., Inverse depth
parametrization for monocular SLAM, 2008).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.odometry.base import Float64

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """Points of the world in homogeneous form: ``origin + direction / inverse_depth``.

    :ivar origin: float64 [N, 3], where the camera was, world, metres.
    :ivar direction: float64 [N, 3], of the ray, world; 1 long along the camera's z.
    :ivar inverse_depth: float64 [N], 1 / metres along z.
    :ivar variance: float64 [N], of the inverse depth.
    """

    origin: Float64
    direction: Float64
    inverse_depth: Float64
    variance: Float64

    def __len__(self) -> int:
        return len(self.inverse_depth)

    def __getitem__(self, index: Any) -> Points:
        return Points(self.origin[index], self.direction[index], self.inverse_depth[index], self.variance[index])

    def places(self) -> Float64:
        """Where they are: float64 [N, 3], world, metres."""
        return np.asarray(self.origin + self.direction / self.inverse_depth[:, None])

    def certain(self, ratio: float) -> NDArray[np.bool_]:
        """Which inverse depths are more than ``ratio`` deviations: bool [N]."""
        return np.asarray(self.inverse_depth > ratio * np.sqrt(self.variance))


@dataclass(frozen=True)
class LandmarkTable:
    """What is known of the tracks that are still followed.

    :ivar track_id: uint32 [N], increasing.
    :ivar anchor: int64 [N], number of the frame in which the point was first seen.
    :ivar ray: float64 [N, 3], z = 1, in that frame.
    :ivar inverse_depth: float64 [N], 1 / metres along that frame's z.
    :ivar variance: float64 [N], of the inverse depth.
    :ivar agreed: int64 [N], in how many frames the point agreed with the pose.
    :ivar disagreed: int64 [N], and in how many not.
    """

    track_id: NDArray[np.uint32]
    anchor: Integers
    ray: Float64
    inverse_depth: Float64
    variance: Float64
    agreed: Integers
    disagreed: Integers

    def __len__(self) -> int:
        return len(self.track_id)

    def __getitem__(self, index: Any) -> LandmarkTable:
        return LandmarkTable(
            self.track_id[index],
            self.anchor[index],
            self.ray[index],
            self.inverse_depth[index],
            self.variance[index],
            self.agreed[index],
            self.disagreed[index],
        )

    @staticmethod
    def empty() -> LandmarkTable:
        """No landmark."""
        none = np.zeros(0, np.int64)
        return LandmarkTable(
            np.zeros(0, np.uint32), none, np.zeros((0, 3)), np.zeros(0), np.zeros(0), none, none.copy()
        )

    def joined(self, other: LandmarkTable) -> LandmarkTable:
        """Both tables in one, sorted."""
        parts = [np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.__dataclass_fields__]
        return LandmarkTable(*parts)[np.argsort(parts[0], kind="stable")]

    def known_to_lie(self, inverse_depth: Float64, variance: Float64) -> LandmarkTable:
        """The same with other depths."""
        return replace(self, inverse_depth=inverse_depth, variance=variance)

    def trusted(self) -> NDArray[np.bool_]:
        """Which landmarks have agreed more often than not: bool [N]. New ones have."""
        return np.asarray(self.agreed >= self.disagreed)


def begin(
    track_id: NDArray[np.uint32], frame: int, rays: Float64, inverse_depth: Float64, deviation: Float64
) -> LandmarkTable:
    """Landmarks of tracks that were first seen in one frame."""
    none = np.zeros(len(track_id), np.int64)
    return LandmarkTable(track_id, none + frame, rays, inverse_depth, deviation**2, none, none.copy())


def among(track_id: NDArray[np.uint32], ids: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which of some ids, in any order, are in an increasing column: bool [N]."""
    if len(ids) == 0:
        return np.zeros(len(track_id), bool)
    place = np.searchsorted(ids, track_id)
    return np.asarray(ids[np.minimum(place, len(ids) - 1)] == track_id)


def shared(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> tuple[Integers, Integers]:
    """Rows of two increasing id columns that are in both: int64 [M], int64 [M]."""
    if len(second) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place = np.searchsorted(second, first)
    found = second[np.minimum(place, len(second) - 1)] == first
    return np.flatnonzero(found), place[found]
