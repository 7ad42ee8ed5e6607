import torch

from training.regularisers.keypoint_cost import keypoint_reward
from training.samplers.samples import Samples


def samples(log_probabilities: list[float], accepted: list[bool]) -> Samples:
    values = torch.tensor([log_probabilities])
    return Samples(torch.zeros(1, 3, 2), values, torch.ones(1, 3, dtype=torch.bool), torch.tensor([accepted]))


def test_only_accepted_points_count() -> None:
    found = keypoint_reward(
        [samples([-1.0, -2.0, -9.0], [True, True, False]), samples([-6.0] * 3, [True, False, False])]
    )
    assert float(found) == 1.5
    assert float(keypoint_reward([samples([-1.0] * 3, [False] * 3)])) == 0


def test_the_expected_gradient_is_that_of_the_number_of_accepted_points() -> None:
    """By enumeration of one cell's outcomes: the reward is epsilon an accepted point, the loss minus its mean."""
    logits = torch.tensor([0.5, -1.0, 0.2, 1.5], dtype=torch.float64, requires_grad=True)
    total = torch.zeros(4, dtype=torch.float64)
    for place in range(4):
        for accepted in (True, False):
            signed = logits[place] if accepted else -logits[place]
            log_p = (logits.log_softmax(0)[place] + torch.nn.functional.logsigmoid(signed)).reshape(1, 1)
            answer = torch.tensor([[accepted]])
            drawn = Samples(torch.zeros(1, 1, 2), log_p, torch.ones_like(answer), answer)
            (gradient,) = torch.autograd.grad(-0.5 * keypoint_reward([drawn]), logits)
            total += log_p.detach().exp()[0, 0] * gradient
    expected = (logits.softmax(0) * logits.sigmoid()).sum()
    torch.testing.assert_close(total, torch.autograd.grad(0.5 * expected, logits)[0])
