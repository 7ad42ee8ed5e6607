"""The quick median."""

from __future__ import annotations

import numpy as np
import pytest

from kp_ros.odometry.median import median


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1001])
def test_it_is_the_median(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    assert median(values) == pytest.approx(np.median(values), rel=1e-12)
