import torch

from training.geometry.matching import mutual_matches
from training.samplers.matches import dual_softmax, sample_matches

DISTANCE = torch.tensor([[[0.9, 0.1, 0.8], [0.2, 0.9, 0.7], [0.3, 0.9, 0.9]]])


def test_frequencies_and_log_probabilities_are_a_softmax_over_the_matches() -> None:
    matches = mutual_matches(DISTANCE)
    expected = torch.tensor([-0.1, -0.2]).softmax(0)
    samples = sample_matches(DISTANCE, matches, 5000.0, torch.Generator().manual_seed(0))
    assert samples.first.shape == (1, 10_000) and samples.valid.all()
    frequency = torch.bincount(samples.first[0], minlength=3) / 10_000
    torch.testing.assert_close(frequency[:2], expected, atol=0.02, rtol=0)
    assert frequency[2] == 0
    torch.testing.assert_close(samples.log_probabilities[0], expected.log()[samples.first[0]])


def test_pairs_draw_half_of_their_own_matches() -> None:
    distance = torch.stack([torch.ones(8, 8).fill_diagonal_(0.1), torch.ones(8, 8).fill_diagonal_(0.1)])
    matches = mutual_matches(distance, torch.arange(8)[None] < torch.tensor([[8], [0]]))
    samples = sample_matches(distance, matches)
    assert samples.valid.sum(1).tolist() == [4, 0]
    assert not samples.log_probabilities[1].any()


def test_dual_softmax_multiplies_rows_by_columns() -> None:
    log_probability = dual_softmax(DISTANCE, 5.0)
    rows, columns = (-5 * DISTANCE).softmax(2), (-5 * DISTANCE).softmax(1)
    torch.testing.assert_close(log_probability.exp(), rows * columns)


def test_pairs_that_take_no_part_have_no_share() -> None:
    takes_part = torch.tensor([[[True, True, False], [True, True, False], [False, False, False]]])
    probability = dual_softmax(DISTANCE, 5.0, takes_part).exp()
    torch.testing.assert_close(probability[:, :2, :2], dual_softmax(DISTANCE[:, :2, :2], 5.0).exp())
    assert not probability[~takes_part].any()
