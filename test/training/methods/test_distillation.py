from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_scenes import NETWORK, one_batch, overfit

from kp_ros.errors import UserError
from training.checkpoint import Checkpoint, save_checkpoint
from training.configuration import save_config
from training.methods.distillation import (
    DISTILLATION,
    Distillation,
    DistillationConfig,
    Rule,
    target_log_probabilities,
)
from training.methods.method import MethodConfig
from training.networks.making import make_network
from training.runs import CONFIG, load_network
from training.samplers.samples import image_log_softmax


@pytest.fixture(scope="module")
def teachers(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two networks that were never trained, sharpened so that there is something to teach."""
    found = []
    for seed in range(2):
        folder = tmp_path_factory.mktemp("teacher")
        torch.manual_seed(seed)
        network = make_network(NETWORK)
        state = {f"policy.network.{name}": value for name, value in network.state_dict().items()}
        save_checkpoint(Checkpoint(0, state, {}, []), folder / "last.pt")
        save_config(MethodConfig(method="dad", network=NETWORK), folder / CONFIG)
        found.append(folder / "last.pt")
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule.MAXIMUM, [0.6, 0.6, 0.2, 0.2]),
        (Rule.MEAN, [0.35, 0.35, 0.15, 0.15]),
        (Rule.PRODUCT, [0.06, 0.06, 0.02, 0.02]),
    ],
)
def test_the_target_is_the_rules_normalised(rule: Rule, expected: list[float]) -> None:
    probabilities = torch.tensor([[0.6, 0.1, 0.2, 0.1], [0.1, 0.6, 0.1, 0.2]])
    target = target_log_probabilities(probabilities.log().reshape(2, 1, 2, 2), rule).exp().flatten()
    torch.testing.assert_close(target, torch.tensor(expected) / sum(expected))


def test_the_student_learns_the_maximum_and_the_teachers_stay(small: dict[str, Any], teachers: list[Path]) -> None:
    config = DistillationConfig(**small, teachers=teachers)
    torch.manual_seed(9)
    objective = Distillation(config, make_network(NETWORK))
    before = [load_network(file).state_dict() for file in teachers]
    history = overfit(objective, one_batch(DISTILLATION, config), 60)
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    for teacher, state in zip(objective.teachers, before, strict=True):
        assert not teacher.training
        for name, value in teacher.network.state_dict().items():  # type: ignore[union-attr]
            assert torch.equal(value, state[name]), name


def test_padding_teaches_nothing(small: dict[str, Any], teachers: list[Path]) -> None:
    config = DistillationConfig(**small, teachers=teachers)
    torch.manual_seed(9)
    objective = Distillation(config, make_network(NETWORK)).eval()
    batch = one_batch(DISTILLATION, config)
    batch.valid[..., :48] = False
    loss, _ = objective(batch, 0)
    with torch.no_grad():
        left = objective.policy(batch.images).logits[:, 0, :, 48:]
        taught = torch.stack([teacher(batch.images).logits[:, 0, :, 48:] for teacher in objective.teachers])
    targets = target_log_probabilities(torch.stack([image_log_softmax(one) for one in taught]), Rule.MAXIMUM)
    expected = (targets.exp() * (targets - image_log_softmax(left))).sum((1, 2)).mean()
    torch.testing.assert_close(loss.detach(), expected)


def test_without_teachers_it_says_what_to_set(small: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="teachers"):
        Distillation(DistillationConfig(**small), make_network(NETWORK))


def test_a_teacher_of_one_sign_teaches_both(small: dict[str, Any], teachers: list[Path]) -> None:
    """With negatives, an image and its negative have one target: their maximum."""
    config = DistillationConfig(**small, teachers=teachers[:1], negatives=True)
    objective = Distillation(config, make_network(NETWORK))
    batch = one_batch(DISTILLATION, config)
    with torch.no_grad():
        _, figures = objective(batch, 0)
        _, mirrored = objective(replace(batch, images=255 - batch.images), 0)
        _, one_sided = Distillation(replace(config, negatives=False), make_network(NETWORK))(batch, 0)
    torch.testing.assert_close(figures["target_entropy"], mirrored["target_entropy"])
    assert abs(float(figures["target_entropy"] - one_sided["target_entropy"])) > 1e-4
