import torch
import torch.nn.functional as F

from training.networks.keypoint_network import KeypointNetwork, logit_map, probability_map, spread, standardise


def test_the_network_is_small_and_has_the_promised_shapes() -> None:
    network = KeypointNetwork()
    assert sum(parameter.numel() for parameter in network.parameters()) <= 1_000_000
    logits, descriptors = network(torch.rand(2, 1, 64, 96) * 255)
    assert logits.shape == (2, 4, 32, 48)
    assert descriptors.shape == (2, 64, 8, 12)


def test_logits_move_with_the_image() -> None:
    """What a cell-wise head cannot do: by two pixels, or any even number, not by eight alone."""
    torch.manual_seed(0)
    network = KeypointNetwork(8, 16).eval()
    image = torch.rand(1, 1, 70, 96)

    def local(part: torch.Tensor) -> torch.Tensor:
        return network.score.local(network.trunk(part)[0])

    with torch.no_grad():
        here, there = local(image[..., :64, :]), local(image[..., 2:66, :])
    torch.testing.assert_close(here[..., 5:-5, 5:-5], there[..., 4:-6, 5:-5])


def test_spreading_is_a_mean_and_an_interpolation() -> None:
    context = torch.randn(2, 1, 6, 9)
    smooth = F.avg_pool2d(context, 3, 1, 1, count_include_pad=False)
    expected = F.interpolate(smooth, scale_factor=4.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(spread(context), expected)


def test_blocks_come_out_as_a_map() -> None:
    assert logit_map(torch.zeros(2, 64, 8, 12)).shape == (2, 1, 64, 96)
    assert logit_map(torch.zeros(2, 1, 8, 12)).shape == (2, 1, 8, 12)


def test_exposure_and_contrast_do_not_matter_much() -> None:
    image = torch.rand(1, 1, 64, 64) * 100 + 50
    brighter = image * 1.5 + 20
    assert torch.allclose(standardise(image), standardise(brighter), atol=0.15)


def test_probabilities_of_a_cell_and_none_sum_to_one() -> None:
    logits = torch.zeros(1, 1, 8, 8)
    logits[0, 0, 1, 2] = 3.0
    probabilities = probability_map(logits)
    norm = torch.exp(torch.tensor(3.0)) + 63 + 1
    assert torch.isclose(probabilities[0, 0, 1, 2], torch.exp(torch.tensor(3.0)) / norm)
    assert torch.isclose(1 - probabilities.sum(), 1 / norm, atol=1e-6)
