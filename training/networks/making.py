"""Networks by name, as a run's configuration chooses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from kp_ros.errors import UserError
from training.networks.cell_network import CellNetwork
from training.networks.hyper_column import HyperColumnNetwork
from training.networks.keypoint_network import KeypointNetwork
from training.networks.public_weights import load_public_encoder
from training.networks.rdd_descriptor import RddNetwork
from training.networks.vgg import VggCellNetwork, VggDetector

#: What a configuration may name. Each is a :class:`training.policy.DenseNetwork`.
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "keypoint": KeypointNetwork,
    "cells": CellNetwork,
    "superpoint": VggCellNetwork,
    "vgg": VggDetector,
    "hyper_column": HyperColumnNetwork,
    "rdd": RddNetwork,
}


@dataclass(frozen=True)
class NetworkChoice:
    """Which network, and how it is made.

    :ivar name: one of :data:`NETWORKS`.
    :ivar settings: keyword arguments of what the name stands for.
    :ivar encoder: where the encoder's published weights come from: ``hub`` fetches them, or a file that was fetched
        before; None starts from random ones. Read when a run starts, never when its network is loaded.
    """

    name: str = "keypoint"
    settings: dict[str, Any] = field(default_factory=dict)
    encoder: str | None = None


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


def start_network(choice: NetworkChoice) -> nn.Module:
    """A network to train: random weights, and the encoder's published ones where they are asked for.

    :raises UserError: the name or a setting is unknown, or the published weights cannot be had.
    """
    network = make_network(choice)
    if choice.encoder is not None:
        load_public_encoder(network, choice.encoder)
    return network
