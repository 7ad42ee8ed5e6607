"""VGG encoders (Simonyan and Zisserman, ICLR 2015) and a decoder of depthwise refiners, for the papers' own settings.

RIPE has VGG-19 up to stride 8 with ImageNet's weights, DaD something like VGG-11 from random ones. In both, refiners go
from the coarsest scale to the finest; each adds its logits to those of the scale before (DeDoDe, 3DV 2024; DaD, 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.keypoint_network import CELL, convolution

#: Channels of the convolutions of each scale, strides 1, 2, 4, 8.
VGG19_SCALES = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4)
VGG11_SCALES = ((64,), (128,), (256,) * 2, (512,) * 2)
#: Mean and standard deviation of ImageNet's colours, 0..255, red green blue.
COLOUR_MEAN = (123.675, 116.28, 103.53)
COLOUR_DEVIATION = (58.395, 57.12, 57.375)


def standardise_colour(images: Tensor) -> Tensor:
    """ImageNet's normalisation of [N, C, H, W], 0..255; grey images become colour images without colour."""
    colour = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    mean, deviation = (torch.tensor(values, device=images.device) for values in (COLOUR_MEAN, COLOUR_DEVIATION))
    return (colour - mean[:, None, None]) / deviation[:, None, None]


class VggEncoder(nn.Module):
    """Image to features at every scale.

    The layers are numbered as torchvision numbers those of its VGGs with batch normalisation, whose weights fit.

    :param scales: channels of the convolutions of each scale; each scale has half the resolution of the one before.
    """

    def __init__(self, scales: Sequence[Sequence[int]] = VGG19_SCALES) -> None:
        super().__init__()
        self.channels = tuple(scale[-1] for scale in scales)
        layers: list[nn.Module] = []
        ends, inputs = [], 3
        for number, scale in enumerate(scales):
            if number:
                layers.append(nn.MaxPool2d(2, 2))
            for outputs in scale:
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
                inputs = outputs
            ends.append(len(layers))
        self.features = nn.ModuleList(layers)
        self._ends = frozenset(ends)

    def forward(self, images: Tensor) -> list[Tensor]:
        """:param images: float [N, C, H, W], 0..255, C is 1 or 3.

        :returns: features [N, channels, H / stride, W / stride], finest first.
        """
        found, values = [], standardise_colour(images)
        for number, layer in enumerate(self.features, 1):
            values = layer(values)
            if number in self._ends:
                # The next scale's pooling makes a new tensor, so what is kept here is not written over.
                found.append(values)
        return found

    def load_public(self, state: Mapping[str, Tensor]) -> None:
        """Take torchvision's weights; those of the deeper layers and of the classifier are left out."""
        wanted = self.state_dict()
        self.load_state_dict({name: state[name] for name in wanted})


def refiner_block(channels: int) -> nn.Sequential:
    """Depthwise 5 x 5 convolution, batch normalisation, ReLU, 1 x 1 convolution."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1),
    )


class RefiningDecoder(nn.Module):
    """Features of all scales to logits at full resolution, coarse to fine.

    :param channels: of the features, finest first.
    :param blocks: depthwise blocks a scale.
    :param context: channels that a scale passes on to the next finer one, a share of its features' channels.
    """

    def __init__(self, channels: Sequence[int], blocks: int = 8, context: float = 0.5) -> None:
        super().__init__()
        coarse_first = list(channels)[::-1]
        passed = [max(1, int(context * count)) for count in coarse_first[:-1]] + [0]
        received = [0, *passed[:-1]]
        self.refiners = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(own + before, own, 1), *(refiner_block(own) for _ in range(blocks)), nn.Conv2d(own, 1 + on, 1)
            )
            for own, before, on in zip(coarse_first, received, passed, strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """:param features: finest first.

        :returns: logits [N, 1, H, W].
        """
        coarsest, *finer = list(features)[::-1]
        found: Tensor = self.refiners[0](coarsest)
        logits, context = found[:, :1], found[:, 1:]
        for refiner, own in zip(self.refiners[1:], finer, strict=True):
            found = refiner(torch.cat([own, double(context)], 1))
            logits, context = double(logits) + found[:, :1], found[:, 1:]
        return logits


def double(values: Tensor) -> Tensor:
    """Twice the resolution, bilinear, in the project's pixel convention."""
    return F.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)


class VggDetector(nn.Module):
    """DaD's network: a detector without descriptors.

    :param scales: of the encoder.
    :param blocks: depthwise blocks a scale of the decoder.
    """

    def __init__(self, scales: Sequence[Sequence[int]] = VGG11_SCALES, blocks: int = 8) -> None:
        super().__init__()
        self.encoder = VggEncoder(scales)
        self.decoder = RefiningDecoder(self.encoder.channels, blocks)

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        """:param images: float [N, C, H, W], 0..255, H and W multiples of 8.

        :returns: logits [N, 64, H/8, W/8], cell-wise as those of the small network, and no descriptors.
        """
        return F.pixel_unshuffle(self.decoder(self.encoder(images)), CELL), None


class VggCellNetwork(nn.Module):
    """The shape of SuperPoint (DeTone et al., CVPR Workshops 2018), which RFP starts from: cells of 8 x 8, two heads.

    Its 65th class, "none", has the constant logit 0 here, as in the small network.

    :param descriptor_size: D.
    :param scales: of the encoder; strides 1, 2, 4, 8.
    :param hidden: channels of the heads.
    """

    def __init__(
        self,
        descriptor_size: int = 256,
        scales: Sequence[Sequence[int]] = ((64,) * 2, (64,) * 2, (128,) * 2, (128,) * 2),
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.descriptor_size = descriptor_size
        self.encoder = VggEncoder(scales)
        coarsest = self.encoder.channels[-1]
        pixels = nn.Conv2d(hidden, CELL * CELL, 1)
        # Most pixels hold no keypoint: starting near that spares the first hundreds of steps.
        nn.init.constant_(cast(Tensor, pixels.bias), -5.0)
        self.score = nn.Sequential(convolution(coarsest, hidden), pixels)
        self.describe = nn.Sequential(convolution(coarsest, hidden), nn.Conv2d(hidden, descriptor_size, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """:param images: float [N, C, H, W], 0..255, H and W multiples of 8.

        :returns: logits [N, 64, H/8, W/8], cell-wise, and descriptors [N, D, H/8, W/8], not normalised.
        """
        coarsest = self.encoder(images)[-1]
        return self.score(coarsest), self.describe(coarsest)
