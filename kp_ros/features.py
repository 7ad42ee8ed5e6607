"""What flows through the program: keypoints with descriptors, tracks, and the camera that saw them.

Pixel convention of the whole project: the centre of the top-left pixel is (0, 0), x to the right, y down, as OpenCV
and ROS have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """What a detector found in one image, best score first.

    :ivar keypoints: float32 [N, 2], x y in pixels of the input image.
    :ivar scores: float32 [N], higher is better; learned models give a probability in (0, 1).
    :ivar descriptors: [N, D], float32 of unit L2 norm, or uint8 of packed bits (compare by Hamming distance).
        D is 0 for detectors without a descriptor.
    """

    keypoints: Float32
    scores: Float32
    descriptors: NDArray[Any]

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, index: Any) -> Features:
        return Features(self.keypoints[index], self.scores[index], self.descriptors[index])


@dataclass(frozen=True)
class Tracks:
    """The points that the tracker follows, as of one image; longest-lived first.

    :ivar track_id: uint32 [N], unique since the tracker's start, never used again after a reset.
    :ivar age: uint32 [N], frames since the track began (1 in its first frame).
    :ivar keypoints: float32 [N, 2], x y in pixels of the input image.
    :ivar velocity: float32 [N, 2], pixels a second, 0 in the first frame.
    :ivar scores: float32 [N], of the last detection that confirmed the track.
    :ivar descriptors: [N, D], of the last detection that confirmed the track; dtype as in :class:`Features`.
    """

    track_id: NDArray[np.uint32]
    age: NDArray[np.uint32]
    keypoints: Float32
    velocity: Float32
    scores: Float32
    descriptors: NDArray[Any]

    def __len__(self) -> int:
        return len(self.track_id)

    def __getitem__(self, index: Any) -> Tracks:
        return Tracks(
            self.track_id[index],
            self.age[index],
            self.keypoints[index],
            self.velocity[index],
            self.scores[index],
            self.descriptors[index],
        )
