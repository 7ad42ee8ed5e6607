"""The training loop: resumable to the bit, interruptible, watched.

It knows nothing of what is trained: a module that turns a batch into a loss and figures, a dataset whose n-th item is
the batch of step n, and the settings below.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

CHECKPOINT = "last.pt"
#: Steps between two lines of the log.
LOG_EVERY = 20


class Objective(Protocol):
    """What a step minimises."""

    def __call__(self, batch: Any, step: int) -> tuple[Tensor, dict[str, float]]:
        """:returns: the loss, and figures for the log."""
        ...


@dataclass(frozen=True)
class Schedule:
    """AdamW with linear warm-up and cosine decay; meanings as in the configuration of a run."""

    steps: int
    learning_rate: float
    warm_up: int
    weight_decay: float
    gradient_clip: float
    checkpoint_every: int

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, 0-based."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        progress = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


class _Remaining(Dataset[Any]):
    """The batches from a step on."""

    def __init__(self, dataset: Dataset[Any], start: int, steps: int) -> None:
        self.dataset, self.start, self.steps = dataset, start, steps

    def __len__(self) -> int:
        return self.steps - self.start

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.start + index]


@contextmanager
def _stop_on_signal() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM ask the loop to end after the step it is in; the list holds the signal."""
    received: list[int] = []

    def handler(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, action in previous.items():
            signal.signal(number, action)


def _ignore_signals(_worker: int) -> None:
    """Ctrl-C and a service's SIGTERM reach the loader's process too; the loop alone decides when to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)


def _take_first(items: list[Any]) -> Any:
    """A dataset's item is a whole batch already; a function of the module, since a loader's process must find it."""
    return items[0]


def train(
    module: nn.Module,
    objective: Objective,
    dataset: Dataset[Any],
    schedule: Schedule,
    folder: Path,
    loader_processes: int = 1,
) -> int:
    """Train until ``schedule.steps``, from ``folder/last.pt`` where there is one.

    :param module: whose parameters are trained, in place.
    :param dataset: its n-th item is the batch of step n.
    :param folder: receives ``last.pt``, ``log.jsonl`` and TensorBoard's events.
    :returns: the step reached: fewer than ``schedule.steps`` when it was interrupted.
    """
    optimiser = torch.optim.AdamW(module.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    start, skipped = 0, 0
    if (folder / CHECKPOINT).exists():
        checkpoint = load_checkpoint(folder / CHECKPOINT)
        module.load_state_dict(checkpoint.model)
        optimiser.load_state_dict(checkpoint.optimiser)
        torch.set_rng_state(checkpoint.random_state)
        start, skipped = checkpoint.step, checkpoint.skipped

    def save(step: int) -> None:
        state = Checkpoint(step, module.state_dict(), optimiser.state_dict(), torch.get_rng_state(), skipped)
        save_checkpoint(state, folder / CHECKPOINT)

    loader = DataLoader(
        _Remaining(dataset, start, schedule.steps),
        batch_size=1,
        collate_fn=_take_first,
        num_workers=loader_processes,
        prefetch_factor=4 if loader_processes else None,
        worker_init_fn=_ignore_signals,
        # Its own generator: taking a seed from the global one would make a resumed run differ from an unbroken one.
        generator=torch.Generator(),
    )
    step = start
    module.train()
    with (
        _stop_on_signal() as stopped,
        SummaryWriter(str(folder / "tensorboard"), purge_step=start) as board,
        (folder / "log.jsonl").open("a") as log,
        tqdm(total=schedule.steps, initial=start, unit="step", desc=folder.name) as bar,
    ):
        for batch in loader:
            for group in optimiser.param_groups:
                group["lr"] = schedule.learning_rate_at(step)
            loss, figures = objective(batch, step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = float(nn.utils.clip_grad_norm_(module.parameters(), schedule.gradient_clip))
            if math.isfinite(norm) and math.isfinite(float(loss.detach())):
                optimiser.step()
            else:
                skipped += 1
            figures |= {"gradient_norm": norm, "skipped": float(skipped)}
            step += 1
            bar.update()
            if step % LOG_EVERY == 0:
                bar.set_postfix({name: f"{value:.3g}" for name, value in figures.items()}, refresh=False)
                log.write(json.dumps({"step": step, **figures}) + "\n")
                log.flush()
                for name, value in figures.items():
                    board.add_scalar(name, value, step)
            if stopped:
                break
            if step % schedule.checkpoint_every == 0:
                save(step)
        save(step)
    return step
