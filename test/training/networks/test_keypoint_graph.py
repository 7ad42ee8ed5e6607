import pytest
import torch
import torch.nn.functional as F

from training.networks.detector_graph import pixel_rows, sample_descriptors
from training.networks.keypoint_graph import KeypointGraph
from training.networks.keypoint_network import KeypointNetwork, logit_map


@pytest.fixture
def network() -> KeypointNetwork:
    torch.manual_seed(0)
    network = KeypointNetwork(16, 16).eval()
    torch.nn.init.normal_(network.score.context.weight)
    return network


def test_the_graph_computes_what_the_network_does(network: KeypointNetwork) -> None:
    image = torch.randint(0, 255, (1, 1, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        keypoints, scores, descriptors = KeypointGraph(network, 8)(image)
        logits, described = network(image.float())
    torch.testing.assert_close(descriptors, sample_descriptors(described, keypoints), atol=1e-5, rtol=0)
    # Every score is the logit of a pixel near by: the one that the point was found at.
    whole = logit_map(logits)[0, 0].sigmoid()
    assert (scores > 0).all()
    for (x, y), score in zip(keypoints.round().int().tolist(), scores, strict=True):
        window = whole[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5]
        assert (window - score).abs().min() < 1e-5


def test_selected_blocks_are_the_plain_local_maxima(network: KeypointNetwork) -> None:
    best = torch.randn(1, 1, 32, 48)
    values, blocks = KeypointGraph(network, 20).select(best)
    peaks = torch.where(F.max_pool2d(best, 3, 1, 1) == best, best, -torch.inf)[..., 2:-2, 2:-2]
    torch.testing.assert_close(values, peaks.flatten().topk(20).values)
    torch.testing.assert_close(best[0, 0, blocks[:, 1], blocks[:, 0]], values)


def test_points_lie_where_the_pixels_around_a_block_say(network: KeypointNetwork) -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    likelihood = -((x - 40.3).square() + (y - 21.6).square()) / (2 * 0.6**2)
    blocks = F.pixel_unshuffle(likelihood[None, None], 2)
    # The sixth row of the window, 23, holds what the soft-argmax needs of this point of block (20, 10) no less.
    refined = KeypointGraph(network, 20).refine_blocks(pixel_rows(blocks), 48, torch.tensor([[20, 10], [20, 11]]))
    torch.testing.assert_close(refined, torch.tensor([[40.3, 21.6], [40.3, 21.6]]), atol=0.03, rtol=0)
