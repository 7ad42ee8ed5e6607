"""TraqPoint: a detector of points that can be followed along a sequence (CVPR 2026).

Points are drawn in a reference frame alone and followed into the other frames by depth and pose. A point is worth much
where its logit stands out in every frame that sees it, and where its descriptor, which is trained before and frozen,
tells it from the others. Every ablation of the paper is one setting: see :class:`TraqpointConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import Tensor, nn

from training.data.sampling import TRAQPOINT_CURRICULUM, FrameSampler, OverlapSequences
from training.data.sequence import Sequence
from training.frame_batch import FrameBatch
from training.geometry.camera import View, view_of
from training.geometry.image_plane import pixel_grid
from training.geometry.matching import distances, mutual_matches
from training.geometry.reprojection import look_up, reproject
from training.losses.advantages import RunningMean, masked_mean, per_point, scalar_reward
from training.losses.policy_gradient import Reduction, policy_loss
from training.methods.method import Method, MethodConfig, MethodObjective, Trained
from training.policy import PolicyMaps
from training.regularisers.coverage import coverage
from training.regularisers.entropy import entropy
from training.regularisers.fast_warm_up import fast_heat, fast_warm_up
from training.regularisers.scheduled import scheduled_sum
from training.rewards.matching import match_reward
from training.rewards.trajectory import distinctiveness_reward, point_visibility, ranking_reward, trajectory_reward
from training.samplers.grid_and_global import sample_grid_and_global
from training.samplers.samples import Samples
from training.schedules import Schedule, Shape


class Objective(Enum):
    """What leads the detector."""

    REWARD = "reward"
    #: Corners of the reference that the other frames confirm, as a heat map to match.
    SUPERVISED = "supervised"


class Reward(Enum):
    """What a point is worth."""

    TRAJECTORY = "trajectory"
    #: Its match, by descriptors, with the points drawn in another frame is right.
    MATCH = "match"


class Advantage(Enum):
    """From the points' rewards to what their log-probabilities are multiplied by."""

    #: The mean over the points, as it is: the paper's.
    SCALAR = "scalar"
    #: That, less its running mean over earlier steps.
    SCALAR_BASELINE = "scalar_baseline"
    #: Each point's own, less the mean over the points.
    PER_POINT = "per_point"


def _policy_weight() -> Schedule:
    return Schedule(Shape.LINEAR, 0.1, 1.0, 0.0, 0.1)


def _corner_weight() -> Schedule:
    return Schedule(Shape.LINEAR, 1.0, 0.0, 0.0, 0.1)


def _curriculum() -> list[list[float]]:
    return [list(stage) for stage in TRAQPOINT_CURRICULUM]


@dataclass(frozen=True)
class TraqpointConfig(MethodConfig):
    """See :class:`training.methods.method.MethodConfig` for the rest. Lengths are those of the small images.

    The paper's ablations: ``frames=2``; ``reward=match frames=2``; ``ranking=false``; ``distinctiveness=false``;
    ``objective=supervised``.

    :ivar frames: of an item, the reference among them.
    :ivar curriculum: least and greatest overlap with the reference, one pair a stage.
    :ivar objective: reward or supervised.
    :ivar reward: trajectory or match.
    :ivar advantage: scalar (the paper's), scalar_baseline or per_point.
    :ivar ranking: the trajectory reward has its ranking part.
    :ivar distinctiveness: it has its part by descriptors.
    :ivar over_image: log-probabilities are those of the whole image (the paper's); false takes those of the draws,
        which rewards below 0 need: see :func:`training.samplers.grid_and_global.sample_grid_and_global`.
    :ivar cell: side of a grid cell, each of which gives one point, pixels; the paper: 40 of 480.
    :ivar global_points: drawn beside those of the grid; the paper: 112, of 256 in all.
    :ivar window: side of the neighbourhood that a logit is ranked in, pixels; the code: 60 of 480.
    :ivar rank_floor: share of the neighbourhood below the logit that is worth nothing yet.
    :ivar largest_ratio: of descriptor distances, own to nearest other, that is worth nothing any more.
    :ivar depth_tolerance: largest relative difference of depth for a point to be visible.
    :ivar least_cosine: of the descriptors at a point and at its projection, for it to be visible; None does not ask.
    :ivar match_radius: of a right match, pixels.
    :ivar wrong_match: reward of a match that contradicts the geometry.
    :ivar policy_weight: of the policy loss.
    :ivar corner_weight: of the FAST warm-up.
    :ivar corner_threshold: of FAST, grey levels.
    :ivar entropy_weight: of the entropy, which is to be large.
    :ivar coverage_weight: of DaD's coverage regulariser, which the paper does not have: without it the probability of
        small networks gathers in a few places.
    :ivar coverage_sigma: of its blur, pixels.
    :ivar entropy_cell: side of the cells over which entropy is taken; None takes it over the image, as the paper does.
    """

    method: str = "traqpoint"
    trained: Trained = Trained.DETECTOR
    frames: int = 5
    curriculum: list[list[float]] = field(default_factory=_curriculum)
    objective: Objective = Objective.REWARD
    reward: Reward = Reward.TRAJECTORY
    advantage: Advantage = Advantage.SCALAR
    ranking: bool = True
    distinctiveness: bool = True
    over_image: bool = True
    cell: int = 20
    global_points: int = 112
    window: int = 32
    rank_floor: float = 0.2
    largest_ratio: float = 0.85
    depth_tolerance: float = 0.2
    least_cosine: float | None = 0.5
    match_radius: float = 1.5
    wrong_match: float = -0.25
    policy_weight: Schedule = field(default_factory=_policy_weight)
    corner_weight: Schedule = field(default_factory=_corner_weight)
    corner_threshold: int = 20
    entropy_weight: Schedule = field(default_factory=lambda: Schedule(start=0.001))
    entropy_cell: int | None = None
    coverage_weight: Schedule = field(default_factory=Schedule)
    coverage_sigma: float = 8.0


class Traqpoint(MethodObjective):
    """Gradient flows through the reference's logits alone; the other frames are looked at by the same policy."""

    def __init__(self, config: TraqpointConfig, network: nn.Module) -> None:
        super().__init__(config, network)
        self.config = config
        self.baseline = RunningMean()

    def forward(self, batch: FrameBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """See :class:`training.methods.method.MethodObjective`.

        :raises ValueError: the batch has no depth, poses or calibration, or the network no descriptors.
        """
        config, progress = self.config, step / self.config.steps
        reference = self.policy(batch.images[:, :1])
        logits, valid = reference.logits[:, 0], batch.valid[:, 0]
        terms = {
            "negative_entropy": lambda: -entropy(logits, valid, config.entropy_cell),
            "coverage": lambda: coverage(logits, valid, config.coverage_sigma),
        }
        weights = {
            "negative_entropy": config.entropy_weight,
            "coverage": config.coverage_weight,
            "corners": config.corner_weight,
        }
        if config.objective is Objective.SUPERVISED:
            loss = fast_warm_up(logits, *confirmed_corners(batch, config.corner_threshold, config.depth_tolerance))
            figures = {"reward": -loss.detach()}
        else:
            terms["corners"] = lambda: self._corners(logits, batch)
            loss, figures = self._policy_loss(batch, reference)
            loss = config.policy_weight.at(progress) * loss
        regularisation, regularised = scheduled_sum(terms, weights, progress)
        return loss + regularisation, figures | regularised

    def _policy_loss(self, batch: FrameBatch, reference: PolicyMaps) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            targets = self.policy(batch.images[:, 1:])
        samples = self._sample(reference.logits[:, 0], batch.valid[:, 0])
        judge = self._match_reward if self.config.reward is Reward.MATCH else self._trajectory_reward
        reward, judged = judge(batch, samples, reference, targets)
        valid = judged & samples.valid
        figures = {
            "reward": masked_mean(reward, valid).mean(),
            "judged": valid.float().mean(),
            "log_probability": masked_mean(samples.log_probabilities.detach(), valid).mean(),
        }
        advantage = self._advantage(reward, valid)
        return policy_loss(samples.log_probabilities, advantage, valid, Reduction.MEAN), figures

    def _sample(self, logits: Tensor, valid: Tensor) -> Samples:
        config = self.config
        return sample_grid_and_global(logits, config.global_points, config.cell, valid, over_image=config.over_image)

    def _advantage(self, reward: Tensor, valid: Tensor) -> Tensor:
        if self.config.advantage is Advantage.PER_POINT:
            return per_point(reward, valid)
        if self.config.advantage is Advantage.SCALAR_BASELINE:
            return scalar_reward(reward, valid, self.baseline(masked_mean(reward, valid).mean()))
        return scalar_reward(reward, valid)

    @torch.no_grad()
    def _trajectory_reward(
        self, batch: FrameBatch, samples: Samples, reference: PolicyMaps, targets: PolicyMaps
    ) -> tuple[Tensor, Tensor]:
        """Rewards [B, N], and whether any frame can judge the point."""
        config, points = self.config, samples.keypoints
        own = reference.descriptors_at(0, points)
        rewards, visible = [], []
        judged = torch.zeros_like(samples.valid)
        for frame in range(targets.logits.shape[1]):
            there = reproject(points, view_of(batch, 0), view_of(batch, frame + 1), config.depth_tolerance)
            theirs = targets.descriptors_at(frame, there.points)
            seen = point_visibility(there.visible & samples.valid, own, theirs, config.least_cosine)
            reward = torch.zeros_like(samples.log_probabilities)
            if config.ranking:
                reward += ranking_reward(targets.logits[:, frame], there.points, seen, config.window, config.rank_floor)
            if config.distinctiveness:
                reward += distinctiveness_reward(own, theirs, seen, config.largest_ratio)
            rewards.append(reward)
            visible.append(seen)
            # A point whose descriptor fails it in every frame that shows it is judged: it is worth nothing.
            judged |= there.visible
        return trajectory_reward(rewards, visible)[0], judged

    @torch.no_grad()
    def _match_reward(
        self, batch: FrameBatch, samples: Samples, reference: PolicyMaps, targets: PolicyMaps
    ) -> tuple[Tensor, Tensor]:
        """Rewards [B, N], mean over the frames, and which points they are for: all."""
        config, source = self.config, view_of(batch, 0)
        own = reference.descriptors_at(0, samples.keypoints)
        total = torch.zeros_like(samples.log_probabilities)
        frames = targets.logits.shape[1]
        for frame in range(frames):
            others = self._sample(targets.logits[:, frame], batch.valid[:, frame + 1])
            distance = distances(own, targets.descriptors_at(frame, others.keypoints))
            matches = mutual_matches(distance, samples.valid, others.valid)
            table = match_reward(
                samples.keypoints,
                others.keypoints,
                source,
                view_of(batch, frame + 1),
                config.match_radius,
                wrong=config.wrong_match,
            )
            total += table.gather(2, matches.partner[..., None])[..., 0] * matches.matched / frames
        return total, samples.valid

    def _corners(self, logits: Tensor, batch: FrameBatch) -> Tensor:
        heat = fast_heat(batch.images[:, 0], self.config.corner_threshold)
        return fast_warm_up(logits, heat, batch.valid[:, 0])


@torch.no_grad()
def confirmed_corners(batch: FrameBatch, threshold: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """A heat map of the reference's FAST corners, each as high as the frames that see it confirm it.

    :param threshold: of FAST, grey levels.
    :param tolerance: relative, of depth, for a pixel to be seen.
    :returns: float32 [B, H, W], and bool [B, H, W], where any frame can tell.
    """
    height, width = batch.images.shape[-2:]
    source: View = view_of(batch, 0)
    pixels = pixel_grid(height, width).to(batch.images.device).expand(batch.batch_size, -1, -1)
    found, count = batch.images.new_zeros(2, batch.batch_size, height * width)
    for frame in range(1, batch.frame_count):
        there = reproject(pixels, source, view_of(batch, frame), tolerance)
        found += look_up(fast_heat(batch.images[:, frame], threshold), there.points) * there.visible
        count += there.visible
    shape = (batch.batch_size, height, width)
    confirmed = (found / count.clamp(min=1)).reshape(shape)
    return fast_heat(batch.images[:, 0], threshold) * confirmed, (count > 0).reshape(shape) & batch.valid[:, 0]


def sample_sequences(config: TraqpointConfig, sequences: list[Sequence]) -> FrameSampler:
    """A reference and frames that overlap it, from much to little."""
    stages = tuple((low, high) for low, high in config.curriculum)
    return OverlapSequences(sequences, config.frames, stages)


TRAQPOINT = Method("traqpoint", TraqpointConfig, "depth", Traqpoint, sample_sequences)
