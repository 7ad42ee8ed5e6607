"""How a subject carries keypoints through a sequence: from one frame to the next, and between two frames far apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32
from training.data.sequence import Image, Sequence
from training.evaluation.extraction import Keypoints
from training.evaluation.matching import Indices, equal_ids, mutual_nearest_neighbours

#: Corners of the optical-flow baseline: least quality and least distance in pixels, of goodFeaturesToTrack.
CORNER_QUALITY, CORNER_DISTANCE = 0.01, 8
#: Side of the Lucas-Kanade window in pixels, and pyramid levels above full resolution.
FLOW_WINDOW, FLOW_LEVELS = 21, 3
#: Forward and backward flow end this close to where they began, pixels.
ROUND_TRIP = 1.0


@dataclass(frozen=True)
class Links:
    """Keypoints of one frame found in another.

    :ivar sources: int [K], rows of the first frame's keypoints.
    :ivar first: float32 [K, 2], those keypoints, pixels.
    :ivar second: float32 [K, 2], where they are in the other frame, pixels.
    """

    sources: Indices
    first: Float32
    second: Float32


class Linker(Protocol):
    """Follows one sequence from its first frame to its last; :meth:`pair` may be asked at any time."""

    def begin(self) -> Float32:
        """Keypoints of frame 0, float32 [N, 2]; forgets what was followed before."""
        ...

    def link(self, frame: int) -> Links:
        """The last frame's keypoints in ``frame``, which is the next one."""
        ...

    def advance(self, frame: int, links: Links, kept: NDArray[np.bool_]) -> tuple[Float32, Indices]:
        """Make ``frame`` the last frame.

        :param kept: bool [K], which of its links hold.
        :returns: keypoints of ``frame``, float32 [N, 2], and the rows in it of the links that hold.
        """
        ...

    def pair(self, first: int, second: int) -> tuple[Float32, Links]:
        """All keypoints of frame ``first``, and those found in frame ``second``."""
        ...


class KeypointLinker:
    """Links by descriptors, mutually nearest, or by track ids where the keypoints carry them.

    :param frames: keypoints of every frame.
    """

    def __init__(self, frames: list[Keypoints]) -> None:
        self.frames = frames
        self._rows = np.zeros((0, 2), np.intp)

    def begin(self) -> Float32:
        """See :class:`Linker`."""
        return self.frames[0].keypoints

    def link(self, frame: int) -> Links:
        """See :class:`Linker`."""
        self._rows = self._match(frame - 1, frame)
        return self._links(frame - 1, frame, self._rows)

    def advance(self, frame: int, links: Links, kept: NDArray[np.bool_]) -> tuple[Float32, Indices]:
        """See :class:`Linker`."""
        return self.frames[frame].keypoints, self._rows[kept, 1]

    def pair(self, first: int, second: int) -> tuple[Float32, Links]:
        """See :class:`Linker`."""
        return self.frames[first].keypoints, self._links(first, second, self._match(first, second))

    def _match(self, first: int, second: int) -> Indices:
        one, two = self.frames[first], self.frames[second]
        if one.ids is not None and two.ids is not None:
            return equal_ids(one.ids, two.ids)
        return mutual_nearest_neighbours(one.descriptors, two.descriptors)

    def _links(self, first: int, second: int, rows: Indices) -> Links:
        one, two = self.frames[first].keypoints, self.frames[second].keypoints
        return Links(rows[:, 0], one[rows[:, 0]], two[rows[:, 1]])


class FlowLinker:
    """GFTT corners (Shi and Tomasi, 1994) followed by pyramidal Lucas-Kanade, forward and backward, and refilled.

    :param sequence: the images.
    :param max_keypoints: corners a frame at most.
    """

    def __init__(self, sequence: Sequence, max_keypoints: int) -> None:
        self._grey = lru_cache(8)(sequence.grey)
        self._max_keypoints = max_keypoints
        self._points = np.zeros((0, 2), np.float32)
        self._pairs: dict[tuple[int, int], tuple[Float32, Links]] = {}

    def load(self, frame: int) -> None:
        """Read a frame's image ahead of its use."""
        self._grey(frame)

    def begin(self) -> Float32:
        """See :class:`Linker`."""
        self._points = corners(self._grey(0), self._max_keypoints)
        return self._points

    def link(self, frame: int) -> Links:
        """See :class:`Linker`."""
        moved, found = flow(self._grey(frame - 1), self._grey(frame), self._points)
        sources = np.flatnonzero(found)
        return Links(sources, self._points[sources], moved[sources])

    def advance(self, frame: int, links: Links, kept: NDArray[np.bool_]) -> tuple[Float32, Indices]:
        """See :class:`Linker`."""
        points = links.second[kept]
        image = self._grey(frame)
        free = np.full(image.shape, 255, np.uint8)
        for x, y in points:
            cv2.circle(free, (int(x), int(y)), CORNER_DISTANCE, 0, -1)
        fresh = corners(image, self._max_keypoints, free)[: max(0, self._max_keypoints - len(points))]
        self._points = np.concatenate([points, fresh]).astype(np.float32)
        return self._points, np.arange(len(points))

    def pair(self, first: int, second: int) -> tuple[Float32, Links]:
        """See :class:`Linker`. Corners of ``first`` go through every frame in between."""
        # Flow has nothing random, and the same pair is asked for in every run.
        if (first, second) not in self._pairs:
            start = corners(self._grey(first), self._max_keypoints)
            points, alive = start, np.ones(len(start), np.bool_)
            for frame in range(first, second):
                points, found = flow(self._grey(frame), self._grey(frame + 1), points)
                alive &= found
            sources = np.flatnonzero(alive)
            self._pairs[first, second] = start, Links(sources, start[sources], points[sources])
        return self._pairs[first, second]


def corners(image: Image, count: int, mask: NDArray[np.uint8] | None = None) -> Float32:
    """The ``count`` best Shi-Tomasi corners, float32 [N, 2], where the mask is not 0."""
    found = cv2.goodFeaturesToTrack(image, count, CORNER_QUALITY, CORNER_DISTANCE, mask=mask)
    return np.zeros((0, 2), np.float32) if found is None else np.asarray(found, np.float32).reshape(-1, 2)


def flow(first: Image, second: Image, points: Float32) -> tuple[Float32, NDArray[np.bool_]]:
    """Follow points [N, 2] from one image to another: where they are, and which came back and stayed inside."""
    if len(points) == 0:
        return points, np.zeros(0, np.bool_)
    window = (FLOW_WINDOW, FLOW_WINDOW)
    start = np.ascontiguousarray(points, np.float32)[:, None]
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, start, None, winSize=window, maxLevel=FLOW_LEVELS)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(second, first, moved, None, winSize=window, maxLevel=FLOW_LEVELS)
    moved = np.asarray(moved, np.float32).reshape(-1, 2)
    returned = np.linalg.norm(np.asarray(back).reshape(-1, 2) - points, axis=1) < ROUND_TRIP
    height, width = second.shape
    inside = (moved >= 0).all(1) & (moved < (width, height)).all(1)
    return moved, (found.ravel() == 1) & (found_back.ravel() == 1) & returned & inside
