"""Networks by name, as a run's configuration chooses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from kp_ros.errors import UserError
from training.networks.keypoint_network import KeypointNetwork

#: What a configuration may name. Each is a :class:`training.policy.DenseNetwork`.
NETWORKS: dict[str, Callable[..., nn.Module]] = {"keypoint": KeypointNetwork}


@dataclass(frozen=True)
class NetworkChoice:
    """Which network, and how it is made.

    :ivar name: one of :data:`NETWORKS`.
    :ivar settings: keyword arguments of what the name stands for.
    """

    name: str = "keypoint"
    settings: dict[str, Any] = field(default_factory=dict)


def make_network(choice: NetworkChoice) -> nn.Module:
    """A network with random weights.

    :raises UserError: the name or a setting is unknown.
    """
    if choice.name not in NETWORKS:
        raise UserError(f"network.name is '{choice.name}'; choose one of {', '.join(sorted(NETWORKS))}")
    try:
        return NETWORKS[choice.name](**choice.settings)
    except TypeError as error:
        raise UserError(f"network.settings of {choice.name}: {error}") from error
