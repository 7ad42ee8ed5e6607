from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kp_ros.errors import UserError
from training.methods.freezing import descriptor_parameters, freeze_descriptors
from training.methods.method import MethodConfig, MethodObjective, Trained
from training.networks.keypoint_network import KeypointNetwork


class Shared(nn.Module):
    """Logits and descriptors of the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features = self.layer(images)
        return features[:, :1], features


class Blind(Shared):
    """No descriptors at all."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return super().forward(images)[0], None


def test_training_the_detector_leaves_the_descriptors_as_they_are_to_the_bit() -> None:
    torch.manual_seed(0)
    network = KeypointNetwork(16, 16)
    images = 255 * torch.rand(2, 1, 1, 64, 64)
    before = network.eval()(images[:, 0])
    objective = MethodObjective(MethodConfig(trained=Trained.DETECTOR), network).train()
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 1e-2, weight_decay=0.1)
    for _ in range(3):
        objective.policy(images).logits.square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    after = network.eval()(images[:, 0])
    assert torch.equal(before[1], after[1])
    assert not torch.allclose(before[0], after[0])


def test_parameters_are_found_by_what_hangs_on_them() -> None:
    network = KeypointNetwork(16, 16)
    found = {id(parameter) for parameter in descriptor_parameters(network)}
    assert found == {id(p) for p in network.parameters()} - {id(p) for p in network.score.parameters()}


def test_batch_statistics_of_the_detector_alone_go_on() -> None:
    network = KeypointNetwork(16, 16)
    objective = MethodObjective(MethodConfig(trained=Trained.DETECTOR), network).train()
    running = {name: value.clone() for name, value in network.state_dict().items() if "running_mean" in name}
    objective.policy(255 * torch.rand(2, 1, 1, 64, 64))
    moved = {name for name, value in running.items() if not torch.equal(value, network.state_dict()[name])}
    assert moved and all(name.startswith("score") for name in moved)


def test_networks_without_a_detector_of_its_own_are_refused() -> None:
    with pytest.raises(UserError, match="no detector alone"):
        freeze_descriptors(Shared())
    with pytest.raises(UserError, match="no descriptors"):
        freeze_descriptors(Blind())
