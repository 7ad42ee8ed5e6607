import math

import pytest

from training.evaluation.recall import area_under_curve


def test_the_area_is_that_of_the_piecewise_linear_curve() -> None:
    # From (0, 0) to (2, 1/2) to (4, 1), then level: the triangle below 4, and all of the rest up to 10.
    assert area_under_curve([4.0, 2.0], (10.0,)) == pytest.approx((100 * (4 * 1 / 2 + 6) / 10,))


def test_errors_beyond_the_threshold_only_count_as_failures() -> None:
    assert area_under_curve([1.0, 50.0], (5.0,)) == area_under_curve([1.0, 180.0], (5.0,))
    assert area_under_curve([1.0, float("inf")], (5.0,)) == area_under_curve([1.0, 180.0], (5.0,))


def test_perfect_estimates_give_a_hundred_and_failures_nothing() -> None:
    assert area_under_curve([0.0] * 4, (5.0, 20.0)) == pytest.approx((100.0, 100.0))
    assert area_under_curve([180.0] * 4, (5.0, 20.0)) == (0.0, 0.0)


def test_no_pairs_give_no_number() -> None:
    assert all(math.isnan(area) for area in area_under_curve([], (5.0, 10.0)))
