"""DaD: a detector that finds in one view what it finds in the other (Edstedt et al., 2025).

Balanced top-K points of both views, a reward for each that is hit by one of the other view, by depth and pose, and a
regulariser that keeps probability on all that can be judged. With rotations as the only augmentation, training from
random weights ends in a detector of light or of dark points; :mod:`training.methods.contrast` tells which.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import torch
from torch import Tensor, nn

from training.data.augmentation import AugmentationSettings
from training.data.sampling import FrameSampler, OverlapSequences
from training.data.sequence import Sequence
from training.filters import gaussian_blur
from training.frame_batch import FrameBatch
from training.geometry.camera import view_of
from training.geometry.reprojection import reproject
from training.losses.policy_gradient import policy_loss
from training.methods.contrast import CENTRE, SURROUND
from training.methods.method import Method, MethodConfig, MethodObjective
from training.policy import PolicyMaps
from training.regularisers.coverage import coverage
from training.regularisers.scheduled import scheduled_sum
from training.rewards.repeatability import Repeatability, hit_radius, repeatability, rewards_over_hit_rate
from training.samplers.balanced_top_k import sample_balanced_top_k
from training.samplers.samples import Samples, restrict, values_at
from training.schedules import Schedule


def turned_and_shifted(side: int = 256) -> AugmentationSettings:
    """DaD's: an independent quarter turn and a shift of each image, and nothing photometric."""
    return AugmentationSettings(width=side, height=side, zoom=0.7, turns=True, shift=32, appearance=None)


class Sign(Enum):
    """Of a point's contrast with its surroundings."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True)
class DadConfig(MethodConfig):
    """See :class:`training.methods.method.MethodConfig` for the rest. Lengths are those of the small images.

    :ivar density: sampled points a pixel; the paper's 512 of 640 x 640 are 1/800.
    :ivar kde_sigma: of the density estimate by which the sampler balances, pixels; cut off at 25/9 of it.
    :ivar hit_radius: nearer than this is a hit, pixels; None takes the paper's 0.005 of the normalised image.
    :ivar depth_tolerance: largest relative difference of depth for a point that both views see.
    :ivar coverage: weight of the coverage regulariser.
    :ivar coverage_sigma: of its blur, pixels.
    :ivar overlap: least and greatest of a pair.
    :ivar only: light or dark: points of the other sign earn nothing, which makes a detector of one sign for sure and
        soon. None leaves it to chance, as the paper does.
    """

    method: str = "dad"
    image: AugmentationSettings = field(default_factory=turned_and_shifted)
    density: float = 1 / 256
    kde_sigma: float = 4.0
    hit_radius: float | None = 1.5
    depth_tolerance: float = 0.05
    coverage: Schedule = field(default_factory=lambda: Schedule(start=1.0))
    coverage_sigma: float = 6.0
    overlap: tuple[float, float] = (0.3, 0.9)
    only: Sign | None = None


class Dad(MethodObjective):
    """Rewards of two views, each the other's judge."""

    def __init__(self, config: DadConfig, network: nn.Module) -> None:
        super().__init__(config, network)
        self.config = config

    def forward(self, batch: FrameBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """See :class:`training.methods.method.MethodObjective`.

        :raises ValueError: the batch has no depth, poses or calibration.
        """
        maps = self.policy(batch.images)
        samples = [self._sample(maps, batch, frame) for frame in range(2)]
        found = [self._judge(samples, batch, frame) for frame in range(2)]
        loss = torch.zeros((), device=batch.images.device)
        for drawn, reward, judged in zip(samples, rewards_over_hit_rate(found), found, strict=True):
            kept = restrict(drawn, judged.valid)
            loss = loss + policy_loss(kept.log_probabilities, reward, kept.valid)
        terms = {"coverage": lambda: self._coverage(maps, batch)}
        weights = {"coverage": self.config.coverage}
        regularisation, figures = scheduled_sum(terms, weights, step / self.config.steps)
        hits = sum(float((judged.hit & judged.valid).sum()) for judged in found)
        judged_points = sum(float(judged.valid.sum()) for judged in found)
        rate = torch.tensor(hits / max(1.0, judged_points))
        share = torch.tensor(judged_points / max(1, sum(drawn.valid.numel() for drawn in samples)))
        return loss + regularisation, figures | {"reward": rate, "hit_rate": rate, "judged": share}

    def _sample(self, maps: PolicyMaps, batch: FrameBatch, frame: int) -> Samples:
        config = self.config
        count = round(config.density * batch.images.shape[-2] * batch.images.shape[-1])
        radius = round(config.kde_sigma * 25 / 9)
        return sample_balanced_top_k(maps.logits[:, frame], count, batch.valid[:, frame], config.kde_sigma, radius)

    def _judge(self, samples: list[Samples], batch: FrameBatch, frame: int) -> Repeatability:
        own, other = samples[frame], samples[1 - frame]
        views = view_of(batch, frame), view_of(batch, 1 - frame)
        there = reproject(own.keypoints, *views, self.config.depth_tolerance)
        height, width = batch.images.shape[-2:]
        radius = hit_radius(height, width) if self.config.hit_radius is None else self.config.hit_radius
        found = repeatability(there.points, there.visible & own.valid, other.keypoints, other.valid, radius)
        if self.config.only is None:
            return found
        return replace(found, hit=found.hit & has_sign(batch.images[:, frame], own.keypoints, self.config.only))

    def _coverage(self, maps: PolicyMaps, batch: FrameBatch) -> Tensor:
        assert batch.depth is not None
        has_depth = (batch.depth > 0) & batch.valid
        return coverage(maps.logits.flatten(0, 1), has_depth.flatten(0, 1), self.config.coverage_sigma)


def has_sign(images: Tensor, keypoints: Tensor, sign: Sign) -> Tensor:
    """Which points are lighter, or darker, than their surroundings; bool [B, N].

    :param images: [B, C, H, W].
    :param keypoints: [B, N, 2], whole pixels.
    """
    grey = images.mean(1, keepdim=True)
    contrast = values_at((gaussian_blur(grey, CENTRE) - gaussian_blur(grey, SURROUND))[:, 0], keypoints)
    return contrast > 0 if sign is Sign.LIGHT else contrast < 0


def sample_pairs(config: DadConfig, sequences: list[Sequence]) -> FrameSampler:
    """Pairs that overlap."""
    return OverlapSequences(sequences, 2, (config.overlap,))


DAD = Method("dad", DadConfig, "depth", Dad, sample_pairs)
