"""Which images of a recording are worth keeping."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.sequence import Image

#: An image is compared with so many before and after it: what is sharp depends on what there is to see.
NEIGHBOURS = 15
#: Variance of the Laplacian below which there is nothing to see: a lens cap, a white wall, a black frame.
EMPTY = 5.0
CORNERS = 200
#: With fewer corners followed, the images' difference tells whether the view is another one.
LEAST_FOLLOWED = 12
#: Mean difference of the grey values of two images of one view.
SAME_VIEW = 3.0


def blurred(sharpness: NDArray[np.float64], least_share: float) -> NDArray[np.bool_]:
    """Which images are much less sharp than those around them, or show nothing.

    :param sharpness: float64 [F], variance of the Laplacian, NaN for images that cannot be decoded.
    :param least_share: of the median of the neighbours' sharpness.
    """
    result = np.zeros(len(sharpness), np.bool_)
    for index, value in enumerate(sharpness):
        if np.isnan(value):
            continue
        around = sharpness[max(0, index - NEIGHBOURS) : index + NEIGHBOURS + 1]
        result[index] = value < EMPTY or value < least_share * float(np.nanmedian(around))
    return result


@dataclass
class MotionGate:
    """Lets an image pass when the view has moved since the last one that passed.

    :ivar least_motion: median motion of followed corners, as a share of the image's diagonal.
    """

    least_motion: float
    _last: Image | None = None
    _corners: NDArray[np.float32] | None = None

    def passes(self, small: Image) -> bool:
        """Whether to keep an image, given in grey and small; if so, the next ones are compared with it."""
        moved = self._motion(small)
        if moved < self.least_motion * float(np.hypot(*small.shape)):
            return False
        self._last = small
        corners = cv2.goodFeaturesToTrack(small, CORNERS, 0.01, 5)
        self._corners = None if corners is None else np.asarray(corners, np.float32)
        return True

    def _motion(self, small: Image) -> float:
        """Pixels; infinite where the view is another one."""
        if self._last is None:
            return float("inf")
        if self._corners is not None:
            followed, status, _ = cv2.calcOpticalFlowPyrLK(self._last, small, self._corners, np.empty(0))
            found = status.ravel() == 1
            if found.sum() >= LEAST_FOLLOWED:
                return float(np.median(np.linalg.norm((followed - self._corners)[found, 0], axis=1)))
        return float("inf") if cv2.absdiff(self._last, small).mean() > SAME_VIEW else 0.0
