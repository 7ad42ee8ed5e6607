import torch
from torch import Tensor

from training.regularisers.scheduled import scheduled_sum
from training.schedules import Schedule, Shape


def never() -> Tensor:
    raise AssertionError("a term of weight 0 was computed")


def test_terms_are_weighted_by_their_schedules_and_left_out_at_zero() -> None:
    weights = {
        "entropy": Schedule(Shape.LINEAR, 0.0, -2.0),
        "coverage": Schedule(start=3.0),
        "warm_up": Schedule(Shape.LINEAR, 1.0, 0.0, finish=0.1),
    }
    terms = {"entropy": lambda: torch.tensor(5.0), "coverage": lambda: torch.tensor(1.0), "warm_up": never}
    total, values = scheduled_sum(terms, weights, 0.5)
    assert float(total) == -1.0 * 5 + 3 * 1
    assert {name: float(value) for name, value in values.items()} == {"entropy": 5.0, "coverage": 1.0}
    nothing, none = scheduled_sum({}, {}, 0.5)
    assert float(nothing) == 0 and none == {}
