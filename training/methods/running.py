"""One run of a method: data, network, objective, under the common trainer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.data.frame_batches import FrameBatches
from training.data.guard import record_training_frames
from training.data.readers.photograph_folder import read_photograph_folder
from training.data.sequence import Sequence
from training.methods.method import Method, MethodConfig, MethodObjective
from training.methods.training_data import open_training_data
from training.networks.making import start_network
from training.runs import load_network, network_of_run
from training.trainer import train


def resolve(config: MethodConfig) -> MethodConfig:
    """The configuration with the network of its start, so that a run tells what its network is without its start."""
    return config if config.start is None else replace(config, network=network_of_run(config.start))


def starting_network(config: MethodConfig) -> nn.Module:
    """The network that a run begins with."""
    return start_network(config.network) if config.start is None else load_network(config.start)


def make_dataset(method: Method[Any], config: MethodConfig, sequences: list[Sequence]) -> FrameBatches:
    """Batches by step number."""
    return FrameBatches(
        method.sampler(config, sequences),
        config.image,
        method.knowledge,
        config.batch_size,
        config.steps * config.accumulate,
        config.seed,
    )


def make_objective(method: Method[Any], config: MethodConfig) -> MethodObjective:
    """The objective, around the network that the run begins with."""
    torch.manual_seed(config.seed)
    objective = method.objective(config, starting_network(config))
    objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch leaves it out of its stubs
    return objective


def run_method(method: Method[Any], config: MethodConfig, folder: Path) -> int:
    """Train, or go on with the run in ``folder``; returns the step reached.

    :param config: as :func:`resolve` gives it.
    """
    torch.set_num_threads(config.threads)
    sequences = open_training_data(config.data)
    dataset = make_dataset(method, config, sequences)
    photographs = [read_photograph_folder(path) for path in config.data.photographs]
    record_training_frames(folder, [*sequences, *photographs], config.ancestors)
    return train(make_objective(method, config), dataset, config, folder)
