import math

import cv2
import pytest
import torch

from training.regularisers.fast_warm_up import fast_heat, fast_warm_up


def test_the_heat_is_a_gaussian_of_height_one_at_each_corner() -> None:
    images = torch.full((2, 1, 40, 40), 30.0)
    images[0, 0, :20, :20] = 220.0
    # A camera's blur: of the equal pixels of a perfect corner FAST keeps none.
    images[0, 0] = torch.from_numpy(cv2.GaussianBlur(images[0, 0].numpy(), (0, 0), 1.0))
    heat = fast_heat(images)
    assert heat.shape == (2, 40, 40) and not heat[1].any()
    y, x = divmod(int(heat[0].argmax()), 40)
    assert abs(x - 19) <= 2 and abs(y - 19) <= 2 and float(heat[0].max()) == pytest.approx(1.0, abs=1e-5)
    assert heat[0, 30:, 30:].max() == 0


def test_a_lone_corner_falls_off_with_sigma() -> None:
    images = torch.zeros(1, 1, 30, 30)
    images[0, 0, 15, 15] = 255.0
    heat = fast_heat(images)[0]
    assert float(heat[15, 15]) == pytest.approx(1)
    assert float(heat[15, 17]) == pytest.approx(math.exp(-4 / 8), abs=1e-4)


def test_the_loss_is_least_at_the_heat_and_looks_at_valid_pixels_alone() -> None:
    heat = torch.tensor([[[0.2, 0.9]]])
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    logits = heat.logit().requires_grad_()
    fast_warm_up(logits, heat, valid).backward()
    assert logits.grad is not None and logits.grad.abs().max() < 1e-6
    first = fast_warm_up(torch.zeros(1, 1, 2), heat, torch.tensor([[[True, False]]]))
    assert float(first) == pytest.approx(math.log(2))
