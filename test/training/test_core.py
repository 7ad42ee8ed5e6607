"""The parts of the core in one objective, as a method puts them together, under the trainer."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from planes import SIZE, wall
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.frame_batch import FrameBatch
from training.geometry.camera import view_of
from training.geometry.reprojection import reproject
from training.losses.policy_gradient import policy_loss
from training.networks.keypoint_network import KeypointNetwork
from training.optimisation import TrainerSettings
from training.policy import Policy
from training.regularisers.coverage import coverage
from training.regularisers.scheduled import scheduled_sum
from training.rewards.repeatability import repeatability, rewards_over_hit_rate
from training.samplers.balanced_top_k import sample_balanced_top_k
from training.samplers.samples import restrict
from training.schedules import Schedule
from training.trainer import train

HEIGHT, WIDTH = 32, 64


class Wall(Dataset[FrameBatch]):
    """One pair of views of a textured wall, 1 m apart: what is at x in the first is at x - 10 in the second."""

    def __getitem__(self, index: int) -> FrameBatch:
        rng = np.random.default_rng(0)
        texture = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, WIDTH + 10)).astype(np.float32), (0, 0), 1.5)
        texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
        images = np.stack([texture[:, :WIDTH], texture[:, 10 : WIDTH + 10]])[None, :, None]
        cameras = [wall(), wall(x=1.0)]
        return FrameBatch(
            images=torch.from_numpy(images),
            valid=torch.ones(1, 2, HEIGHT, WIDTH, dtype=torch.bool),
            label=torch.ones(1, dtype=torch.int64),
            intrinsics=torch.stack([camera.intrinsics for camera in cameras], 1),
            pose=torch.stack([camera.pose for camera in cameras], 1),
            depth=torch.full((1, 2, HEIGHT, WIDTH), 2.0),
        )


class TwoViewRepeatability(nn.Module):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.policy = Policy(KeypointNetwork(8, 16))
        self.steps = steps
        self.weights = {"coverage": Schedule(start=0.1)}

    def forward(self, batch: FrameBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        maps = self.policy(batch.images)
        views = [view_of(batch, frame) for frame in range(2)]
        samples = [sample_balanced_top_k(maps.logits[:, f], 24, batch.valid[:, f], 3.0, 9) for f in range(2)]
        found = []
        for one, other in ((0, 1), (1, 0)):
            seen = reproject(samples[one].keypoints, views[one], views[other])
            visible = seen.visible & samples[one].valid
            found.append(repeatability(seen.points, visible, samples[other].keypoints, samples[other].valid, 1.5))
        loss = torch.zeros(())
        for drawn, reward, result in zip(samples, rewards_over_hit_rate(found), found, strict=True):
            kept = restrict(drawn, result.valid)
            loss = loss + policy_loss(kept.log_probabilities, reward, kept.valid)
        assert batch.depth is not None
        depth = batch.depth
        terms = {"coverage": lambda: coverage(maps.logits[:, 0], depth[:, 0] > 0, 4.0)}
        regularisation, figures = scheduled_sum(terms, self.weights, step / self.steps)
        hits = torch.stack([result.hit.sum() / result.valid.sum().clamp(min=1) for result in found]).mean()
        return loss + regularisation, figures | {"hit_rate": hits}


def test_an_objective_of_the_cores_parts_learns_to_repeat_its_points(tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert SIZE != (HEIGHT, WIDTH)
    settings = TrainerSettings(
        steps=60, learning_rate=Schedule(start=2e-3), loader_processes=0, accelerator="cpu", checkpoint_every=1000
    )
    assert train(TwoViewRepeatability(60), Wall(), settings, tmp_path) == 60
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]

    assert lines[-1]["hit_rate"] > lines[0]["hit_rate"] + 0.15
    assert lines[-1]["skipped"] == 0 and lines[-1]["coverage"] > 0
