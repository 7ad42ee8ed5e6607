"""Self-supervised pre-training of the keypoint network on photographs.

A step cuts pairs of views from photographs (:mod:`training.data.homography_pairs`), takes the points that both views
agree on as labels (:mod:`training.losses.detection`) and trains the descriptors of these points to find each other
(:mod:`training.losses.description`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.data.guard import record_training_frames
from training.data.homography_pairs import HomographyPairs, HomographySettings, PairBatch
from training.data.photographs import list_photographs, load_photograph
from training.data.photometric import PhotometricSettings
from training.data.readers.photograph_folder import read_photograph_folder
from training.filters import local_maxima
from training.geometry.image_plane import inside, pixel_grid, sample_map, warp_points
from training.losses.description import assignment_loss
from training.losses.detection import corner_response, detection_loss, propose_labels
from training.networks.keypoint_network import logit_map, probability_map
from training.networks.making import NetworkChoice, start_network
from training.optimisation import TrainerSettings
from training.precision import Precision, autocast
from training.run_log import LOG_EVERY
from training.runs import begin_with
from training.schedules import Schedule, Shape
from training.trainer import train


@dataclass(frozen=True)
class PretrainConfig:
    """What a run is made of; every field can be set in the YAML file and on the command line.

    :ivar photographs: folders, searched recursively.
    :ivar network: which network is trained.
    :ivar steps: optimiser steps.
    :ivar batch_size: pairs a step.
    :ivar learning_rate: of AdamW, at the top of the schedule.
    :ivar warm_up: steps of linear rise of the learning rate; it falls as a cosine after them.
    :ivar weight_decay: of AdamW.
    :ivar gradient_clip: largest norm of the gradient.
    :ivar accumulate: batches a step, over all processes of ``torchrun`` together.
    :ivar precision: of the network: bf16, fp16 or fp32.
    :ivar density: label points a pixel.
    :ivar corner_steps: steps over which the corner prior's share falls from 1 to ``corner_share``.
    :ivar corner_share: of the corner prior in the labels, after that.
    :ivar random_points: points a pair, beside the labels, whose descriptors are trained.
    :ivar jitter: standard deviation of the noise on descriptor positions, pixels: a detector is never exact.
    :ivar descriptor_weight: of the descriptor loss against the detector loss.
    :ivar seed: of the weights and of all random choices.
    :ivar checkpoint_every: steps.
    :ivar threads: of torch.
    :ivar start: a run's ``last.pt`` to begin with: of another network, the parts that both have; None begins with
        random weights.
    """

    photographs: list[Path]
    network: NetworkChoice = field(default_factory=NetworkChoice)
    steps: int = 20_000
    batch_size: int = 8
    learning_rate: float = 2e-3
    warm_up: int = 300
    weight_decay: float = 1e-4
    gradient_clip: float = 5.0
    accumulate: int = 1
    precision: Precision = Precision.BF16
    density: float = 1 / 256
    corner_steps: int = 3000
    corner_share: float = 0.15
    random_points: int = 64
    jitter: float = 0.5
    descriptor_weight: float = 1.0
    seed: int = 0
    checkpoint_every: int = 500
    threads: int = 2
    start: Path | None = None
    homography: HomographySettings = field(default_factory=HomographySettings)
    appearance: PhotometricSettings = field(default_factory=PhotometricSettings)


class Pretraining(nn.Module):
    """The network with what the losses learn beside it: the temperature of the descriptors' softmax."""

    def __init__(self, network: nn.Module, config: PretrainConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.log_temperature = nn.Parameter(torch.tensor(0.1).log())

    def forward(self, batch: PairBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch, and figures for the log."""
        config = self.config
        images = torch.cat([batch.reference, batch.target]).contiguous(memory_format=torch.channels_last)
        with autocast(config.precision, images.device):
            logits, descriptors = self.network(images)
        logits, descriptors = logit_map(logits.float()), descriptors.float()
        probabilities = torch.maximum(probability_map(logits.detach()), self.of_negatives(images))
        reference, target = probabilities.chunk(2)
        share = corner_share(config, step)
        labels = propose_labels(
            reference, target, corner_response(batch.clean), batch.homography, share, config.density
        )
        inverse = torch.linalg.inv(batch.homography)
        seen, covered = visible(batch.homography, reference), visible(inverse, target)
        first, second = logits.chunk(2)
        detection = 0.5 * (
            detection_loss(first, labels.points, labels.valid, seen)
            + detection_loss(second, labels.warped, labels.valid, covered)
        )
        description, right = description_loss(
            descriptors,
            labels.points,
            labels.valid,
            batch.homography,
            config,
            step,
            self.log_temperature.exp(),
            images.shape[-1],
        )
        loss = detection + config.descriptor_weight * description
        figures = {
            "detection": detection.detach(),
            "description": description.detach(),
            "matched": right,
            "temperature": self.log_temperature.detach().exp(),
        }
        if (step + 1) % LOG_EVERY == 0:
            figures["repeatability"] = hit_rate(reference, target, batch.homography, config.density)
        return loss, figures

    @torch.no_grad()
    def of_negatives(self, images: Tensor) -> Tensor:
        """Probability maps of the photographic negatives.

        A detector that labels its own training soon finds only dark points, or only light ones, as DaD's do (Edstedt et
        al. 2025): labels that hold what it finds in either image keep both.
        """
        # Negatives must not move the batch statistics.
        self.network.eval()
        with autocast(self.config.precision, images.device):
            logits, _ = self.network(255 - images)
        self.network.train(self.training)
        return probability_map(logit_map(logits.float()))


def corner_share(config: PretrainConfig, step: int) -> float:
    """Weight of the corner prior at a step: 1 for the first third of ``corner_steps``, then down to its floor."""
    start = config.corner_steps / 3
    progress = min(max((step - start) / (config.corner_steps - start), 0.0), 1.0)
    return 1 - (1 - config.corner_share) * progress


def visible(homography: Tensor, like: Tensor) -> Tensor:
    """Which pixels of a view the other view sees too; bool [B, 1, H, W]."""
    batch, _, height, width = like.shape
    points = warp_points(homography, pixel_grid(height, width).to(like.device).expand(batch, -1, -1))
    return inside(points, height, width).reshape(batch, 1, height, width)


def description_loss(
    descriptors: Tensor,
    points: Tensor,
    valid: Tensor,
    homography: Tensor,
    config: PretrainConfig,
    step: int,
    temperature: Tensor,
    size: int,
) -> tuple[Tensor, Tensor]:
    """Assignment loss over the label points and random points of all pairs of the batch.

    :param descriptors: [2B, D, h, w], references first.
    :param points: [B, N, 2], reference pixels.
    :param size: of the square images, pixels.
    """
    batch, stride = len(points), size // descriptors.shape[-1]
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    extra = torch.rand(batch, config.random_points, 2, generator=generator) * (size - 1)
    every = torch.cat([points, extra.to(points)], 1)
    warped = warp_points(homography, every)
    keep = inside(warped, size, size, 1.0)
    keep[:, : points.shape[1]] &= valid
    first, second = descriptors.chunk(2)
    noise = config.jitter * torch.randn(2, *every.shape, generator=generator).to(points)
    one = F.normalize(sample_map(first, every + noise[0], stride)[keep], dim=-1)
    two = F.normalize(sample_map(second, warped + noise[1], stride)[keep], dim=-1)
    owner = torch.arange(batch, device=points.device)[:, None].expand(keep.shape)[keep]
    return assignment_loss(one, two, warped[keep], owner, temperature)


@torch.no_grad()
def hit_rate(reference: Tensor, target: Tensor, homography: Tensor, density: float, radius: int = 3) -> Tensor:
    """Repeatability at 2 px of the best points of both probability maps, over those of the reference in the overlap."""
    _, _, height, width = reference.shape
    count = int(density * height * width)

    def best(values: Tensor) -> Tensor:
        index = local_maxima(values, radius).flatten(1).topk(count, 1).indices
        return torch.stack([index % width, index // width], -1).float()

    warped = warp_points(homography, best(reference))
    hit = torch.cdist(warped, best(target)).amin(2) < 2
    keep = inside(warped, height, width, 4.0)
    return (hit & keep).sum() / keep.sum().clamp(min=1)


def pretrain(config: PretrainConfig, folder: Path) -> int:
    """Run the pre-training, or go on with the one in ``folder``; returns the step reached."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    photographs = [load_photograph(path) for path in list_photographs(config.photographs)]
    ancestors = [config.start] if config.start else []
    record_training_frames(folder, map(read_photograph_folder, config.photographs), ancestors)
    count = config.steps * config.accumulate
    dataset = HomographyPairs(photographs, config.homography, config.appearance, config.batch_size, count, config.seed)
    network = begin_with(config.start, config.network) if config.start else start_network(config.network)
    objective = Pretraining(network, config)
    objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch leaves it out of its stubs
    return train(objective, dataset, trainer_settings(config), folder)


def trainer_settings(config: PretrainConfig) -> TrainerSettings:
    """What of a pre-training's configuration the trainer needs."""
    return TrainerSettings(
        steps=config.steps,
        learning_rate=Schedule(Shape.COSINE, config.learning_rate, 0.01 * config.learning_rate),
        warm_up=config.warm_up,
        weight_decay=config.weight_decay,
        gradient_clip=config.gradient_clip,
        accumulate=config.accumulate,
        precision=config.precision,
        checkpoint_every=config.checkpoint_every,
    )
