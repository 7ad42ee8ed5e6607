import torch

from training.samplers.multinomial import sample_multinomial

LOGITS = torch.tensor([[[0.0, 1.0, -1.0], [2.0, 0.5, 0.0]]])


def test_frequencies_and_log_probabilities_are_those_of_the_softmax() -> None:
    probabilities = LOGITS.flatten().softmax(0)
    samples = sample_multinomial(LOGITS, 20_000, generator=torch.Generator().manual_seed(0))
    pixel = (samples.keypoints[0, :, 1] * 3 + samples.keypoints[0, :, 0]).long()
    torch.testing.assert_close(samples.log_probabilities[0], probabilities.log()[pixel])
    frequency = torch.bincount(pixel, minlength=6) / 20_000
    # Four standard deviations of a share of 20 000 draws are below 0.0142.
    torch.testing.assert_close(frequency, probabilities, atol=0.0142, rtol=0)
    assert samples.valid.all() and samples.accepted.all()


def test_padding_is_never_drawn_and_has_no_share_of_the_probability() -> None:
    valid = torch.tensor([[[True, True, False], [False, True, True]]])
    samples = sample_multinomial(LOGITS, 500, valid)
    pixel = (samples.keypoints[0, :, 1] * 3 + samples.keypoints[0, :, 0]).long()
    assert set(pixel.tolist()) == {0, 1, 4, 5}
    expected = torch.tensor([0.0, 1.0, 0.5, 0.0]).log_softmax(0)
    lookup = {0: expected[0], 1: expected[1], 4: expected[2], 5: expected[3]}
    torch.testing.assert_close(samples.log_probabilities[0], torch.stack([lookup[k] for k in pixel.tolist()]))


def test_unnormalised_log_probabilities_are_the_logits_themselves() -> None:
    samples = sample_multinomial(LOGITS, 50, normalise=False)
    x, y = samples.keypoints[0].long().T
    assert torch.equal(samples.log_probabilities[0], LOGITS[0, y, x])


def test_an_image_of_padding_alone_has_no_draws_and_no_gradient() -> None:
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    samples = sample_multinomial(logits, 4, torch.zeros(1, 2, 3, dtype=torch.bool))
    assert not samples.valid.any()
    samples.log_probabilities.sum().backward()
    assert logits.grad is not None and not logits.grad.any()


def test_the_gradient_is_that_of_the_softmax() -> None:
    logits = LOGITS.clone().requires_grad_()
    samples = sample_multinomial(logits, 1, generator=torch.Generator().manual_seed(3))
    samples.log_probabilities.sum().backward()
    x, y = samples.keypoints[0, 0].long().tolist()
    expected = -LOGITS.flatten().softmax(0).reshape(2, 3)
    expected[y, x] += 1
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], expected)
