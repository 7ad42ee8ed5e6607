"""Distillation of several detectors into one (Edstedt et al., DaD, 2025): their point-wise maximum as the target.

Averages and products move or merge the teachers' peaks; the maximum keeps them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import torch
from torch import Tensor, nn

from kp_ros.errors import UserError
from training.data.augmentation import AugmentationSettings
from training.data.sampling import FrameSampler, SingleFrames
from training.data.sequence import Sequence
from training.frame_batch import FrameBatch
from training.methods.dad import turned_and_shifted
from training.methods.method import Method, MethodConfig, MethodObjective
from training.policy import Policy
from training.runs import load_network
from training.samplers.samples import image_log_softmax, masked_logits


class Rule(Enum):
    """How the teachers' probabilities become one target, up to its normalisation."""

    MAXIMUM = "maximum"
    MEAN = "mean"
    PRODUCT = "product"


@dataclass(frozen=True)
class DistillationConfig(MethodConfig):
    """See :class:`training.methods.method.MethodConfig` for the rest.

    :ivar teachers: checkpoints of runs, of any methods.
    :ivar rule: maximum, mean or product.
    :ivar negatives: each teacher judges the photographic negative too, as a teacher of its own: what one learnt of dark
        points then holds of light ones, and a detector of one sign teaches both.
    """

    method: str = "distillation"
    image: AugmentationSettings = field(default_factory=turned_and_shifted)
    teachers: list[Path] = field(default_factory=list)
    rule: Rule = Rule.MAXIMUM
    negatives: bool = False

    @property
    def ancestors(self) -> list[Path]:
        """The teachers' frames have trained the student too."""
        return [*super().ancestors, *self.teachers]


def target_log_probabilities(log_probabilities: Tensor, rule: Rule) -> Tensor:
    """Log of the normalised target.

    :param log_probabilities: [T, B, H, W], each teacher's over the image.
    :returns: [B, H, W].
    """
    if rule is Rule.MAXIMUM:
        combined = log_probabilities.amax(0)
    elif rule is Rule.MEAN:
        combined = log_probabilities.logsumexp(0)
    else:
        combined = log_probabilities.sum(0)
    return image_log_softmax(combined)


class Distillation(MethodObjective):
    """KL(target || student), mean over the images.

    :raises UserError: there is no teacher.
    """

    def __init__(self, config: DistillationConfig, network: nn.Module) -> None:
        super().__init__(config, network)
        if not config.teachers:
            raise UserError("distillation needs teachers; set teachers='[runs/light/last.pt, runs/dark/last.pt]'")
        self.config = config
        networks = [load_network(checkpoint).requires_grad_(False) for checkpoint in config.teachers]
        self.teachers = nn.ModuleList(Policy(teacher, config.precision) for teacher in networks)

    def train(self, mode: bool = True) -> Distillation:
        """The teachers stay in evaluation mode."""
        super().train(mode)
        self.teachers.eval()
        return self

    def forward(self, batch: FrameBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """See :class:`training.methods.method.MethodObjective`."""
        valid = batch.valid.flatten(0, 1)
        with torch.no_grad():
            seen = [batch.images, 255 - batch.images] if self.config.negatives else [batch.images]
            taught = [
                image_log_softmax(masked_logits(teacher(images).logits.flatten(0, 1), valid))
                for teacher in self.teachers
                for images in seen
            ]
            target = target_log_probabilities(torch.stack(taught), self.config.rule)
        student = image_log_softmax(masked_logits(self.policy(batch.images).logits.flatten(0, 1), valid))
        # Outside the image both are the same very small number, and the target's weight is 0.
        divergence = (target.exp() * (target - student)).sum((1, 2)).mean()
        entropy = -(target.exp() * target).sum((1, 2)).mean()
        return divergence, {"reward": -divergence.detach(), "target_entropy": entropy}


def sample_frames(config: DistillationConfig, sequences: list[Sequence]) -> FrameSampler:
    """Any frame: nothing but its image is needed."""
    return SingleFrames(sequences)


DISTILLATION = Method("distillation", DistillationConfig, "images", Distillation, sample_frames)
