"""Checkpoints: all that a run needs to go on as if it had not stopped, written so that a crash leaves a whole one."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from kp_ros.errors import UserError


class CheckpointError(UserError):
    """A checkpoint that cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """:ivar step: optimiser steps done; the data position too, since batches are drawn by step number.
    :ivar model: state of the module that is trained.
    :ivar optimiser: its state.
    :ivar random_state: torch's generator.
    :ivar skipped: steps that were left out because they were not finite.
    """

    step: int
    model: dict[str, Any]
    optimiser: dict[str, Any]
    random_state: torch.Tensor
    skipped: int = 0


def save_checkpoint(checkpoint: Checkpoint, file: Path) -> None:
    """Write beside the final name, flush to the disk, rename: a killed process leaves the old or the new one, whole."""
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        torch.save(asdict(checkpoint), stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def load_checkpoint(file: Path) -> Checkpoint:
    """Read what :func:`save_checkpoint` wrote.

    :raises CheckpointError: it is missing or damaged.
    """
    if not file.is_file():
        raise CheckpointError(f"{file} does not exist; name the run's folder or its checkpoint")
    try:
        return Checkpoint(**torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises whatever the pickle's damage happens to trigger
        raise CheckpointError(f"{file} is no checkpoint of this program or is damaged: {error}") from error
