from itertools import product

import torch

from training.samplers.grid_and_global import sample_grid_and_global

LOGITS = torch.tensor([[[0.5, -1.0, 1.0, 0.0], [0.0, 1.5, -0.5, 0.8]]])


def enumerate_sets() -> dict[tuple[int, int, int], float]:
    """Probability of every (grid left, grid right, global) triple of pixel numbers."""
    flat = LOGITS.flatten().double()
    left, right = [0, 1, 4, 5], [2, 3, 6, 7]
    result = {}
    for a, b in product(left, right):
        cell = flat[left].softmax(0)[left.index(a)] * flat[right].softmax(0)[right.index(b)]
        rest = [k for k in range(8) if k not in (a, b)]
        for k, p in zip(rest, flat[rest].softmax(0), strict=True):
            result[a, b, k] = float(cell * p)
    return result


def test_frequencies_are_those_of_the_enumeration() -> None:
    expected = enumerate_sets()
    assert abs(sum(expected.values()) - 1) < 1e-9
    count = 20_000
    samples = sample_grid_and_global(
        LOGITS.expand(count, -1, -1), 1, cell=2, generator=torch.Generator().manual_seed(0)
    )
    pixel = (samples.keypoints[..., 1] * 4 + samples.keypoints[..., 0]).long()
    seen: dict[tuple[int, ...], int] = {}
    for row in pixel.tolist():
        seen[tuple(row)] = seen.get(tuple(row), 0) + 1
    assert set(seen) <= set(expected)
    for key, p in expected.items():
        assert abs(seen.get(key, 0) / count - p) < 4 * (p * (1 - p) / count) ** 0.5 + 1e-4


def test_every_log_probability_is_that_of_the_whole_image() -> None:
    samples = sample_grid_and_global(LOGITS, 3, cell=2)
    pixel = (samples.keypoints[0, :, 1] * 4 + samples.keypoints[0, :, 0]).long()
    assert len(set(pixel.tolist())) == 5
    torch.testing.assert_close(samples.log_probabilities[0], LOGITS.flatten().log_softmax(0)[pixel])


def test_padding_is_never_drawn() -> None:
    valid = torch.zeros(1, 2, 4, dtype=torch.bool)
    valid[0, :, :2] = True
    samples = sample_grid_and_global(LOGITS, 5, cell=2, valid=valid)
    # One of the left cell, none of the right; three pixels are left for five global draws.
    assert samples.valid.tolist() == [[True, False, True, True, True, False, False]]
    assert (samples.keypoints[samples.valid][:, 0] < 2).all()


def test_points_of_the_grid_can_have_the_probability_of_their_draw() -> None:
    samples = sample_grid_and_global(LOGITS, 1, cell=2, over_image=False)
    left, right, anywhere = (samples.keypoints[0, :, 1] * 4 + samples.keypoints[0, :, 0]).long().tolist()
    flat = LOGITS.flatten()
    expected = [
        flat[[0, 1, 4, 5]].log_softmax(0)[[0, 1, 4, 5].index(left)],
        flat[[2, 3, 6, 7]].log_softmax(0)[[2, 3, 6, 7].index(right)],
        flat.log_softmax(0)[anywhere],
    ]
    torch.testing.assert_close(samples.log_probabilities[0], torch.stack(expected))
