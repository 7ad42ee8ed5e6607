"""The training loop of the pre-training and of all methods: resumable to the bit, interruptible, watched.

It knows nothing of what is trained: an objective that turns a batch into a loss and figures, a data set whose n-th item
is the n-th batch, and settings.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.interruption import stop_on_signal
from training.optimisation import TrainerSettings, make_optimiser
from training.precision import Precision
from training.processes import ProcessShare, make_loader, move, start_fabric
from training.random_state import random_state, restore_random_state
from training.run_log import Figures, RunLog

CHECKPOINT = "last.pt"
LOGGER = logging.getLogger(__name__)


def train(objective: nn.Module, dataset: Dataset[Any], settings: TrainerSettings, folder: Path) -> int:
    """Train until ``settings.steps``, from ``folder/last.pt`` where there is one.

    Started by ``torchrun``, all processes train together. Every process makes draws of its own: the generators of all
    but the first are seeded anew from the first's seed.

    :param objective: its parameters are trained, in place. ``forward(batch, step)`` returns the loss, which must hang
        on a parameter in every step, and figures for the log, numbers or scalar tensors by name: ``loss``, ``reward``,
        ``hit_rate``, ``acceptance``, ``entropy`` are shown in the progress bar. ``state_dict`` is what a checkpoint
        holds.
    :param dataset: its n-th item is the n-th batch, on the CPU (see :func:`training.processes.move`).
    :param folder: receives ``last.pt``, ``log.jsonl`` and TensorBoard's events.
    :returns: the step reached: fewer than ``settings.steps`` when it was interrupted.
    :raises ValueError: the processes cannot share a step's batches.
    """
    fabric = start_fabric(settings.accelerator)
    run = _Run(fabric, objective, settings, folder)
    share = ProcessShare(dataset, run.step, settings.steps, settings.accumulate, fabric.global_rank, fabric.world_size)
    loader = make_loader(share, settings.loader_processes, fabric.device.type == "cuda")
    first = fabric.global_rank == 0
    with stop_on_signal() as stopped, RunLog(folder, run.step, settings.steps, first) as log:
        batches = iter(loader)
        ended = time.perf_counter()
        while run.step < settings.steps:
            waited = 0.0
            for turn in range(share.per_step):
                asked = time.perf_counter()
                batch = next(batches)
                waited += time.perf_counter() - asked
                log.add(run.accumulate(move(batch, fabric.device), share.per_step, turn + 1 == share.per_step))
            log.add(run.update())
            now = time.perf_counter()
            log.add({"step_seconds": now - ended, "data_wait": waited / (now - ended)})
            ended = now
            log.end_step(run.step, {"skipped": run.skipped})
            if run.agree(bool(stopped)):
                break
            if run.step % settings.checkpoint_every == 0:
                run.save()
        run.save()
    return run.step


class _Run:
    """What a run has beside its data: objective, optimiser, scaler, counters; and what is done with them."""

    def __init__(self, fabric: Fabric, objective: nn.Module, settings: TrainerSettings, folder: Path) -> None:
        self.fabric, self.objective, self.settings, self.folder = fabric, objective, settings, folder
        self.step = self.skipped = 0
        objective.train()
        self.wrapped = fabric.setup_module(objective)
        self.optimiser = make_optimiser(settings, objective.parameters())
        self.scaler = torch.amp.GradScaler(fabric.device.type, enabled=settings.precision is Precision.FP16)
        self._loss = torch.zeros((), device=fabric.device)
        if fabric.global_rank:
            torch.manual_seed(torch.initial_seed() + fabric.global_rank)
        if (folder / CHECKPOINT).exists():
            self._resume(load_checkpoint(folder / CHECKPOINT))

    @property
    def _schedule(self) -> dict[str, Any]:
        settings = self.settings
        rate = asdict(settings.learning_rate) | {"shape": settings.learning_rate.shape.value}
        return {"steps": settings.steps, "warm_up": settings.warm_up, "learning_rate": rate}

    def _resume(self, checkpoint: Checkpoint) -> None:
        self.objective.load_state_dict(checkpoint.model)
        self.optimiser.load_state_dict(checkpoint.optimiser)
        if checkpoint.scaler:
            self.scaler.load_state_dict(checkpoint.scaler)
        if self.fabric.global_rank < len(checkpoint.random_states):
            restore_random_state(checkpoint.random_states[self.fabric.global_rank], self.fabric.device)
        self.step, self.skipped = checkpoint.step, checkpoint.skipped
        if checkpoint.schedule and checkpoint.schedule != self._schedule:
            LOGGER.warning("%s: goes on by another schedule than it began with: %s", self.folder, self._schedule)

    def accumulate(self, batch: Any, parts: int, last: bool) -> Figures:
        """Add the gradient of one of a step's batches; the processes exchange theirs after the last."""
        alone = self.fabric.world_size == 1
        waiting = nullcontext() if alone else self.fabric.no_backward_sync(self.wrapped, enabled=not last)
        with waiting:
            loss, figures = self.wrapped(batch, self.step)
            self._loss += loss.detach() / parts
            self.fabric.backward(self.scaler.scale(loss / parts))
        return {name: value for name, value in figures.items() if name != "loss"}

    def update(self) -> Figures:
        """Take the step, unless its loss or its gradient is not finite; figures of it."""
        rate = self.settings.learning_rate_at(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), self.settings.gradient_clip)
        loss = self._mean(self._loss)
        self._loss = torch.zeros_like(self._loss)
        if math.isfinite(float(norm)) and math.isfinite(float(loss)):
            self.scaler.step(self.optimiser)
        else:
            self.skipped += 1
        if self.scaler.is_enabled():
            self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return {"loss": loss, "gradient_norm": norm, "learning_rate": rate}

    def agree(self, stopped: bool) -> bool:
        """Whether any process was told to stop: all must leave the loop after the same step."""
        return float(self._mean(torch.tensor(float(stopped), device=self.fabric.device))) > 0

    def _mean(self, value: Tensor) -> Tensor:
        """Over the processes."""
        if self.fabric.world_size == 1:
            return value
        reduced: Tensor = self.fabric.all_reduce(value.clone())  # type: ignore[assignment]  # a tensor of a tensor
        return reduced

    def save(self) -> None:
        """Write the checkpoint; every process must call this, the first one writes."""
        states = [random_state(self.fabric.device)]
        if self.fabric.world_size > 1:
            gathered: list[Any] = [None] * self.fabric.world_size
            torch.distributed.all_gather_object(gathered, states[0])
            states = gathered
        if self.fabric.global_rank == 0:
            checkpoint = Checkpoint(
                step=self.step,
                model=self.objective.state_dict(),
                optimiser=self.optimiser.state_dict(),
                random_states=states,
                skipped=self.skipped,
                scaler=self.scaler.state_dict(),
                schedule=self._schedule,
            )
            save_checkpoint(checkpoint, self.folder / CHECKPOINT)
        self.fabric.barrier()
