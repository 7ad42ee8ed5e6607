"""Reinforced Feature Points (Bhowmik et al., CVPR 2020): drawn keypoints and matches, judged by their pose's error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.sampling import FrameSampler, LabelledPairs, OverlapSequences
from training.data.sequence import Sequence as FrameSequence
from training.estimators.base import EstimatorSettings, Library, Model, Points
from training.estimators.run import estimate_all, make_estimator
from training.frame_batch import FrameBatch
from training.geometry.camera import View, rays_of, relative_pose, view_of
from training.geometry.matching import Matches, distances, mutual_matches
from training.losses.policy_gradient import drawn_pose_loss
from training.methods.method import Method, MethodConfig, MethodObjective
from training.policy import PolicyMaps, cell_log_probabilities
from training.rewards.pose_error import pose_error, pose_loss
from training.samplers.matches import MatchSamples, sample_matches
from training.samplers.multinomial import sample_multinomial


class Credit(Enum):
    """Which keypoints of a draw a pose's error is put down to."""

    #: All that were drawn, as the paper has it.
    ALL = "all"
    #: Those of the drawn matches: the black box has seen no others, so that all others' share is noise. What they do to
    #: the pose by not being matched is left out.
    SEEN = "seen"


@dataclass(frozen=True)
class RfpConfig(MethodConfig):
    """RFP's settings.

    :ivar keypoints: draws an image, with replacement.
    :ivar keypoint_draws: times that keypoints are drawn.
    :ivar match_draws: times that matches are drawn for each of them.
    :ivar share: of the matches that are drawn, with replacement.
    :ivar credit: keypoints that learn from a pose's error.
    :ivar normalise: log-probabilities of keypoints are those of the draw, over the image; false takes those within the
        cell, as the released code does.
    :ivar library: of the essential matrix.
    :ivar threshold: of its inliers, on the unit plane.
    :ivar iterations: most samples of its RANSAC.
    :ivar knee: error from which on the loss grows as a root, degrees.
    :ivar cap: greatest loss, and the loss of a failed estimate, degrees.
    :ivar shortest_baseline: of frames that are nearer together the rotation alone is judged, in the unit of the poses.
    :ivar overlap: least and greatest overlap of a pair's frames, where the data tell.
    :ivar longest_gap: frames between a pair's, where they do not.
    """

    method: str = "rfp"
    keypoints: int = 600
    keypoint_draws: int = 3
    match_draws: int = 3
    share: float = 0.5
    credit: Credit = Credit.ALL
    normalise: bool = True
    library: Library = Library.POSELIB
    threshold: float = 0.001
    iterations: int = 1000
    knee: float = 25.0
    cap: float = 75.0
    shortest_baseline: float = 0.02
    overlap: list[float] = field(default_factory=lambda: [0.3, 0.9])
    longest_gap: int = 10


@dataclass(frozen=True)
class KeypointDraw:
    """One draw of keypoints in both images of every item.

    :ivar log_probability: float32 [B], of all keypoints of both images together.
    :ivar pairs: float32 [B, N], of each keypoint of the first image and its partner together.
    :ivar distance: float32 [B, N, N], between descriptors, with gradient.
    :ivar matches: mutual nearest neighbours.
    :ivar rays: float32 [B, N, 4], unit-plane points of each keypoint of the first image and of its partner.
    """

    log_probability: Tensor
    pairs: Tensor
    distance: Tensor
    matches: Matches
    rays: Tensor


class Rfp(MethodObjective):
    """The objective: pairs with relative poses to a loss whose gradient is that of the expected pose error."""

    def __init__(self, config: RfpConfig, network: nn.Module) -> None:
        super().__init__(config, network)
        self.settings = config
        self.estimator = make_estimator(
            EstimatorSettings(Model.ESSENTIAL, config.library, config.threshold, config.iterations)
        )

    def train(self, mode: bool = True) -> Rfp:
        """Batch statistics stay those of the pre-training: those of one pair, the paper's step, are no statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, batch: FrameBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch, and figures for the log."""
        settings = self.settings
        maps: PolicyMaps = self.policy(batch.images)
        views = (view_of(batch, 0), view_of(batch, 1))
        cells = [cell_log_probabilities(maps.logits[:, frame]) for frame in range(2)]
        keypoint_draws = [self.draw(maps, cells, views, batch.valid) for _ in range(settings.keypoint_draws)]
        match_draws = [
            [sample_matches(drawn.distance, drawn.matches, settings.share) for _ in range(settings.match_draws)]
            for drawn in keypoint_draws
        ]
        pairs = [
            pair
            for drawn, several in zip(keypoint_draws, match_draws, strict=True)
            for chosen in several
            for pair in drawn_rays(drawn.rays, chosen)
        ]
        errors = self.errors(pairs, relative_pose(views[0].pose, views[1].pose).double().cpu().numpy())
        losses = torch.tensor([pose_loss(error, settings.knee, settings.cap) for error in errors])
        shape = (settings.keypoint_draws, settings.match_draws, batch.batch_size)
        losses = losses.reshape(shape).permute(2, 0, 1).to(batch.images.device)
        loss = drawn_pose_loss(
            losses,
            torch.stack([self.credited(*of) for of in zip(keypoint_draws, match_draws, strict=True)], 1),
            torch.stack([torch.stack([c.log_probabilities.sum(1) for c in several], 1) for several in match_draws], 1),
        )
        found = [error for error in errors if error is not None]
        figures = {
            "reward": -losses.mean(),
            "pose_loss": losses.mean(),
            # Not a number where no pose was found, which the log leaves out.
            "pose_error": torch.tensor(found).median() if found else torch.tensor(math.nan),
            "failed": torch.tensor(1 - len(found) / len(errors)),
            "matches": torch.stack([drawn.matches.matched.sum(1) for drawn in keypoint_draws]).float().mean(),
        }
        return loss, figures

    def draw(self, maps: PolicyMaps, cells: Sequence[Tensor], views: tuple[View, View], valid: Tensor) -> KeypointDraw:
        """Draw keypoints in both images and match them.

        :param cells: log-probabilities within cells, [B, H, W] of each image.
        :param valid: bool [B, 2, H, W].
        """
        settings = self.settings
        one, two = (
            sample_multinomial(cells[frame], settings.keypoints, valid[:, frame], settings.normalise)
            for frame in range(2)
        )
        distance = distances(maps.descriptors_at(0, one.keypoints), maps.descriptors_at(1, two.keypoints))
        matches = mutual_matches(distance, one.accepted, two.accepted)
        with torch.no_grad():
            first, second = rays_of(one.keypoints, views[0]), rays_of(two.keypoints, views[1])
            partners = second.gather(1, matches.partner[..., None].expand(-1, -1, 2))
        log_probability = one.log_probabilities.sum(1) + two.log_probabilities.sum(1)
        of_pairs = one.log_probabilities + two.log_probabilities.gather(1, matches.partner)
        return KeypointDraw(log_probability, of_pairs, distance, matches, torch.cat([first, partners], -1))

    def credited(self, drawn: KeypointDraw, several: Sequence[MatchSamples]) -> Tensor:
        """Log-probability of the keypoints that learn from each draw of matches: [B, 1] of all, [B, T] of the seen."""
        if self.settings.credit is Credit.ALL:
            return drawn.log_probability[:, None]
        return torch.stack([(drawn.pairs.gather(1, chosen.first) * chosen.valid).sum(1) for chosen in several], 1)

    def errors(self, pairs: list[tuple[Points, Points]], truth: NDArray[np.float64]) -> list[float | None]:
        """The black box: drawn matches to pose errors, degrees; None where no pose was found.

        :param pairs: rays of both images' points; item by item, draw after draw.
        :param truth: float64 [B, 4, 4], second camera from first.
        """
        found = estimate_all(self.estimator, pairs, self.settings.threads)
        return [
            None
            if estimate is None or estimate.pose is None
            else pose_error(estimate.pose, truth[number % len(truth)], self.settings.shortest_baseline)
            for number, estimate in enumerate(found)
        ]


def drawn_rays(rays: Tensor, chosen: MatchSamples) -> list[tuple[Points, Points]]:
    """Of every item, both images' points of the drawn matches, float64 [S, 2].

    :param rays: [B, N, 4], of a point and its partner.
    """
    values, rows, valid = (tensor.cpu().numpy() for tensor in (rays.double(), chosen.first, chosen.valid))
    drawn = [item[row[keep]] for item, row, keep in zip(values, rows, valid, strict=True)]
    return [(item[:, :2], item[:, 2:]) for item in drawn]


def _pairs(config: RfpConfig, sequences: list[FrameSequence]) -> FrameSampler:
    """By overlap where all data tell it, else by distance in time: poses alone say nothing of what is seen."""
    if all(sequence.has_depth or sequence.overlaps is not None for sequence in sequences):
        return OverlapSequences(sequences, 2, ((config.overlap[0], config.overlap[1]),))
    return LabelledPairs(sequences, 0.0, config.longest_gap)


RFP = Method("rfp", RfpConfig, "poses", Rfp, _pairs)
