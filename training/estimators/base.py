"""The interface of all estimators."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


class Model(Enum):
    """What is estimated."""

    #: q^T E p = 0 on the unit plane: undistorted rays, threshold in unit-plane units (pixels / focal length).
    ESSENTIAL = "essential"
    #: q^T F p = 0 in pixels.
    FUNDAMENTAL = "fundamental"
    #: q ~ H p in pixels.
    HOMOGRAPHY = "homography"


class Library(Enum):
    """Who estimates."""

    POSELIB = "poselib"
    OPENCV = "opencv"


#: Fewest point pairs from which a model follows.
FEWEST = {Model.ESSENTIAL: 5, Model.FUNDAMENTAL: 7, Model.HOMOGRAPHY: 4}


@dataclass(frozen=True)
class EstimatorSettings:
    """:ivar model: what is estimated.
    :ivar library: who estimates; poselib is LO-RANSAC with non-linear refinement, opencv is USAC's MAGSAC++.
    :ivar threshold: largest error of an inlier, in the model's unit.
    :ivar iterations: most samples that are tried.
    :ivar confidence: that the best model was among them, at which the search ends.
    :ivar seed: of the samples.
    """

    model: Model = Model.FUNDAMENTAL
    library: Library = Library.POSELIB
    threshold: float = 1.0
    iterations: int = 1000
    confidence: float = 0.9999
    seed: int = 0


@dataclass(frozen=True)
class Estimate:
    """:ivar matrix: float64 [3, 3]; for an essential matrix of unit translation.
    :ivar inliers: bool [N].
    :ivar pose: float64 [3, 4], second camera from first, translation of unit length; of an essential matrix alone.
    """

    matrix: NDArray[np.float64]
    inliers: NDArray[np.bool_]
    pose: NDArray[np.float64] | None = None


class Estimator(Protocol):
    """A function of point pairs, safe to call from several threads at once."""

    def __call__(self, first: Points, second: Points) -> Estimate | None:
        """:param first: [N, 2], of the first image, in the model's unit.
        :param second: [N, 2], the points that they match.
        :returns: None when no model was found; never an old or a made-up one.
        """
        ...
