"""Weights that others have published, from their own hubs."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.error import URLError

import torch
from torch import Tensor, nn

from kp_ros.errors import UserError

#: Instead of a file's name: fetch the weights from their hub.
FROM_HUB = "hub"


@dataclass(frozen=True)
class PublicWeights:
    """:ivar name: of the network.
    :ivar url: where its weights are; the file's name ends in the beginning of its SHA-256, which is checked.
    :ivar licence: of the weights; a model that is trained from them is bound by it.
    :ivar access: what to do when the address alone does not open.
    """

    name: str
    url: str
    licence: str
    access: str = ""


VGG19 = PublicWeights(
    "VGG-19 (ImageNet)", "https://download.pytorch.org/models/vgg19_bn-c79401a0.pth", "BSD-3-Clause (torchvision)"
)
DINOV3_CONVNEXT_BASE = PublicWeights(
    "DINOv3 ConvNeXt-B",
    "https://dl.fbaipublicfiles.com/dinov3/dinov3_convnext_base/dinov3_convnext_base_pretrain_lvd1689m-801f2ba9.pth",
    "DINOv3 License (Meta)",
    " Meta hands them out on request: https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/.",
)


@runtime_checkable
class HasPublicEncoder(Protocol):
    """A network whose encoder others have trained."""

    #: What they have published.
    public_weights: PublicWeights

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Take the encoder's weights out of a published state dictionary."""
        ...


def load_public_encoder(network: nn.Module, source: str) -> None:
    """Give a network its published encoder.

    :param source: :data:`FROM_HUB`, or a file that was fetched before.
    :raises UserError: the network's encoder is nobody's, or the weights cannot be had or are of another network.
    """
    if not isinstance(network, HasPublicEncoder):
        raise UserError(f"{type(network).__name__} has no encoder with public weights; leave network.encoder out")
    published = network.public_weights
    state = fetch(published) if source == FROM_HUB else read(Path(source), published)
    try:
        network.load_encoder(state)
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{source} does not hold the weights of {published.name}: {error}") from error


def fetch(published: PublicWeights) -> Mapping[str, Tensor]:
    """Weights from their hub, kept in torch's cache.

    :raises UserError: there is no network, or the hub does not hand them out.
    """
    try:
        return torch.hub.load_state_dict_from_url(
            published.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"the weights of {published.name} cannot be fetched from {published.url} ({error}).{published.access} "
            "Fetch the file on a machine with a network and name it: network.encoder=FILE; or train from random "
            "weights: network.encoder=null"
        ) from error


def read(file: Path, published: PublicWeights) -> Mapping[str, Tensor]:
    """Weights from a file.

    :raises UserError: it is missing or holds no weights.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)  # type: ignore[no-any-return]
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{file} is no file of weights of {published.name} ({error}); it can be had from {published.url}."
            f"{published.access}"
        ) from error
