"""The weighted sum of a method's regularisers at a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from training.schedules import Schedule


def scheduled_sum(
    terms: Mapping[str, Callable[[], Tensor]], weights: Mapping[str, Schedule], progress: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of weight x term; a term whose weight is 0 now is not computed.

    :param terms: functions that compute a term, by name.
    :param weights: a schedule for every name.
    :param progress: of the run, 0 to 1.
    :returns: the sum, and the terms without their weights, for the log.
    """
    now = {name: weights[name].at(progress) for name in terms}
    values = {name: terms[name]() for name, weight in now.items() if weight != 0}
    total = sum((now[name] * value for name, value in values.items()), torch.tensor(0.0))
    return total, {name: value.detach() for name, value in values.items()}
