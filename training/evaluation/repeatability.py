"""How many keypoints are found again, and how many are matched rightly, where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A keypoint found within this distance of its true place is found again, pixels.
REPEATED_PIXELS = 3.0


@dataclass(frozen=True)
class Share:
    """So many of so many.

    :ivar hits: keypoints found again, or matched rightly.
    :ivar covisible: keypoints whose place the other image shows.
    """

    hits: int
    covisible: int

    @property
    def percent(self) -> float | None:
        """None where nothing is covisible."""
        return 100 * self.hits / self.covisible if self.covisible else None

    def __add__(self, other: Share) -> Share:
        return Share(self.hits + other.hits, self.covisible + other.covisible)


def repeated_keypoints(
    places: NDArray[np.float64], visible: NDArray[np.bool_], keypoints: NDArray[np.floating]
) -> Share:
    """Keypoints of one image that the other image has a keypoint for (Mikolajczyk et al., IJCV 2005).

    :param places: float64 [P, N, 2], true places in the other image, P possible ones a keypoint, pixels.
    :param visible: bool [P, N], whether the place is seen there; a keypoint with none is not covisible.
    :param keypoints: [M, 2], the other image's keypoints, pixels.
    """
    covisible = visible.any(0)
    if not covisible.any() or len(keypoints) == 0:
        return Share(0, int(covisible.sum()))
    distances = np.linalg.norm(places[:, covisible, None] - keypoints[None, None], axis=3).min(2)
    again = ((distances < REPEATED_PIXELS) & visible[:, covisible]).any(0)
    return Share(int(again.sum()), int(covisible.sum()))


def rightly_matched(
    places: NDArray[np.float64],
    visible: NDArray[np.bool_],
    sources: NDArray[np.intp],
    matched: NDArray[np.floating],
) -> Share:
    """Keypoints of one image whose match is right: the matching score (Mikolajczyk and Schmid, PAMI 2005).

    :param places: as in :func:`repeated_keypoints`; visible likewise.
    :param sources: int [K], rows of the matched keypoints.
    :param matched: [K, 2], what they were matched to, pixels.
    """
    distances = np.linalg.norm(places[:, sources] - matched[None], axis=2)
    right = ((distances < REPEATED_PIXELS) & visible[:, sources]).any(0)
    return Share(int(right.sum()), int(visible.any(0).sum()))
