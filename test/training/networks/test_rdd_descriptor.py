from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch

from kp_ros.detectors import load_detector
from training.export import export
from training.methods.freezing import descriptor_parameters
from training.networks.convnext import BASE_CHANNELS, BASE_DEPTHS, ConvNext
from training.networks.deformable_attention import (
    DeformableAttention,
    cell_centres,
    interpolate_plainly,
    sine_encoding,
)
from training.networks.rdd_descriptor import RddNetwork

TINY = {
    "width": 4,
    "depths": [1, 1, 1, 1],
    "channels": [8, 8, 12, 16],
    "descriptor_size": 16,
    "layers": 1,
    "heads": 2,
    "places": 2,
}


def tiny(**changes: object) -> RddNetwork:
    """Attention that looks at many places, all outside cells' centres, some outside the image."""
    torch.manual_seed(0)
    network = RddNetwork(**(TINY | changes))  # type: ignore[arg-type]
    for module in network.modules():
        if isinstance(module, DeformableAttention):
            torch.nn.init.normal_(module.offsets.weight, std=2.0)
            torch.nn.init.normal_(module.weights.weight)
    with torch.no_grad():
        for _ in range(20):
            network(255 * torch.rand(2, 1, 64, 64))
    return network.eval()


def test_the_backbone_is_convnext_b_with_its_published_names() -> None:
    with torch.device("meta"):
        backbone = ConvNext(BASE_DEPTHS, BASE_CHANNELS)
        sizes = [tuple(scale.shape[1:]) for scale in backbone(torch.empty(1, 3, 64, 96))]
    assert sizes == [(128, 16, 24), (256, 8, 12), (512, 4, 6), (1024, 2, 3)]
    names = {name: tuple(value.shape) for name, value in backbone.state_dict().items()}
    # ConvNeXt-B has 88.6 M parameters, of which the classifier has 1 025 000 and the last normalisation 2048.
    assert sum(int(np.prod(shape)) for shape in names.values()) == 88_591_464 - 1_025_000 - 2048
    assert names["stages.2.26.dwconv.weight"] == (512, 1, 7, 7)
    assert names["stages.3.0.gamma"] == (1024,)
    assert names["downsample_layers.0.1.weight"] == (128,)
    assert names["downsample_layers.3.1.weight"] == (1024, 512, 2, 2)


def test_published_weights_are_taken_without_what_is_behind_the_last_stage() -> None:
    torch.manual_seed(0)
    one, two = ConvNext((1, 1), (4, 8)), ConvNext((1, 1), (4, 8))
    two.load_public(one.state_dict() | {"norm.weight": torch.zeros(8), "norms.3.weight": torch.zeros(8)})
    images = torch.rand(1, 3, 32, 32)
    assert all(torch.equal(a, b) for a, b in zip(one(images), two(images), strict=True))


def test_attention_mixes_what_its_heads_look_at() -> None:
    """With offset 0 and even weights, what comes out is the mean over the scales of their values at the cell."""
    torch.manual_seed(0)
    attention = DeformableAttention(4, 2, 1, 3)
    torch.nn.init.zeros_(attention.offsets.bias)
    for linear in (attention.values, attention.output):
        torch.nn.init.eye_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    fine, coarse = torch.randn(1, 4, 4, 6), torch.full((1, 4, 2, 3), 2.0)
    centres = cell_centres(fine)
    found = attention(torch.randn(1, len(centres), 4), centres, [fine, coarse])
    # The second row's third cell: well inside both maps.
    torch.testing.assert_close(found[0, 1 * 6 + 2], (fine[0, :, 1, 2] + 2) / 2)


def test_gathers_give_the_same_descriptors_and_gradients() -> None:
    network = tiny()
    images = 255 * torch.rand(1, 1, 64, 96)
    results = []
    for plainly in (False, True):
        if plainly:
            interpolate_plainly(network)
        network.zero_grad()
        _, descriptors = network(images)
        descriptors.square().mean().backward()
        gradients = [p.grad.clone() for p in network.describe.parameters() if p.grad is not None]
        results.append((descriptors.detach(), gradients))
    (by_grid, one), (by_gathers, two) = results
    assert by_grid.shape == (1, 16, 16, 24)
    torch.testing.assert_close(by_grid, by_gathers, atol=1e-5, rtol=1e-4)
    assert len(one) == len(two) > 20
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)


def test_places_differ_by_their_encoding() -> None:
    encoded = sine_encoding(cell_centres(torch.zeros(1, 1, 8, 8)), 16)
    assert encoded.shape == (64, 16)
    assert float(torch.cdist(encoded, encoded).add(torch.eye(64)).min()) > 0.05


def test_detector_and_descriptor_share_nothing() -> None:
    network = tiny()
    of_descriptors = {id(parameter) for parameter in descriptor_parameters(network)}
    assert of_descriptors == {id(parameter) for parameter in network.describe.parameters()}
    logits, _ = network(255 * torch.rand(1, 3, 64, 64))
    assert logits.shape == (1, 64, 8, 8)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.score.parameters())
    assert all(parameter.grad is None for parameter in network.describe.parameters())


def test_it_exports_without_an_operator_of_its_own_and_runs(tmp_path: Path) -> None:
    picture = cv2.resize(np.random.default_rng(0).integers(0, 255, (16, 20), np.uint8), (160, 128))
    cv2.imwrite(str(tmp_path / "image.png"), picture)
    metadata = {"name": "tiny", "method": "traqpoint", "data": "none", "licence": "Apache-2.0"}
    # Compares the gathers in ONNX with torch; two scales, since the exporter takes long.
    export(
        tiny(depths=[1, 1], channels=[8, 12]),
        tmp_path / "tiny.onnx",
        metadata,
        [tmp_path / "image.png"],
        max_keypoints=32,
    )
    graph = onnx.load(tmp_path / "tiny.onnx").graph
    assert {node.domain for node in graph.node} == {""}
    assert not {node.op_type for node in graph.node} & {"GridSample", "Loop", "If", "Floor"}
    features = load_detector(tmp_path / "tiny.onnx")(picture[:97, :130])
    assert 0 < len(features) <= 32 and features.descriptors.shape[1] == 16


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_images_are_taken(channels: int) -> None:
    with torch.no_grad():
        logits, descriptors = tiny()(255 * torch.rand(1, channels, 64, 64))
    assert bool(logits.isfinite().all()) and bool(descriptors.isfinite().all())
