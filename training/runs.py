"""Runs of any kind, from their folders: which method, which network, and its weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch.nn.functional as F
import yaml
from torch import Size, Tensor, nn

from training.checkpoint import CheckpointError, load_checkpoint
from training.networks.making import NetworkChoice, make_network

LOGGER = logging.getLogger(__name__)
CONFIG = "config.yaml"
#: Where a checkpoint has the network: a method's policy, the pre-training's network.
PREFIXES = ("policy.network.", "network.")


def network_of_run(checkpoint: Path) -> NetworkChoice:
    """Which network a run trains; the default where its configuration does not say."""
    chosen = _config(checkpoint).get("network") or {}
    return NetworkChoice(**chosen)


def method_of_run(checkpoint: Path) -> str:
    """Which method a run is of: ``pretraining`` where its configuration names none."""
    return str(_config(checkpoint).get("method", "pretraining"))


def load_network(checkpoint: Path) -> nn.Module:
    """The trained network of any run, in evaluation mode.

    :param checkpoint: ``last.pt``, beside the run's ``config.yaml``.
    :raises CheckpointError: it is missing, damaged, or of another network than the configuration says.
    """
    network = make_network(network_of_run(checkpoint))
    try:
        network.load_state_dict(_network_state(load_checkpoint(checkpoint).model))
    except RuntimeError as error:
        raise CheckpointError(
            f"{checkpoint} is of another network than {checkpoint.parent / CONFIG} says; keep both together: {error}"
        ) from error
    return network.eval()


def begin_with(checkpoint: Path, choice: NetworkChoice) -> nn.Module:
    """A network to train on, with a run's weights; those of parts that the run's network has not are random.

    A kernel that is wider now has the run's in its middle, and zeros around it: it computes the same. What begins
    anew is logged.

    :raises CheckpointError: the checkpoint is missing or damaged, or the networks share no part.
    """
    network = make_network(choice)
    own, found = network.state_dict(), _network_state(load_checkpoint(checkpoint).model)
    fitted = {name: _widened(value, own[name].shape) for name, value in found.items() if name in own}
    shared = {name: value for name, value in fitted.items() if own[name].shape == value.shape}
    if not shared:
        raise CheckpointError(f"{checkpoint} has no part of the network '{choice.name}'; choose another start")
    if lacking := sorted(set(own) - set(shared)):
        names = ", ".join(lacking[:3]) + (" ..." if len(lacking) > 3 else "")
        LOGGER.warning(
            "%s has %d of the %d weights of network '%s'; these begin anew: %s",
            *(checkpoint, len(shared), len(own), choice.name, names),
        )
    network.load_state_dict(shared, strict=False)
    return network


def _widened(kernel: Tensor, shape: Size) -> Tensor:
    """A convolution's kernel [O, I, k, k] with the zeros around it that it lacks; anything else as it is."""
    lacking = shape[-1] - kernel.shape[-1] if kernel.dim() == len(shape) == 4 else 0
    return F.pad(kernel, [lacking // 2] * 4) if lacking > 0 and lacking % 2 == 0 else kernel


def _network_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        found = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if found:
            return found
    return {}


def _config(checkpoint: Path) -> dict[str, Any]:
    file = checkpoint.parent / CONFIG
    return yaml.safe_load(file.read_text()) or {} if file.is_file() else {}
