"""Numbers that change over a run: weights, learning rates, curricula."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """How a schedule goes from its start to its end."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"
    #: Start for a third, the mean of both for a third, end for a third.
    THIRDS = "thirds"


@dataclass(frozen=True)
class Schedule:
    """A number by the progress of a run.

    :ivar start: the value until ``begin``; for a constant, always.
    :ivar end: the value from ``finish`` on; not used by a constant.
    :ivar begin: progress at which the change begins, 0 to 1.
    :ivar finish: progress at which it is over, 0 to 1.
    """

    shape: Shape = Shape.CONSTANT
    start: float = 0.0
    end: float = 0.0
    begin: float = 0.0
    finish: float = 1.0

    def at(self, progress: float) -> float:
        """The value at a progress: step / steps, 0 to 1."""
        if self.shape is Shape.CONSTANT:
            return self.start
        if self.finish <= self.begin:
            share = float(progress >= self.finish)
        else:
            share = min(max((progress - self.begin) / (self.finish - self.begin), 0.0), 1.0)
        if self.shape is Shape.COSINE:
            share = 0.5 * (1 - math.cos(math.pi * share))
        elif self.shape is Shape.THIRDS:
            share = min(math.floor(3 * share + 1e-9), 2) / 2
        return self.start + (self.end - self.start) * share
