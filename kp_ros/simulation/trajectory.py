"""How the camera moves."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.mounting import OPTICAL_TO_BODY
from kp_ros.simulation.rendering import Matrix

#: Metres between the points that a ground path is kept by.
PATH_STEP = 0.02


@dataclass(frozen=True, eq=False)
class Path:
    """A curve on the ground.

    :ivar points: float64 [N, 2], metres, :data:`PATH_STEP` apart.
    :ivar heading: float64 [N], radians from the x axis, counter-clockwise.
    """

    points: NDArray[np.float64]
    heading: NDArray[np.float64]

    @property
    def length(self) -> float:
        """Metres."""
        return (len(self.points) - 1) * PATH_STEP

    def at(self, distance: float, aside: float = 0.0) -> tuple[NDArray[np.float64], float]:
        """The point and the heading at a distance from the start; ``aside`` metres to the left of the path."""
        index = int(np.clip(round(distance / PATH_STEP), 0, len(self.points) - 1))
        heading = float(self.heading[index])
        return self.points[index] + aside * np.array([-np.sin(heading), np.cos(heading)]), heading


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Stamped camera poses.

    :ivar stamps_ns: int64 [N], nanoseconds, ascending.
    :ivar poses: float64 [N, 4, 4], camera to world.
    :ivar path: what it was driven along; None for a camera that was carried.
    """

    stamps_ns: NDArray[np.int64]
    poses: Matrix
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def pose(self, stamp_ns: int) -> Matrix:
        """The pose at any time between the first and the last: the position linear, the rotation at a constant rate."""
        index = int(np.clip(np.searchsorted(self.stamps_ns, stamp_ns, "right") - 1, 0, len(self) - 2))
        start, end = self.poses[index], self.poses[index + 1]
        step = self.stamps_ns[index + 1] - self.stamps_ns[index]
        share = float(np.clip((stamp_ns - self.stamps_ns[index]) / step, 0, 1))
        turn, _ = cv2.Rodrigues(start[:3, :3].T @ end[:3, :3])
        pose = np.eye(4)
        pose[:3, :3] = start[:3, :3] @ cv2.Rodrigues(turn * share)[0]
        pose[:3, 3] = start[:3, 3] + (end[:3, 3] - start[:3, 3]) * share
        return pose


def _looking(eye: NDArray[np.float64], yaw: float, pitch: float, roll: float) -> Matrix:
    """A camera at a place: yaw to the left, pitch down, roll clockwise, radians."""
    turn = np.eye(3)
    for axis, angle in ((2, yaw), (1, pitch), (0, roll)):
        vector = np.zeros(3)
        vector[axis] = angle
        turn = turn @ cv2.Rodrigues(vector)[0]
    pose = np.eye(4)
    pose[:3, :3] = turn @ OPTICAL_TO_BODY
    pose[:3, 3] = eye
    return pose


def _ground_path(turns: tuple[tuple[float, float, float], ...], before: float, after: float) -> Path:
    """Straight but for its turns, whose curvature rises and falls smoothly.

    :param turns: for each: where it begins (metres), how long it is (metres), its angle (degrees, left is positive).
    :param before: metres that the path reaches back behind its start at the origin.
    :param after: metres to its end.
    """
    distance = np.arange(-round(before / PATH_STEP), round(after / PATH_STEP) + 1) * PATH_STEP
    heading = np.zeros(len(distance))
    for start, length, angle in turns:
        along = np.clip((distance - start) / length, 0, 1)
        heading += np.radians(angle) * (along - np.sin(2 * np.pi * along) / (2 * np.pi))
    steps = PATH_STEP * np.stack([np.cos(heading), np.sin(heading)], 1)
    points = np.cumsum(steps, 0)
    return Path(points - points[round(before / PATH_STEP)], heading)


def drive(
    seconds: float = 10.0,
    rate: float = 30.0,
    speed: float = 5.0,
    turns: tuple[tuple[float, float, float], ...] = ((10.0, 18.0, 75.0), (33.0, 16.0, -60.0)),
    height: float = 1.5,
    start_ns: int = 1_700_000_000_000_000_000,
) -> Trajectory:
    """A vehicle that starts, drives along a street with turns, and rocks a little.

    :param rate: frames a second.
    :param speed: metres a second, reached within the first two seconds.
    :param turns: see :class:`Path`: (where it begins, how long it is, degrees to the left), metres from the start.
    :param height: of the camera above the ground, metres.
    """
    path = _ground_path(turns, before=12.0, after=speed * seconds + 50.0)
    stamps = np.arange(round(seconds * rate)) / rate
    started = np.clip(stamps / 2.0, 0, 1)
    # The integral of a speed that rises by a raised cosine during two seconds.
    distances = speed * (started - np.sin(np.pi * started) / np.pi + np.clip(stamps - 2.0, 0, None))
    poses = np.empty((len(stamps), 4, 4))
    for index, (time, distance) in enumerate(zip(stamps, distances, strict=True)):
        point, heading = path.at(0.0)
        exact = (distance + 12.0) / PATH_STEP
        below = int(exact)
        share = exact - below
        point = path.points[below] * (1 - share) + path.points[below + 1] * share
        heading = path.heading[below] * (1 - share) + path.heading[below + 1] * share
        rocking = started[index]
        eye = np.array([*point, height + rocking * 0.015 * np.sin(2 * np.pi * 1.3 * time)])
        pitch = np.radians(rocking * 0.35 * np.sin(2 * np.pi * 1.1 * time))
        roll = np.radians(rocking * 0.5 * np.sin(2 * np.pi * 0.7 * time))
        poses[index] = _looking(eye, heading, pitch, roll)
    return Trajectory(start_ns + np.rint(stamps * 1e9).astype(np.int64), poses, path)


def orbit(
    seconds: float = 5.0,
    rate: float = 30.0,
    radius: float = 0.6,
    sweep: float = 50.0,
    height: float = 1.4,
    start_ns: int = 1_700_000_000_000_000_000,
) -> Trajectory:
    """A hand-held camera in a room: it walks a loop about the origin and looks left and right.

    :param radius: of the loop, metres.
    :param sweep: degrees that it looks to either side of the x axis.
    """
    stamps = np.arange(round(seconds * rate)) / rate
    poses = np.empty((len(stamps), 4, 4))
    for index, time in enumerate(stamps):
        phase = 2 * np.pi * time / 5.0
        eye = np.array([radius * np.cos(phase), radius * np.sin(phase), height + 0.1 * np.sin(2.3 * phase)])
        yaw = np.radians(sweep) * np.sin(phase)
        poses[index] = _looking(eye, yaw, 0.10 * np.sin(1.7 * phase), 0.06 * np.sin(1.3 * phase))
    return Trajectory(start_ns + np.rint(stamps * 1e9).astype(np.int64), poses)
