import math

import pytest
import torch

from training.regularisers.coverage import coverage


def test_probability_that_equals_the_mask_costs_nothing_up_to_the_edge() -> None:
    logits = torch.zeros(1, 32, 40)
    assert float(coverage(logits, torch.ones(1, 32, 40, dtype=torch.bool), 4.0)) == pytest.approx(0, abs=1e-6)
    half = torch.zeros(1, 32, 40, dtype=torch.bool)
    half[..., :20] = True
    assert float(coverage(torch.where(half, 0.0, -50.0), half, 4.0)) == pytest.approx(0, abs=1e-5)


def test_the_cost_is_the_divergence_from_the_mask() -> None:
    # A blur far below a pixel leaves both as they are: KL(uniform || p) = sum 1/4 log(1/4 / p).
    p = torch.tensor([0.1, 0.2, 0.3, 0.4])
    found = coverage(p.log().reshape(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool), 0.05)
    assert float(found) == pytest.approx(sum(0.25 * math.log(0.25 / float(x)) for x in p), abs=1e-5)


def test_the_outermost_pixels_are_as_welcome_as_the_mask_says() -> None:
    """With zero padding on one side only, the released code drives probability away from the border."""
    mask = torch.ones(1, 24, 24, dtype=torch.bool)
    logits = torch.zeros(1, 24, 24, requires_grad=True)
    coverage(logits, mask, 3.0).backward()
    assert logits.grad is not None and logits.grad.abs().max() < 1e-6


def test_an_item_without_depth_does_not_count() -> None:
    logits = torch.randn(2, 16, 16)
    mask = torch.ones(2, 16, 16, dtype=torch.bool)
    both = coverage(logits, mask & torch.tensor([True, False])[:, None, None], 2.0)
    torch.testing.assert_close(both, coverage(logits[:1], mask[:1], 2.0))
    assert float(coverage(logits, ~mask, 2.0)) == 0
