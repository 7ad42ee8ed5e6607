"""The shipped model in eight bits: what is in the file, who takes it, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from kp_ros import simulation
from kp_ros.detectors import load_detector
from kp_ros.detectors.model_file import ModelFile, find_model, read_model
from kp_ros.detectors.openvino import OpenVinoBackend
from kp_ros.detectors.tensorrt import engine_precision, graph_of
from kp_ros.detectors.tensorrt_building import build_engine
from training.__main__ import app
from training.data.guard import fingerprint, model_fingerprints
from training.quantise import QuantisationError, quantise

PICTURES = sorted((Path(simulation.__file__).parent / "pictures").glob("*.jpg"))[:3]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made as a user makes it."""
    folder = tmp_path_factory.mktemp("int8")
    (folder / "photos").mkdir()
    for picture in PICTURES:
        (folder / "photos" / picture.name).symlink_to(picture)
    output = folder / "kp_small.onnx"
    run = CliRunner().invoke(app, ["quantise", "kp_base", str(output), "--images", str(folder / "photos")])
    assert run.exit_code == 0, run.output
    return output


@pytest.fixture(scope="module")
def model(file: Path) -> ModelFile:
    return read_model(file)


def test_the_twin_says_what_it_is_and_whose(model: ModelFile) -> None:
    parent = read_model(find_model("kp_base"))
    assert model.precision == model.metadata["precision"] == "int8" and model.name == "kp_small"
    assert model.metadata["parent"] == parent.sha256
    assert model.metadata["licence"] == parent.metadata["licence"]
    assert len(model.content) < 0.4 * len(parent.content)


def test_neither_its_parents_photographs_nor_its_own_may_judge_it(model: ModelFile) -> None:
    trained = model_fingerprints(model.path, dict(model.metadata))
    parent = read_model(find_model("kp_base"))
    inherited = model_fingerprints(parent.path, dict(parent.metadata))
    assert trained is not None and inherited is not None and trained.nearest(inherited.values).max() == 0
    own = fingerprint(cv2.imread(str(PICTURES[0]), cv2.IMREAD_GRAYSCALE))
    assert own is not None and trained.nearest(own[None])[0] == 0 < inherited.nearest(own[None])[0]


def test_convolutions_alone_are_rounded_symmetrically_and_each_channel_for_itself(model: ModelFile) -> None:
    graph = onnx.load_model_from_string(model.content).graph
    made = {name: node for node in graph.node for name in node.output}
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = {node.op_type for node in graph.node for name in node.input if name.endswith("DequantizeLinear_Output")}
    assert readers == {"Conv", "Add"}, "convolutions, and the shortcuts around them"
    heads = [node for node in graph.node if node.op_type in ("DepthToSpace", "MaxPool", "MatMul", "TopK")]
    assert all(made[name].op_type != "DequantizeLinear" for node in heads for name in node.input if name in made)
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert values[node.input[2]].dtype == np.int8 and not values[node.input[2]].any()
        if node.op_type == "Conv":
            weights, scales = (values[name] for name in made[node.input[1]].input[:2])
            assert weights.dtype == np.int8 and scales.shape == weights.shape[:1]
            assert values[node.input[2]].dtype == np.float32, "TensorRT wants the bias as it is"


def test_every_backend_publishes_what_it_really_computes_in(file: Path) -> None:
    image = cv2.resize(cv2.imread(str(PICTURES[1]), cv2.IMREAD_GRAYSCALE), (320, 256))
    expected = load_detector(backend="onnxruntime", max_keypoints=200)(image)
    for backend in ("onnxruntime", "openvino"):
        if backend == "openvino" and OpenVinoBackend().missing:
            continue
        detector = load_detector(file, backend, max_keypoints=200)
        found = detector(image)
        assert detector.info.precision == "int8"
        distance = np.linalg.norm(expected.keypoints[:, None] - found.keypoints[None], axis=2).min(1)
        assert (distance < 1).mean() > 0.8
        detector.close()


def test_tensorrt_builds_it_for_every_card(model: ModelFile) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx-cu13 (x86-64 only)")
    assert engine_precision(model, "fp16") == engine_precision(model, "fp32") == "int8"
    engine = build_engine(trt, graph_of(model, 480, 640, 1024, "int8"), None, ("8.6", "8.9", "12.0"))
    assert len(engine) > 100_000


def test_what_cannot_be_quantised_is_refused(model: ModelFile, tmp_path: Path) -> None:
    parent, output = read_model(find_model("kp_base")), tmp_path / "out.onnx"
    with pytest.raises(QuantisationError, match="is int8; quantise the fp32 model"):
        quantise(model, output, PICTURES)
    with pytest.raises(QuantisationError, match="2 images are too few"):
        quantise(parent, output, PICTURES[:2])
    (tmp_path / "no.jpg").write_text("no image")
    with pytest.raises(QuantisationError, match=r"no\.jpg cannot be read"):
        quantise(parent, output, [*PICTURES[:2], tmp_path / "no.jpg"])
    assert not output.exists()


def test_a_twin_that_finds_something_else_is_not_written(tmp_path: Path) -> None:
    """Calibrated on black images, every activation is cut off."""
    black = tmp_path / "black.png"
    assert cv2.imwrite(str(black), np.zeros((480, 640), np.uint8))
    parent, output = read_model(find_model("kp_base")), tmp_path / "out.onnx"
    with pytest.raises(QuantisationError, match="differs too much"):
        quantise(parent, output, [black, black, PICTURES[0]])
    assert not list(tmp_path.glob("*.onnx"))
