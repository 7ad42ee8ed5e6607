"""The smallest thing that can be trained, with all that makes resuming hard: dropout, batch statistics, draws."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.optimisation import TrainerSettings
from training.schedules import Schedule
from training.trainer import train


class Batches(Dataset[Tensor]):
    """The n-th item depends on n alone."""

    def __getitem__(self, step: int) -> Tensor:
        generator = torch.Generator().manual_seed(step)
        return torch.randn(8, 3, generator=generator, dtype=torch.float64).float()


class Regression(nn.Module):
    """Fits the sum of three numbers.

    :param break_at: step at which it raises.
    :param poison: step whose loss is not a number.
    :param pause: seconds a step takes at least.
    """

    def __init__(
        self,
        break_at: int | None = None,
        poison: int | None = None,
        dropout: float = 0.3,
        normalise: bool = True,
        pause: float = 0.0,
    ) -> None:
        super().__init__()
        middle = nn.BatchNorm1d(4) if normalise else nn.Identity()
        self.layers = nn.Sequential(nn.Linear(3, 4), middle, nn.Dropout(dropout), nn.Linear(4, 1))
        self.noise = 0.1 if dropout else 0.0
        self.break_at, self.poison, self.pause = break_at, poison, pause

    def forward(self, batch: Tensor, step: int) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Loss and figures."""
        time.sleep(self.pause)
        if step == self.break_at:
            raise RuntimeError("killed")
        batch = batch.to(next(self.parameters()).dtype)
        goal = batch.sum(1, keepdim=True) + self.noise * (random.random() + np.random.rand())
        loss = (self.layers(batch) - goal).square().mean()
        if step == self.poison:
            loss = loss * float("nan")
        return loss, {"reward": float(step)}


def train_shared(folder: Path) -> None:
    """Twenty steps of four batches, alone or with the other processes of torchrun; no draws."""
    torch.manual_seed(1)
    settings = TrainerSettings(
        steps=20,
        learning_rate=Schedule(start=1e-2),
        gradient_clip=0.5,
        accumulate=4,
        checkpoint_every=11,
        loader_processes=0,
        accelerator="cpu",
    )
    train(Regression(dropout=0.0, normalise=False).double(), Batches(), settings, folder)
