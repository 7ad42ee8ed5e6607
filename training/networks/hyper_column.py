"""RIPE's network (ICCV 2025): VGG-19, refiners, and a descriptor from the features of all scales at the keypoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.geometry.image_plane import sample_map
from training.networks.detector_graph import DetectorGraph
from training.networks.keypoint_network import CELL
from training.networks.plain_sampling import sample_by_gathers
from training.networks.public_weights import VGG19
from training.networks.vgg import VGG19_SCALES, RefiningDecoder, VggEncoder
from training.policy import Policy, PolicyMaps
from training.precision import autocast


class HyperColumn(nn.Module):
    """Features of several scales, interpolated at a point and put together, to one descriptor.

    :param channels: of the scales, finest first: strides 1, 2, 4, ...
    :param descriptor_size: D.
    """

    def __init__(self, channels: Sequence[int], descriptor_size: int = 256) -> None:
        super().__init__()
        # A 1 x 1 convolution; on points it is a linear map.
        self.project = nn.Linear(sum(channels), descriptor_size)

    def forward(self, features: Sequence[Tensor], points: Tensor) -> Tensor:
        """:param features: [B, channels, H / stride, W / stride] of each scale, finest first.
        :param points: [B, N, 2], pixels.
        :returns: [B, N, D], not normalised.
        """
        # In float32 whatever the network's precision: bf16 has coordinates of some pixels only.
        columns = [sample_map(scale.float(), points, 2**number) for number, scale in enumerate(features)]
        with torch.autocast(points.device.type, enabled=False):
            described: Tensor = self.project(torch.cat(columns, -1))
        return described


class HyperColumnNetwork(nn.Module):
    """Image to a logit map, and to features that descriptors are taken from.

    :param scales: of the encoder.
    :param blocks: depthwise blocks a scale of the decoder.
    :param descriptor_size: D.
    """

    public_weights = VGG19

    def __init__(
        self, scales: Sequence[Sequence[int]] = VGG19_SCALES, blocks: int = 8, descriptor_size: int = 256
    ) -> None:
        super().__init__()
        self.descriptor_size = descriptor_size
        self.encoder = VggEncoder(scales)
        self.decoder = RefiningDecoder(self.encoder.channels, blocks)
        self.column = HyperColumn(self.encoder.channels, descriptor_size)

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`training.networks.public_weights.HasPublicEncoder`."""
        self.encoder.load_public(state)

    def detect(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """:param images: float [N, C, H, W], 0..255, H and W multiples of 8.

        :returns: logits [N, 1, H, W] and the features of all scales, finest first.
        """
        features = self.encoder(images)
        return self.decoder(features), features

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As a :class:`training.policy.DenseNetwork`, for whoever wants a map of descriptors.

        :returns: logits [N, 64, H/8, W/8], cell-wise, and descriptors [N, D, H/8, W/8] of the cells' centres.
        """
        logits, features = self.detect(images)
        height, width = (side // CELL for side in logits.shape[-2:])
        y, x = torch.meshgrid(
            torch.arange(height, device=images.device), torch.arange(width, device=images.device), indexing="ij"
        )
        centres = CELL * torch.stack([x, y], -1).reshape(1, -1, 2).float() + (CELL - 1) / 2
        described = self.column(features, centres.expand(len(images), -1, -1))
        return F.pixel_unshuffle(logits, CELL), described.transpose(1, 2).unflatten(2, (height, width))


@dataclass(frozen=True)
class HyperColumnMaps(PolicyMaps):
    """What the network says about every frame of a batch; ``descriptors`` stays None.

    :ivar features: [B, F, channels, H / stride, W / stride] of each scale, finest first.
    :ivar column: makes descriptors of them.
    """

    features: Sequence[Tensor] = field(kw_only=True)
    column: HyperColumn = field(kw_only=True)

    def descriptors_at(self, frame: int, points: Tensor) -> Tensor:
        """Descriptors [B, N, D], unit norm, at pixels [B, N, 2] of one frame."""
        return F.normalize(self.column([scale[:, frame] for scale in self.features], points), dim=-1)


class HyperColumnPolicy(Policy):
    """A policy whose descriptors are made at the points that are asked for, from all scales."""

    network: HyperColumnNetwork

    def forward(self, images: Tensor) -> HyperColumnMaps:
        """:param images: float32 [B, F, C, H, W], 0..255."""
        batch, frames = images.shape[:2]
        with autocast(self.precision, images.device):
            logits, features = self.network.detect(images.flatten(0, 1))
        maps = [scale.reshape(batch, frames, *scale.shape[1:]) for scale in features]
        whole = logits.float().reshape(batch, frames, *logits.shape[-2:])
        return HyperColumnMaps(whole, features=maps, column=self.network.column)


class HyperColumnGraph(DetectorGraph):
    """What is exported: descriptors of the keypoints themselves, by plain gathers."""

    network: HyperColumnNetwork

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`training.networks.detector_graph.DetectorGraph.forward`."""
        logits, features = self.network.detect(image.float())
        values, pixels = self.select(logits)
        keypoints = self.refine(logits, pixels)
        columns = [sample_by_gathers(scale[0], keypoints, 2**number) for number, scale in enumerate(features)]
        described = self.network.column.project(torch.cat(columns, 1))
        return keypoints, values.sigmoid(), described / described.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
