"""How a run is optimised: what every configuration shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import nn

from training.precision import Precision
from training.schedules import Schedule, Shape


class Optimiser(Enum):
    """Which optimiser."""

    ADAMW = "adamw"
    ADAM = "adam"


@dataclass(frozen=True)
class TrainerSettings:
    """:ivar steps: optimiser steps.
    :ivar learning_rate: after the warm-up, by the progress of what is left.
    :ivar warm_up: steps over which the learning rate rises to the schedule's start.
    :ivar optimiser: adamw or adam.
    :ivar weight_decay: of the optimiser.
    :ivar gradient_clip: largest norm of the gradient.
    :ivar accumulate: batches of the data set a step, over all processes together: one process or several see the same
        data in the same steps. A multiple of the number of processes.
    :ivar precision: of the networks; fp16 has a loss scaler.
    :ivar checkpoint_every: steps.
    :ivar loader_processes: that make batches, a training process; 0 makes them in the training process itself.
    :ivar accelerator: ``auto`` takes a GPU where there is one; ``cpu``, ``cuda``.
    """

    steps: int = 10_000
    learning_rate: Schedule = field(default_factory=lambda: Schedule(Shape.COSINE, 1e-3, 1e-5))
    warm_up: int = 0
    optimiser: Optimiser = Optimiser.ADAMW
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    accumulate: int = 1
    precision: Precision = Precision.FP32
    checkpoint_every: int = 500
    loader_processes: int = 1
    accelerator: str = "auto"

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, 0-based."""
        if step < self.warm_up:
            return self.learning_rate.at(0.0) * (step + 1) / self.warm_up
        return self.learning_rate.at(min(1.0, (step - self.warm_up) / max(1, self.steps - self.warm_up)))


def make_optimiser(settings: TrainerSettings, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of those parameters that are not frozen."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    kind = torch.optim.AdamW if settings.optimiser is Optimiser.ADAMW else torch.optim.Adam
    return kind(trained, lr=settings.learning_rate_at(0), weight_decay=settings.weight_decay)
