import math

import torch

from training.samplers.cells import sample_cells

#: Two cells of 2 x 2, and a column that belongs to no whole cell.
LOGITS = torch.tensor([[[0.3, -1.0, 2.0, 0.0, 9.0], [1.0, 0.0, -0.5, 0.5, 9.0]]])
CELLS = [torch.tensor([0.3, -1.0, 1.0, 0.0]), torch.tensor([2.0, 0.0, -0.5, 0.5])]


def outcome(keypoint: torch.Tensor, cell: int) -> int:
    return int(keypoint[1] * 2 + keypoint[0] - 2 * cell)


def exact(cell: int, place: int, accepted: bool) -> float:
    logit = CELLS[cell][place].item()
    sigmoid = 1 / (1 + math.exp(-logit))
    return CELLS[cell].softmax(0)[place].item() * (sigmoid if accepted else 1 - sigmoid)


def test_the_outcomes_probabilities_sum_to_one() -> None:
    for cell in range(2):
        assert math.isclose(sum(exact(cell, k, a) for k in range(4) for a in (True, False)), 1, rel_tol=1e-6)


def test_frequencies_and_log_probabilities_are_those_of_the_enumeration() -> None:
    count = 20_000
    samples = sample_cells(LOGITS.expand(count, -1, -1), 2, generator=torch.Generator().manual_seed(0))
    assert samples.keypoints.shape == (count, 2, 2) and samples.valid.all()
    seen: dict[tuple[int, int, bool], int] = {}
    for b in range(count):
        for cell in range(2):
            key = (cell, outcome(samples.keypoints[b, cell], cell), bool(samples.accepted[b, cell]))
            seen[key] = seen.get(key, 0) + 1
            if b < 200:
                assert math.isclose(float(samples.log_probabilities[b, cell]), math.log(exact(*key)), abs_tol=1e-5)
    for cell in range(2):
        for k in range(4):
            for accepted in (True, False):
                share = seen.get((cell, k, accepted), 0) / count
                assert abs(share - exact(cell, k, accepted)) < 0.0142


def test_points_near_the_border_take_no_part_and_keep_their_log_probability() -> None:
    samples = sample_cells(torch.full((1, 8, 8), 20.0), 2, border=2)
    x, y = samples.keypoints[0].T
    inner = (x >= 2) & (x <= 5) & (y >= 2) & (y <= 5)
    assert torch.equal(samples.accepted[0], inner) and samples.valid.all()
    assert (samples.log_probabilities < -1).all()


def test_padding_is_not_drawn_and_empty_cells_are_not_valid() -> None:
    valid = torch.tensor([[[True, False, False, False, True], [False, True, False, False, True]]])
    samples = sample_cells(LOGITS.expand(100, -1, -1), 2, valid.expand(100, -1, -1))
    assert samples.valid[:, 0].all() and not samples.valid[:, 1].any() and not samples.accepted[:, 1].any()
    assert {outcome(k, 0) for k in samples.keypoints[:, 0]} == {0, 3}
    assert not samples.log_probabilities[:, 1].any()
    share = torch.tensor([0.3, 0.0]).log_softmax(0)
    first = samples.keypoints[:, 0, 0] == 0
    logit = torch.where(first, 0.3, 0.0)
    signed = torch.where(samples.accepted[:, 0], logit, -logit)
    expected = torch.where(first, share[0], share[1]) + torch.nn.functional.logsigmoid(signed)
    torch.testing.assert_close(samples.log_probabilities[:, 0], expected)
