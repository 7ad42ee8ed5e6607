"""Checkpoints: all that a run needs to go on as if it had not stopped, written so that a crash leaves a whole one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from kp_ros.errors import UserError


class CheckpointError(UserError):
    """A checkpoint that cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """:ivar step: optimiser steps done; the data position too, since batches are made by their number.
    :ivar model: state of the module that is trained.
    :ivar optimiser: its state.
    :ivar random_states: of every process, :func:`training.random_state.random_state`.
    :ivar skipped: steps that were left out because they were not finite.
    :ivar scaler: state of the loss scaler of fp16, otherwise empty.
    :ivar schedule: steps, learning rate and warm-up by which it was trained, as plain values.
    """

    step: int
    model: dict[str, Any]
    optimiser: dict[str, Any]
    random_states: list[dict[str, Any]]
    skipped: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, file: Path) -> None:
    """Write beside the final name, flush to the disk, rename: a killed process leaves the old or the new one, whole."""
    partial = file.with_suffix(".partial")
    # Not asdict, which would copy every tensor.
    values = {entry.name: getattr(checkpoint, entry.name) for entry in fields(checkpoint)}
    with partial.open("wb") as stream:
        torch.save(values, stream)
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
        values = torch.load(file, map_location="cpu", weights_only=True)
        # The first runs had one process and torch's generator alone.
        if "random_state" in values:
            values["random_states"] = [{"torch": values.pop("random_state")}]
        return Checkpoint(**values)
    except Exception as error:  # torch.load raises whatever the pickle's damage happens to trigger
        raise CheckpointError(f"{file} is no checkpoint of this program or is damaged: {error}") from error
