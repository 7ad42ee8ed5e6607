"""The median without what makes NumPy's slow: on a thousand numbers its checks take longer than its search."""

from __future__ import annotations

import numpy as np

from kp_ros.odometry.base import Float64


def median(values: Float64) -> float:
    """Median of float64 [N], N at least 1 and none NaN."""
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    below, above = np.partition(values, (half - 1, half))[half - 1 : half + 1]
    return float(below + above) / 2
