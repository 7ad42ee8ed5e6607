from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

from kp_ros.detectors import load_detector
from training.export import export
from training.geometry.image_plane import sample_map
from training.networks.graphs import make_graph
from training.networks.hyper_column import HyperColumn, HyperColumnGraph, HyperColumnNetwork, HyperColumnPolicy
from training.networks.keypoint_network import KeypointNetwork
from training.precision import Precision

TINY = {"scales": [[4], [6], [8, 8], [10]], "blocks": 1, "descriptor_size": 12}


@pytest.fixture(scope="module")
def network() -> HyperColumnNetwork:
    """Random weights, but batch statistics of a working order."""
    torch.manual_seed(0)
    network = HyperColumnNetwork(**TINY)  # type: ignore[arg-type]
    with torch.no_grad():
        for _ in range(20):
            network(255 * torch.rand(2, 1, 64, 64))
    return network.eval()


def test_a_column_is_a_1_x_1_convolution_of_all_scales_brought_to_full_resolution() -> None:
    torch.manual_seed(0)
    features = [torch.randn(1, 3, 16, 24), torch.randn(1, 4, 8, 12), torch.randn(1, 5, 4, 6)]
    column = HyperColumn((3, 4, 5), 7)
    whole = torch.cat([features[0], *(F.interpolate(f, (16, 24), mode="bilinear") for f in features[1:])], 1)
    described = F.conv2d(whole, column.project.weight[:, :, None, None], column.project.bias)
    # Away from the edge, where interpolation has neighbours on all sides.
    points = torch.tensor([[[4.0, 4], [11, 5], [19, 11]]])
    torch.testing.assert_close(column(features, points), sample_map(described, points), atol=1e-5, rtol=1e-5)


def test_the_map_of_descriptors_has_those_of_the_cells_centres(network: HyperColumnNetwork) -> None:
    images = 255 * torch.rand(1, 1, 32, 40)
    with torch.no_grad():
        _, dense = network(images)
        maps = HyperColumnPolicy(network)(images[:, None])
        centre = maps.descriptors_at(0, torch.tensor([[[8 * 3 + 3.5, 8 * 2 + 3.5]]]))
    assert dense.shape == (1, 12, 4, 5)
    torch.testing.assert_close(F.normalize(dense[0, :, 2, 3], dim=0), centre[0, 0], atol=1e-5, rtol=1e-5)


def test_the_policy_describes_each_frame_by_its_own_features(network: HyperColumnNetwork) -> None:
    images = 255 * torch.rand(2, 3, 1, 32, 32)
    points = 4 + 20 * torch.rand(2, 5, 2)
    with torch.no_grad():
        maps = HyperColumnPolicy(network)(images)
        alone = HyperColumnPolicy(network)(images[:, 1:2])
    assert maps.logits.shape == (2, 3, 32, 32)
    torch.testing.assert_close(maps.descriptors_at(1, points), alone.descriptors_at(0, points), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.descriptors_at(1, points).norm(dim=-1), torch.ones(2, 5))


def test_half_precision_does_not_move_the_points(network: HyperColumnNetwork) -> None:
    """bf16 would round coordinates of a wide image to several pixels."""
    images = 255 * torch.rand(1, 1, 1, 32, 512)
    points = torch.tensor([[[499.0, 11.0], [300.0, 20.0]]])
    with torch.no_grad():
        whole = HyperColumnPolicy(network)(images).descriptors_at(0, points)
        half = HyperColumnPolicy(network, Precision.BF16)(images).descriptors_at(0, points)
    assert float((whole * half).sum(-1).min()) > 0.999


def test_it_exports_the_descriptors_of_the_keypoints_and_runs(network: HyperColumnNetwork, tmp_path: Path) -> None:
    picture = cv2.resize(np.random.default_rng(0).integers(0, 255, (16, 20), np.uint8), (160, 128))
    cv2.imwrite(str(tmp_path / "image.png"), picture)
    metadata = {"name": "tiny", "method": "ripe", "data": "none", "licence": "Apache-2.0"}
    export(network, tmp_path / "tiny.onnx", metadata, [tmp_path / "image.png"], max_keypoints=32)
    assert not {node.op_type for node in onnx.load(tmp_path / "tiny.onnx").graph.node} & {"GridSample", "Loop", "If"}
    features = load_detector(tmp_path / "tiny.onnx")(picture)
    assert len(features) == 32
    with torch.no_grad():
        maps = HyperColumnPolicy(network)(torch.from_numpy(picture)[None, None, None].float())
        truth = maps.descriptors_at(0, torch.from_numpy(features.keypoints)[None])[0]
    assert float((truth * torch.from_numpy(features.descriptors)).sum(1).min()) > 0.999


def test_the_graph_is_the_networks(network: HyperColumnNetwork) -> None:
    assert isinstance(make_graph(network, 16), HyperColumnGraph)
    assert not isinstance(make_graph(KeypointNetwork(16, 16), 16), HyperColumnGraph)
