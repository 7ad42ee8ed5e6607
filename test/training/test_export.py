from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from kp_ros.detectors.exported import ExportedDetector
from kp_ros.detectors.model_file import METADATA, read_model
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from training.export import ExportError, export
from training.networks import keypoint_graph
from training.networks.keypoint_network import KeypointNetwork

#: What TensorRT does not parse, or parses wrongly (../shared/deployment.md, docs/models.md).
FORBIDDEN = {"NonZero", "NonMaxSuppression", "Unique", "GridSample", "DeformConv", "Floor", "If", "Loop"}


@pytest.fixture(scope="module")
def network() -> KeypointNetwork:
    """Random weights, but batch statistics and responses of a working order."""
    torch.manual_seed(0)
    network = KeypointNetwork()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    # What varies from cell to cell must not drown what varies from pixel to pixel, or there are no local maxima.
    nn.init.normal_(network.score.context.weight, std=1e-3)
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 1, 96, 96) * 255)
    return network.eval()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k, size in enumerate([(200, 150), (330, 250)]):
        picture = cv2.resize(rng.integers(0, 255, (100, 130), np.uint8), size, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{k}.png"), picture)
    return sorted(folder.iterdir())


def test_the_exported_file_describes_itself_and_builds_anywhere(
    network: KeypointNetwork, images: list[Path], tmp_path: Path
) -> None:
    file = tmp_path / "small.onnx"
    metadata = {"name": "small", "method": "random", "data": "none", "licence": "Apache-2.0"}
    agreement = export(network, file, metadata, images, max_keypoints=256)
    assert agreement.images == 2 and agreement.shared > 0.99
    model = read_model(file)
    assert set(METADATA) <= set(model.metadata) and model.metadata["commit"]
    graph = onnx.load(file)
    assert not {node.op_type for node in graph.graph.node} & FORBIDDEN
    assert {node.domain for node in graph.graph.node} == {""}
    assert [entry.version for entry in graph.opset_import if entry.domain == ""] == [18]
    assert list(tmp_path.iterdir()) == [file]
    detector = ExportedDetector(model, OnnxRuntimeBackend(), max_keypoints=100)
    for shape in [(97, 130), (480, 640), (33, 33)]:
        features = detector(np.random.default_rng(1).integers(0, 255, shape, np.uint8))
        assert 0 < len(features) <= 100
        assert (features.keypoints < np.array(shape[::-1])).all()


def test_a_model_that_differs_from_torch_is_not_written(
    network: KeypointNetwork, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = keypoint_graph.unit
    traced = []

    def differs_when_traced(rows: torch.Tensor) -> torch.Tensor:
        traced.append(torch.compiler.is_exporting())
        return plain(rows.flip(1) if traced[-1] else rows)

    monkeypatch.setattr(keypoint_graph, "unit", differs_when_traced)
    with pytest.raises(ExportError, match="was not written"):
        export(network, tmp_path / "wrong.onnx", {"name": "wrong", "method": "random"}, images)
    assert any(traced)
    assert list(tmp_path.iterdir()) == []
