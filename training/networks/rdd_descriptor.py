"""TraqPoint's network (CVPR 2026): the descriptor branch of RDD on DINOv3's ConvNeXt-B, and a small score branch.

RDD (Robust Feature Detector and Descriptor using Deformable Transformer, CVPR 2025): the backbone's four scales are
brought to one width, look at each other by deformable attention, and are added up at stride 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.convnext import BASE_CHANNELS, BASE_DEPTHS, ConvNext
from training.networks.deformable_attention import DeformableEncoder, interpolate_plainly
from training.networks.detector_graph import DetectorGraph
from training.networks.keypoint_network import CELL, convolution, logit_map, standardise
from training.networks.plain_sampling import sample_by_gathers
from training.networks.public_weights import DINOV3_CONVNEXT_BASE
from training.networks.vgg import standardise_colour

#: Of the descriptor map.
DESCRIPTOR_STRIDE = 4


class RddDescriptor(nn.Module):
    """Image to a descriptor map at stride 4.

    :param depths: of the backbone.
    :param channels: of the backbone.
    :param descriptor_size: D, the width of the transformer, too.
    :param layers: of the transformer.
    :param heads: of its attention.
    :param places: that a head looks at in each scale.
    """

    def __init__(
        self,
        depths: Sequence[int] = BASE_DEPTHS,
        channels: Sequence[int] = BASE_CHANNELS,
        descriptor_size: int = 256,
        layers: int = 4,
        heads: int = 8,
        places: int = 8,
    ) -> None:
        super().__init__()
        self.backbone = ConvNext(depths, channels)
        self.narrow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, descriptor_size, 1), nn.GroupNorm(_groups(descriptor_size), descriptor_size))
            for width in channels
        )
        self.encoder = DeformableEncoder(descriptor_size, len(channels), layers, heads, places)
        self.describe = nn.Conv2d(descriptor_size, descriptor_size, 1)

    def forward(self, images: Tensor) -> Tensor:
        """:param images: float [N, C, H, W], 0..255, H and W multiples of 32.

        :returns: [N, D, H/4, W/4], not normalised.
        """
        scales = self.backbone(standardise_colour(images))
        maps = self.encoder([narrow(scale) for narrow, scale in zip(self.narrow, scales, strict=True)])
        total = maps[0]
        for number, values in enumerate(maps[1:], 1):
            scale = float(2**number)
            total = total + F.interpolate(values, scale_factor=scale, mode="bilinear", align_corners=False)
        described: Tensor = self.describe(total)
        return described


class PyramidScore(nn.Module):
    """A small convolutional pyramid on the grey image alone: one logit a pixel.

    :param width: channels at full resolution; each scale, of strides 1, 2, 4, 8, has twice those of the one before.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = [width * 2**scale for scale in range(4)]
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(before, after, 1 if scale == 0 else 2), convolution(after, after))
            for scale, (before, after) in enumerate(zip([1, *widths[:-1]], widths, strict=True))
        )
        self.lift = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in widths)
        self.score = nn.Sequential(convolution(width, width), nn.Conv2d(width, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """:param images: float [N, C, H, W], 0..255.

        :returns: [N, 1, H, W].
        """
        values = standardise(images.mean(1, keepdim=True))
        total: Tensor | None = None
        for number, (stage, lift) in enumerate(zip(self.stages, self.lift, strict=True)):
            values = stage(values)
            lifted = lift(values)
            if number:
                lifted = F.interpolate(lifted, scale_factor=float(2**number), mode="bilinear", align_corners=False)
            total = lifted if total is None else total + lifted
        scored: Tensor = self.score(total)
        return scored


class RddNetwork(nn.Module):
    """Describe, then detect: a :class:`training.policy.DenseNetwork` whose branches share nothing.

    :param width: of the score branch.
    :param descriptor: settings of :class:`RddDescriptor`.
    """

    public_weights = DINOV3_CONVNEXT_BASE

    def __init__(self, width: int = 16, **descriptor: object) -> None:
        super().__init__()
        self.describe = RddDescriptor(**descriptor)  # type: ignore[arg-type]  # a configuration's, checked by Python
        self.score = PyramidScore(width)
        self.descriptor_size = self.describe.describe.out_channels

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`training.networks.public_weights.HasPublicEncoder`."""
        self.describe.backbone.load_public(state)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """:param images: float [N, C, H, W], 0..255, H and W multiples of 32.

        :returns: logits [N, 64, H/8, W/8], cell-wise, and descriptors [N, D, H/4, W/4], not normalised.
        """
        return F.pixel_unshuffle(self.score(images), CELL), self.describe(images)


class RddGraph(DetectorGraph):
    """What is exported: deformable attention and descriptors by plain gathers."""

    network: RddNetwork

    def __init__(self, network: RddNetwork, max_keypoints: int = 1024, radius: int = 3, border: int = 4) -> None:
        super().__init__(network, max_keypoints, radius, border)
        interpolate_plainly(network)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`training.networks.detector_graph.DetectorGraph.forward`."""
        logits, descriptors = self.network(image.float())
        logits = logit_map(logits.float())
        values, pixels = self.select(logits)
        keypoints = self.refine(logits, pixels)
        described = sample_by_gathers(descriptors[0].float(), keypoints, DESCRIPTOR_STRIDE)
        return keypoints, values.sigmoid(), described / described.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)


def _groups(channels: int) -> int:
    """32 as in Deformable DETR, fewer where the channels cannot be shared so."""
    return next(groups for groups in (32, 16, 8, 4, 2, 1) if channels % groups == 0)
