import math

import torch

from training.samplers.balanced_top_k import sample_balanced_top_k
from training.samplers.samples import restrict


def enumerate_best(logits: torch.Tensor, count: int, sigma: float, radius: int) -> list[tuple[int, int]]:
    """Weights, suppression and choice by loops over single pixels."""
    height, width = logits.shape
    p = logits.flatten().softmax(0).reshape(height, width).double()
    kernel = [math.exp(-(k**2) / (2 * sigma**2)) for k in range(-radius, radius + 1)]
    total = sum(kernel)
    weight = {}
    for y in range(height):
        for x in range(width):
            density = sum(
                float(p[v, u]) * kernel[v - y + radius] * kernel[u - x + radius] / total**2
                for v in range(max(0, y - radius), min(height, y + radius + 1))
                for u in range(max(0, x - radius), min(width, x + radius + 1))
            )
            weight[x, y] = float(p[y, x]) / math.sqrt(density + 1e-8)
    peaks = [
        place
        for place, value in weight.items()
        if all(value >= weight.get((place[0] + u, place[1] + v), 0) for u in (-1, 0, 1) for v in (-1, 0, 1))
    ]
    return sorted(peaks, key=lambda place: -weight[place])[:count]


def test_the_choice_is_that_of_the_enumeration_and_the_log_softmax_is_over_the_chosen() -> None:
    logits = 2 * torch.randn(1, 9, 11, generator=torch.Generator().manual_seed(1))
    samples = sample_balanced_top_k(logits, 5, sigma=1.5, radius=3)
    found = [(int(x), int(y)) for x, y in samples.keypoints[0]]
    assert found == enumerate_best(logits[0], 5, 1.5, 3)
    chosen = torch.stack([logits[0, y, x] for x, y in found])
    torch.testing.assert_close(samples.log_probabilities[0], chosen.log_softmax(0))
    assert math.isclose(float(samples.log_probabilities.exp().sum()), 1, rel_tol=1e-5)


def test_balance_prefers_a_lonely_peak_to_one_in_a_crowd() -> None:
    logits = torch.full((1, 40, 40), -8.0)
    for x, y in [(8, 8), (11, 8), (8, 11), (11, 11), (9, 14)]:
        logits[0, y, x] = 5.0
    logits[0, 30, 30] = 4.5
    assert sample_balanced_top_k(logits, 1, sigma=4.0, radius=12).keypoints[0, 0].tolist() == [30, 30]


def test_too_few_peaks_leave_rows_that_are_not_valid() -> None:
    valid = torch.zeros(1, 6, 6, dtype=torch.bool)
    valid[0, 2, 2] = valid[0, 2, 5] = True
    samples = sample_balanced_top_k(torch.randn(1, 6, 6), 4, valid)
    assert samples.valid.sum() == 2
    assert sorted(samples.keypoints[samples.valid].tolist()) == [[2, 2], [5, 2]]
    assert math.isclose(float(samples.log_probabilities[samples.valid].exp().sum()), 1, rel_tol=1e-5)
    assert not samples.log_probabilities[~samples.valid].any()


def test_restriction_normalises_over_what_is_kept() -> None:
    logits = torch.randn(2, 12, 12, requires_grad=True)
    samples = sample_balanced_top_k(logits, 6)
    keep = torch.tensor([[True, True, False, True, False, False], [False] * 6])
    kept = restrict(samples, keep)
    expected = samples.log_probabilities[0, [0, 1, 3]].log_softmax(0)
    torch.testing.assert_close(kept.log_probabilities[0, [0, 1, 3]], expected)
    assert kept.valid.tolist() == keep.tolist()
    kept.log_probabilities.sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and not logits.grad[1].any()
