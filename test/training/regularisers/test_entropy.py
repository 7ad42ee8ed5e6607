import math

import pytest
import torch

from training.regularisers.entropy import entropy


def test_a_flat_map_has_the_logarithm_of_its_pixels_and_a_peak_none() -> None:
    flat = torch.zeros(2, 4, 6)
    assert float(entropy(flat)) == pytest.approx(math.log(24))
    assert float(entropy(flat, cell=2)) == pytest.approx(math.log(4))
    peak = flat.clone()
    peak[:, 1, 1] = 200.0
    assert float(entropy(peak)) == pytest.approx(0, abs=1e-6)
    # One of six cells is sure.
    assert float(entropy(peak, cell=2)) == pytest.approx(math.log(4) * 5 / 6)


def test_padding_has_no_entropy_and_the_gradient_is_finite() -> None:
    logits = torch.zeros(1, 4, 6, requires_grad=True)
    valid = torch.zeros(1, 4, 6, dtype=torch.bool)
    valid[:, :2, :2] = True
    assert float(entropy(logits, valid)) == pytest.approx(math.log(4))
    cells = entropy(logits, valid, 2)
    assert float(cells) == pytest.approx(math.log(4))
    cells.backward()
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_what_is_left_over_at_the_edge_does_not_count() -> None:
    logits = torch.zeros(1, 5, 5)
    logits[:, :, 4] = 100.0
    assert float(entropy(logits, cell=2)) == pytest.approx(math.log(4))
