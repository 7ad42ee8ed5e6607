"""The policy: images to one logit a pixel, which samplers turn into keypoints, and to descriptors if there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.geometry.image_plane import sample_map
from training.networks.keypoint_network import CELL, logit_map
from training.precision import Precision, autocast


@dataclass(frozen=True)
class PolicyMaps:
    """What a policy says about every frame of a batch.

    :ivar logits: float32 [B, F, H, W].
    :ivar descriptors: float32 [B, F, D, h, w], not normalised; None for a detector without descriptors.
    :ivar stride: pixels of a side of a descriptor's cell.
    """

    logits: Tensor
    descriptors: Tensor | None = None
    stride: int = 1

    def descriptors_at(self, frame: int, points: Tensor) -> Tensor:
        """Descriptors [B, N, D], unit norm, at pixels [B, N, 2] of one frame.

        :raises ValueError: the policy has no descriptors.
        """
        if self.descriptors is None:
            raise ValueError("this policy has no descriptors; choose a network that has")
        return F.normalize(sample_map(self.descriptors[:, frame], points, self.stride), dim=-1)


class DenseNetwork(Protocol):
    """A network that a policy can be made of: float [N, C, H, W] in 0..255 to logits and descriptors."""

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """:returns: logits [N, r * r, H/r, W/r], block-wise, and descriptors [N, D, h, w]."""
        ...


class Policy(nn.Module):
    """A network applied to all frames at once.

    :param network: a :class:`DenseNetwork`; logits with r * r channels at 1/r resolution are put together to one map.
    :param precision: of the network; what comes out is float32.
    :param descriptor_network: where descriptors come from another network than logits (describe, then detect): a
        frozen :class:`DenseNetwork` whose logits are not used. It stays in evaluation mode, and without gradient.
    """

    def __init__(
        self, network: nn.Module, precision: Precision = Precision.FP32, descriptor_network: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.precision = precision
        self.descriptor_network = descriptor_network
        if descriptor_network is not None:
            descriptor_network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Policy:
        """The descriptor network's batch statistics must not move either."""
        super().train(mode)
        if self.descriptor_network is not None:
            self.descriptor_network.eval()
        return self

    def forward(self, images: Tensor) -> PolicyMaps:
        """:param images: float32 [B, F, C, H, W], 0..255."""
        batch, frames = images.shape[:2]
        flat = images.flatten(0, 1)
        with autocast(self.precision, images.device):
            logits, descriptors = self.network(flat)
            if self.descriptor_network is not None:
                with torch.no_grad():
                    _, descriptors = self.descriptor_network(flat)
        logits = logit_map(logits.float())
        if descriptors is None:
            return PolicyMaps(logits.reshape(batch, frames, *flat.shape[-2:]))
        return PolicyMaps(
            logits.reshape(batch, frames, *flat.shape[-2:]),
            descriptors.float().unflatten(0, (batch, frames)),
            flat.shape[-2] // descriptors.shape[-2],
        )


def cell_log_probabilities(logits: Tensor, none: bool = True) -> Tensor:
    """Log-softmax within each 8 x 8 cell of a logit map [B, H, W].

    :param none: the cell may hold no keypoint, which has the constant logit 0 (SuperPoint's dustbin).
    :returns: [B, H, W].
    """
    cells = F.pixel_unshuffle(logits[:, None], CELL)
    every = torch.cat([cells, torch.zeros_like(cells[:, :1])], 1) if none else cells
    return logit_map(cells - every.logsumexp(1, keepdim=True))[:, 0]
