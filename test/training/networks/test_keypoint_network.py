import torch

from training.networks.keypoint_network import KeypointNetwork, logit_map, probability_map, standardise


def test_the_network_is_small_and_has_the_promised_shapes() -> None:
    network = KeypointNetwork()
    assert sum(parameter.numel() for parameter in network.parameters()) <= 1_000_000
    logits, descriptors = network(torch.rand(2, 1, 64, 96) * 255)
    assert logits.shape == (2, 64, 8, 12)
    assert descriptors.shape == (2, 64, 8, 12)
    assert logit_map(logits).shape == (2, 1, 64, 96)


def test_exposure_and_contrast_do_not_matter_much() -> None:
    image = torch.rand(1, 1, 64, 64) * 100 + 50
    brighter = image * 1.5 + 20
    assert torch.allclose(standardise(image), standardise(brighter), atol=0.15)


def test_probabilities_of_a_cell_and_none_sum_to_one() -> None:
    logits = torch.zeros(1, 64, 1, 1)
    logits[0, 10] = 3.0
    probabilities = probability_map(logits)
    norm = torch.exp(torch.tensor(3.0)) + 63 + 1
    assert torch.isclose(probabilities[0, 0, 1, 2], torch.exp(torch.tensor(3.0)) / norm)
    assert torch.isclose(1 - probabilities.sum(), 1 / norm, atol=1e-6)
