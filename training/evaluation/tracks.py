"""Keypoint tracks over a sequence: how long they are, and how long they are where they belong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32
from training.evaluation.matching import Indices
from training.evaluation.reprojection import DepthReprojection, WorldPoints

#: A verified observation is this close to the true place of its track's first point, pixels.
VERIFIED_PIXELS = 3.0
#: Shorter tracks are no tracks, frames.
SHORTEST = 2


class TrackBook:
    """Keeps the books of all tracks, frame by frame.

    The verified length stops where a track's first point, lifted off its frame by depth, is no longer within
    :data:`VERIFIED_PIXELS` of the observation; the track itself goes on.

    :param keypoints: float32 [N, 2], of frame 0.
    :param geometry: verifies; None where the sequence has no depth.
    """

    def __init__(self, keypoints: Float32, geometry: DepthReprojection | None) -> None:
        self._geometry = geometry
        self._ended: list[NDArray[np.int32]] = []
        self._state = self._born(keypoints, 0)

    def step(self, frame: int, sources: Indices, keypoints: Float32, targets: Indices) -> None:
        """Carry tracks on to the next frame.

        :param sources: int [K], rows of the last frame's keypoints whose tracks go on.
        :param keypoints: float32 [N, 2], of this frame.
        :param targets: int [K], their rows in ``keypoints``; the other rows begin tracks.
        """
        state = self._state
        ends = np.ones(len(state.length), np.bool_)
        ends[sources] = False
        self._ended.append(np.stack([state.length[ends], state.verified[ends]], 1))
        self._state = self._born(keypoints, frame)
        self._state.length[targets] = state.length[sources] + 1
        if self._geometry is None or state.birth is None or self._state.birth is None:
            return
        birth = state.birth[sources]
        pixels, visible = self._geometry.project(birth, frame)
        near = np.linalg.norm(pixels - keypoints[targets], axis=2) < VERIFIED_PIXELS
        holds = state.holds[sources] & (visible & near).any(0)
        self._state.holds[targets] = holds
        self._state.verified[targets] = state.verified[sources] + holds
        self._state.birth.points[:, targets], self._state.birth.valid[:, targets] = birth.points, birth.valid

    def lengths(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Lengths and verified lengths of all tracks of two frames or more, int32 [T] each, frames."""
        rows = np.concatenate([*self._ended, np.stack([self._state.length, self._state.verified], 1)])
        rows = rows[rows[:, 0] >= SHORTEST]
        return rows[:, 0], rows[:, 1]

    def _born(self, keypoints: Float32, frame: int) -> _State:
        birth = None if self._geometry is None else self._geometry.lift(frame, keypoints)
        return _State(len(keypoints), birth)


class _State:
    """One row a keypoint of the frame."""

    def __init__(self, count: int, birth: WorldPoints | None) -> None:
        self.length = np.ones(count, np.int32)
        self.verified = np.ones(count, np.int32)
        self.holds = np.ones(count, np.bool_)
        self.birth = birth
