import pytest
import torch
from torch import Tensor, nn

from training.networks.keypoint_network import KeypointNetwork, probability_map
from training.policy import Policy, PolicyMaps, cell_log_probabilities
from training.precision import Precision


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_frames_pass_through_one_network_and_come_out_as_maps(precision: Precision) -> None:
    torch.manual_seed(0)
    network = KeypointNetwork(16, 16).eval()
    images = torch.rand(2, 3, 1, 32, 64) * 255
    maps = Policy(network, precision).eval()(images)
    assert maps.logits.shape == (2, 3, 32, 64) and maps.logits.dtype == torch.float32
    assert maps.descriptors is not None and maps.descriptors.shape == (2, 3, 16, 4, 8) and maps.stride == 8
    logits, descriptors = network(images[1, 2:])
    tolerance = 1e-4 if precision is Precision.FP32 else 0.2
    # Row 3 and column 8 of the image: the third channel of row 1 and column 4.
    torch.testing.assert_close(maps.logits[1, 2:, 3, 8], logits[:, 2, 1, 4], atol=tolerance, rtol=0)
    torch.testing.assert_close(maps.descriptors[1, 2:], descriptors, atol=tolerance, rtol=0)
    described = maps.descriptors_at(2, torch.tensor([[[3.5, 3.5]], [[11.5, 19.5]]]))
    torch.testing.assert_close(described.norm(dim=-1), torch.ones(2, 1))
    torch.testing.assert_close(described[1, 0], nn.functional.normalize(maps.descriptors[1, 2, :, 2, 1], dim=0))


def test_a_frozen_descriptor_network_does_not_move() -> None:
    descriptor = KeypointNetwork(16, 16)
    before = {name: value.clone() for name, value in descriptor.state_dict().items()}
    policy = Policy(KeypointNetwork(8, 8), descriptor_network=descriptor).train()
    maps = policy(torch.rand(1, 2, 1, 32, 32) * 255)
    assert maps.descriptors is not None and maps.descriptors.shape[2] == 16 and not maps.descriptors.requires_grad
    assert maps.logits.requires_grad and policy.network.training and not descriptor.training
    assert all(torch.equal(before[name], value) for name, value in descriptor.state_dict().items())


def test_a_detector_without_descriptors_says_so() -> None:
    class Detector(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, None]:
            return images.mean(1, keepdim=True), None

    maps = Policy(Detector())(torch.rand(1, 2, 3, 8, 8))
    assert maps == PolicyMaps(maps.logits)
    with pytest.raises(ValueError, match="no descriptors"):
        maps.descriptors_at(0, torch.zeros(1, 1, 2))


def test_cell_probabilities_are_the_networks_own() -> None:
    image = torch.randn(2, 24, 32)
    torch.testing.assert_close(cell_log_probabilities(image).exp(), probability_map(image[:, None])[:, 0])
    without = cell_log_probabilities(image, none=False).exp()
    torch.testing.assert_close(nn.functional.avg_pool2d(without, 8) * 64, torch.ones(2, 3, 4))
