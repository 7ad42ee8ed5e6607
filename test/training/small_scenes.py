"""Two photographs as flat scenes, and settings that train a tiny network on them in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.checkpoint import load_checkpoint
from training.configuration import save_config
from training.data.augmentation import AugmentationSettings
from training.data.flat_scenes import FlatSettings
from training.frame_batch import FrameBatch
from training.methods.method import Method
from training.methods.running import make_dataset, run_method
from training.methods.training_data import DataSettings, open_training_data
from training.networks.making import NetworkChoice
from training.precision import Precision
from training.runs import CONFIG
from training.trainer import CHECKPOINT

SIDE = 96
NETWORK = NetworkChoice(settings={"descriptor_size": 16, "width": 16})


def write_photographs(folder: Path) -> Path:
    """Blocks of grey with soft edges: corners of all signs."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(2):
        blocks = cv2.resize(rng.integers(0, 255, (24, 32), np.uint8), (320, 240), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.GaussianBlur(blocks, (0, 0), 1.0))
    return folder


def small_settings(photographs: Path, store: Path) -> dict[str, Any]:
    """Keyword arguments of any method's configuration."""
    flat = FlatSettings(views=6, width=SIDE, height=SIDE, nearest=1.5, farthest=2.0, tilt=20.0, longest_side=320)
    return {
        "network": NETWORK,
        "data": DataSettings(photographs=[photographs], flat=flat, store=store),
        "image": AugmentationSettings(SIDE, SIDE, appearance=None),
        "batch_size": 1,
        "precision": Precision.FP32,
        "loader_processes": 0,
        "accelerator": "cpu",
        "checkpoint_every": 2,
        "steps": 6,
    }


def one_batch(method: Method[Any], config: Any) -> FrameBatch:
    """The batch of step 0."""
    return make_dataset(method, config, open_training_data(config.data))[0]


def killed_in_step(method: Method[Any], step: int) -> Method[Any]:
    """The method, but a step raises, as a kill would end it."""

    class Killed(method.objective):  # type: ignore[misc, name-defined]
        def forward(self, batch: FrameBatch, number: int) -> tuple[Tensor, dict[str, Tensor]]:
            if number == step:
                raise RuntimeError("killed")
            found: tuple[Tensor, dict[str, Tensor]] = super().forward(batch, number)
            return found

    return replace(method, objective=Killed)


def train_whole_and_resumed(method: Method[Any], config: Any, folder: Path) -> Path:
    """Train twice, once killed in step 3 and resumed: to the same bits. The unbroken run's checkpoint."""
    for name in ("unbroken", "resumed"):
        (folder / name).mkdir()
        save_config(config, folder / name / CONFIG)
    with pytest.raises(RuntimeError, match="killed"):
        run_method(killed_in_step(method, 3), config, folder / "resumed")
    assert [run_method(method, config, folder / name) for name in ("unbroken", "resumed")] == [config.steps] * 2
    whole, resumed = (load_checkpoint(folder / name / CHECKPOINT) for name in ("unbroken", "resumed"))
    assert all(torch.equal(value, resumed.model[name]) for name, value in whole.model.items())
    return folder / "unbroken" / CHECKPOINT


def overfit(objective: nn.Module, batch: FrameBatch, steps: int, rate: float = 2e-3) -> list[dict[str, float]]:
    """Train on one batch; the figures of each step."""
    objective.train()
    optimiser = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], rate)
    history = []
    for step in range(steps):
        loss, figures = objective(batch, step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append({name: float(value) for name, value in figures.items()} | {"loss": float(loss.detach())})
    return history


def mean_of(history: list[dict[str, float]], name: str) -> float:
    """Mean of a figure."""
    return float(np.mean([figures[name] for figures in history]))
