"""One process or several: what torchrun has started, Lightning Fabric sets up, and how they share the data."""

from __future__ import annotations

import os
from dataclasses import fields, is_dataclass, replace
from typing import Any

import cv2
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.utils.data import DataLoader, Dataset

from training.interruption import ignore_signals


def start_fabric(accelerator: str) -> Fabric:
    """Join the processes that ``torchrun`` has started, or be the only one.

    Policies may leave a head without gradient in a step, which plain DDP would wait for.
    """
    if not TorchElasticEnvironment.detect():
        fabric = Fabric(accelerator=accelerator, devices=1, plugins=LightningEnvironment())
    else:
        here, all_ = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        fabric = Fabric(
            accelerator=accelerator,
            devices=here,
            num_nodes=all_ // here,
            strategy=DDPStrategy(find_unused_parameters=True),
            plugins=TorchElasticEnvironment(),
        )
    fabric.launch()
    return fabric


class ProcessShare(Dataset[Any]):
    """The batches that one process takes, from a step on: item n of the data is always used in step n // accumulate.

    :param dataset: its n-th item is the n-th batch.
    :param start: first step.
    :param steps: of the whole run.
    :param accumulate: batches a step, over all processes.
    :param rank: this process, of ``world_size``.
    :raises ValueError: the processes cannot share a step's batches evenly.
    """

    def __init__(
        self, dataset: Dataset[Any], start: int, steps: int, accumulate: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if accumulate % world_size:
            raise ValueError(
                f"accumulate is {accumulate}, which {world_size} processes cannot share; make it a multiple of theirs"
            )
        self.dataset, self.start, self.steps = dataset, start, steps
        self.accumulate, self.rank, self.world_size = accumulate, rank, world_size

    @property
    def per_step(self) -> int:
        """Batches a step in this process."""
        return self.accumulate // self.world_size

    def __len__(self) -> int:
        return max(0, self.steps - self.start) * self.per_step

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        step, turn = divmod(index, self.per_step)
        return self.dataset[(self.start + step) * self.accumulate + turn * self.world_size + self.rank]


def make_loader(share: ProcessShare, processes: int, pin_memory: bool) -> DataLoader[Any]:
    """A loader that gives a share's batches in order."""
    if processes:
        # OpenCV's threads do not survive the fork, and the forked process would wait for them for ever.
        cv2.setNumThreads(0)
    return DataLoader(
        share,
        batch_size=1,
        collate_fn=_take_first,
        num_workers=processes,
        prefetch_factor=4 if processes else None,
        pin_memory=pin_memory,
        worker_init_fn=_prepare_worker,
        # Its own generator: taking a seed from the global one would make a resumed run differ from an unbroken one.
        generator=torch.Generator(),
    )


def _prepare_worker(_worker: int) -> None:
    ignore_signals()
    torch.set_num_threads(1)


def _take_first(items: list[Any]) -> Any:
    """A data set's item is a whole batch already; a function of the module, since a loader's process must find it."""
    return items[0]


def move(value: Any, device: torch.device) -> Any:
    """A batch on a device: whatever has a ``to`` of its own, and dataclasses, dictionaries, lists and tuples of it."""
    if hasattr(value, "to"):
        return value.to(device, non_blocking=True)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: move(getattr(value, entry.name), device) for entry in fields(value)})
    if isinstance(value, dict):
        return {key: move(entry, device) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(move(entry, device) for entry in value)
    return value
