"""RIPE: keypoints from image pairs of which only "same scene" or "another scene" is known (ICCV 2025).

Written from the paper's facts (../shared/methods.md); the released source was not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.data.sampling import LabelledPairs
from training.data.sequence import Sequence
from training.estimators.base import EstimatorSettings, Model
from training.estimators.run import estimate_matches, inlier_mask, make_estimator
from training.frame_batch import FrameBatch
from training.geometry.matching import Matches, distances, mutual_matches
from training.losses.hinge import match_hinge
from training.losses.policy_gradient import pair_policy_loss
from training.methods.method import Method, MethodConfig, MethodObjective
from training.methods.pair_matching import accepted_points, among_all_draws, spread
from training.networks.hyper_column import HyperColumnNetwork, HyperColumnPolicy
from training.policy import PolicyMaps
from training.regularisers.entropy import entropy
from training.regularisers.keypoint_cost import keypoint_reward
from training.regularisers.scheduled import scheduled_sum
from training.rewards.epipolar import enough_points, epipolar_reward
from training.samplers.cells import sample_cells
from training.samplers.samples import Samples, values_at
from training.schedules import Schedule, Shape


def ramp(end: float) -> Schedule:
    """From 0 to ``end`` over the first third of the training."""
    return Schedule(Shape.LINEAR, 0.0, end, 0.0, 1 / 3)


@dataclass(frozen=True)
class RipeConfig(MethodConfig):
    """RIPE's settings.

    The policy's loss is a mean over all pairs of draws, so a match of an image of 32 x 32 cells weighs 1e-6. The
    keypoint cost is on that scale, and ``policy_weight`` brings both to that of the descriptor's loss.

    :ivar negatives: share of image pairs that show two scenes.
    :ivar longest_gap: frames between two of a scene, where nothing else tells that they show the same.
    :ivar acceptance_offset: is added to the logits before the sampler asks for acceptance. A network whose logits mean
        something else at first (the pre-training's: odds against "no keypoint in this cell") accepts too few points
        to learn from; above 0 there are more.
    :ivar cell: side of a cell, pixels.
    :ivar border: points nearer than this to the image's edge or to padding take no part, pixels.
    :ivar fewest_points: an image pair with fewer accepted points in one of the images is skipped.
    :ivar fewest_matches: an image pair with fewer matches has no inliers.
    :ivar threshold: of the fundamental matrix's inliers, pixels.
    :ivar iterations: most samples of its RANSAC.
    :ivar outlier_reward: of a match that is no inlier (RIPE++: -0.1).
    :ivar background: reward of every other entry, times minus the label (the paper: 0; the released code: 1e-7,
        ramped).
    :ivar keypoint_cost: epsilon, times - log p of every accepted point: negative makes points rarer (the paper: -7e-8;
        the released code: -7e-7; both at 70 x 70 cells).
    :ivar policy_weight: of the policy's loss and the keypoint cost.
    :ivar descriptor_weight: of the hinge.
    :ivar margin: of the hinge.
    :ivar entropy: weight of the heat map's entropy, which is minimised (RIPE++).
    :ivar entropy_cell: side of the cells that the entropy is of, pixels; None: of the whole image.
    """

    method: str = "ripe"
    negatives: float = 0.5
    longest_gap: int = 10
    acceptance_offset: float = 0.0
    cell: int = 8
    border: int = 16
    fewest_points: int = 16
    fewest_matches: int = 8
    threshold: float = 1.0
    iterations: int = 1000
    outlier_reward: float = 0.0
    background: Schedule = field(default_factory=Schedule)
    keypoint_cost: Schedule = field(default_factory=lambda: ramp(-7e-8))
    policy_weight: float = 1.0
    descriptor_weight: float = 5.0
    margin: float = 0.2
    entropy: Schedule = field(default_factory=Schedule)
    entropy_cell: int | None = None


class Ripe(MethodObjective):
    """The objective: pairs with labels to a loss."""

    def __init__(self, config: RipeConfig, network: nn.Module) -> None:
        super().__init__(config, network)
        if isinstance(network, HyperColumnNetwork):
            self.policy = HyperColumnPolicy(network, config.precision)
        self.settings = config
        self.estimator = make_estimator(
            EstimatorSettings(Model.FUNDAMENTAL, threshold=config.threshold, iterations=config.iterations)
        )

    def forward(self, batch: FrameBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch, and figures for the log."""
        settings = self.settings
        progress = step / settings.steps
        maps: PolicyMaps = self.policy(batch.images)
        logits = maps.logits + settings.acceptance_offset
        one, two = (
            sample_inside(logits[:, frame], batch.valid[:, frame], settings.cell, settings.border) for frame in range(2)
        )
        first, second = accepted_points(one), accepted_points(two)
        distance = distances(maps.descriptors_at(0, first.keypoints), maps.descriptors_at(1, second.keypoints))
        matches = mutual_matches(distance, first.present, second.present)
        enough = enough_points(first.present, second.present, settings.fewest_points)
        matches = Matches(matches.partner, matches.matched & enough[:, None])
        inliers = inlier_mask(
            matches,
            estimate_matches(
                self.estimator, first.keypoints, second.keypoints, matches, settings.fewest_matches, settings.threads
            ),
        )
        draws = one.keypoints.shape[1]
        reward = epipolar_reward(
            among_all_draws(matches, first, second, draws),
            spread(inliers, first, draws),
            batch.label,
            enough,
            settings.outlier_reward,
            settings.background.at(progress),
        )
        policy = pair_policy_loss(reward, one.log_probabilities, two.log_probabilities, one.valid, two.valid)
        cost, _ = scheduled_sum(
            {"keypoint_cost": lambda: accepted_log_probability([one, two], enough)},
            {"keypoint_cost": settings.keypoint_cost},
            progress,
        )
        spread_out, entropies = scheduled_sum(
            {"entropy": lambda: _entropy(maps.logits, batch.valid, settings.entropy_cell)},
            {"entropy": settings.entropy},
            progress,
        )
        hinge = match_hinge(distance, matches, inliers, batch.label, first.present, second.present, settings.margin)
        loss = settings.policy_weight * (policy + cost) + settings.descriptor_weight * hinge + spread_out
        same = batch.label > 0
        found = inliers.sum(1)
        figures = {
            "reward": reward.matched.sum(1).mean(),
            "acceptance": torch.cat([one.accepted, two.accepted]).sum() / torch.cat([one.valid, two.valid]).sum(),
            "matches": matches.matched.sum(1).float().mean(),
            # A mean over no pair is not a number, which the log leaves out.
            "inliers_same": found[same].float().mean(),
            "inliers_other": found[~same].float().mean(),
            "skipped_pairs": 1 - enough.float().mean(),
            "hinge": hinge.detach(),
            **entropies,
        }
        return loss, figures


def sample_inside(logits: Tensor, valid: Tensor, cell: int, border: int) -> Samples:
    """One proposal a cell, of which those near the image's edge or near padding take no part.

    :param logits: [B, H, W].
    :param valid: bool [B, H, W].
    :param border: pixels.
    """
    drawn = sample_cells(logits, cell, valid)
    return replace(drawn, accepted=drawn.accepted & (invalid_around(valid, drawn.keypoints, border) == 0))


def invalid_around(valid: Tensor, keypoints: Tensor, radius: int) -> Tensor:
    """How many of the pixels up to ``radius`` away (Chebyshev) are not valid or not in the image.

    :param valid: bool [B, H, W].
    :param keypoints: [B, N, 2], whole pixels.
    :returns: int64 [B, N].
    """
    outside = F.pad(~valid, [radius] * 4, value=True)
    # A summed-area table: four look-ups a point, however large the radius.
    table = F.pad(outside.long().cumsum(1).cumsum(2), [1, 0, 1, 0])
    side = 2 * radius + 1
    right, down = keypoints.new_tensor([side, 0]), keypoints.new_tensor([0, side])
    upper = values_at(table, keypoints + right) - values_at(table, keypoints)
    lower = values_at(table, keypoints + right + down) - values_at(table, keypoints + down)
    return lower - upper


def accepted_log_probability(samples: list[Samples], enough: Tensor) -> Tensor:
    """- sum of log p over an image pair's accepted points, mean over the pairs: what the keypoint cost multiplies.

    Skipped pairs do not count: a network with too few points would be driven to still fewer.

    :param enough: bool [B].
    """
    counted = [replace(s, accepted=s.accepted & enough[:, None]) for s in samples]
    draws = sum(int(s.valid.sum()) for s in samples)
    return keypoint_reward(counted) * (draws / len(enough))


def _entropy(logits: Tensor, valid: Tensor, cell: int | None) -> Tensor:
    return entropy(logits.flatten(0, 1), valid.flatten(0, 1), cell)


def _pairs(config: RipeConfig, sequences: list[Sequence]) -> LabelledPairs:
    return LabelledPairs(sequences, config.negatives, config.longest_gap)


RIPE = Method("ripe", RipeConfig, "images", Ripe, _pairs)
