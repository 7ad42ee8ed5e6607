from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_scenes import mean_of, one_batch, overfit

from training.methods.dad import DAD, Dad, DadConfig, Sign, has_sign
from training.networks.making import NetworkChoice, make_network
from training.samplers.balanced_top_k import sample_balanced_top_k
from training.schedules import Schedule, Shape


@pytest.fixture
def config(small: dict[str, Any]) -> DadConfig:
    return DadConfig(**small, coverage_sigma=3.0, kde_sigma=2.0, density=1 / 128)


def make(config: DadConfig) -> Dad:
    torch.manual_seed(0)
    return Dad(config, make_network(config.network))


def test_one_batch_is_overfitted(config: DadConfig) -> None:
    history = overfit(make(config), one_batch(DAD, config), 60)
    assert mean_of(history[-10:], "hit_rate") > mean_of(history[:10], "hit_rate") + 0.2
    assert history[-1]["coverage"] < 1.0


def test_independently_turned_views_still_judge_each_other(config: DadConfig) -> None:
    # A network that can learn two views by heart: the default's score head looks at 13 x 13 pixels, turned ones or not.
    cells = NetworkChoice("cells", {"descriptor_size": 16, "width": 16})
    turned = replace(config, image=replace(config.image, turns=True, shift=8), network=cells)
    _, figures = make(turned)(one_batch(DAD, turned), 0)
    assert float(figures["judged"]) > 0.1
    history = overfit(make(turned), one_batch(DAD, turned), 60)
    assert mean_of(history[-10:], "hit_rate") > mean_of(history[:10], "hit_rate") + 0.15


def test_coverage_follows_its_schedule(config: DadConfig) -> None:
    batch, rising = one_batch(DAD, config), Schedule(Shape.LINEAR, 1.0, 3.0)
    first, last = (make(replace(config, coverage=rising))(batch, step) for step in (0, config.steps))
    assert float((last[0] - first[0]).detach()) == pytest.approx(2 * float(first[1]["coverage"]), rel=1e-3)


def test_a_detector_can_be_made_one_of_light_points(config: DadConfig) -> None:
    image = torch.full((1, 1, 40, 60), 100.0)
    image[..., 10, 10], image[..., 30, 40] = 200, 0
    points = torch.tensor([[[10.0, 10.0], [40.0, 30.0]]])
    assert has_sign(image, points, Sign.LIGHT).tolist() == [[True, False]]
    assert has_sign(image, points, Sign.DARK).tolist() == [[False, True]]

    lightness = {}
    for sign in Sign:
        objective = make(replace(config, only=sign))
        batch = one_batch(DAD, config)
        overfit(objective, batch, 60)
        logits = objective.eval().policy(batch.images).logits[:, 0]
        points = sample_balanced_top_k(logits, 40).keypoints
        lightness[sign] = float(has_sign(batch.images[:, 0], points, Sign.LIGHT).float().mean())
    assert lightness[Sign.LIGHT] > lightness[Sign.DARK] + 0.15


def test_the_papers_radius_and_budget_follow_the_image(config: DadConfig) -> None:
    """0.005 of the normalised image is 0.24 px here: hardly a whole pixel is hit."""
    batch = one_batch(DAD, config)
    _, strict = make(replace(config, hit_radius=None))(batch, 0)
    _, lenient = make(replace(config, hit_radius=4.0))(batch, 0)
    assert float(strict["hit_rate"]) < float(lenient["hit_rate"])


def test_images_without_depth_are_refused(config: DadConfig) -> None:
    batch = one_batch(DAD, config)
    with pytest.raises(ValueError, match="depth"):
        make(config)(replace(batch, depth=None), 0)
