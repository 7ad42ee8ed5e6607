import pytest
import torch
from torch import nn

from training.optimisation import Optimiser, TrainerSettings, make_optimiser
from training.schedules import Schedule, Shape


def test_the_learning_rate_rises_and_falls() -> None:
    settings = TrainerSettings(steps=40, learning_rate=Schedule(Shape.COSINE, 1e-2, 1e-4), warm_up=5)
    rates = [settings.learning_rate_at(step) for step in range(41)]
    assert rates[0] == pytest.approx(1e-2 / 5) and max(rates) == pytest.approx(1e-2)
    assert rates.index(max(rates)) in (4, 5)
    assert rates[40] == pytest.approx(1e-4)
    constant = TrainerSettings(learning_rate=Schedule(start=1e-7))
    assert {constant.learning_rate_at(step) for step in (0, 5000, 9999)} == {1e-7}


def test_frozen_parameters_are_not_optimised() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].requires_grad_(False)
    optimiser = make_optimiser(TrainerSettings(optimiser=Optimiser.ADAM), module.parameters())
    assert type(optimiser) is torch.optim.Adam
    assert [id(p) for p in optimiser.param_groups[0]["params"]] == [id(p) for p in module[1].parameters()]
