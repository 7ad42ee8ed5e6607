"""Area under the cumulative error curve: the number that papers give for poses and homographies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def cumulative_curve(errors: Sequence[float] | NDArray[np.float64]) -> Curve:
    """Error against the share of pairs that is at least as good, from (0, 0) on.

    :param errors: one a pair; infinite, or larger than any threshold, where the estimate failed.
    """
    ascending = np.sort(np.asarray(errors, np.float64))
    share = (np.arange(len(ascending)) + 1) / max(len(ascending), 1)
    return np.concatenate([[0.0], ascending]), np.concatenate([[0.0], share])


def area_under_curve(errors: Sequence[float] | NDArray[np.float64], thresholds: Sequence[float]) -> tuple[float, ...]:
    """Area under the cumulative curve up to each threshold, as a percentage of the largest possible one.

    The curve is exact and piecewise linear, as SuperGlue (Sarlin et al., CVPR 2020) introduced it and all have used
    since.

    :returns: one value a threshold, 0 to 100; NaN without pairs.
    """
    if len(errors) == 0:
        return (float("nan"),) * len(thresholds)
    error, share = cumulative_curve(errors)
    areas = []
    for threshold in thresholds:
        end = int(np.searchsorted(error, threshold))
        x = np.concatenate([error[:end], [threshold]])
        y = np.concatenate([share[:end], [share[end - 1]]])
        areas.append(float(100 * np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2) / threshold))
    return tuple(areas)
