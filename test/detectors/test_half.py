from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from kp_ros.detectors.half import network_nodes, to_half
from kp_ros.detectors.model_file import find_model, read_model
from kp_ros.resources import models_directory

MODELS = [file for file in sorted(models_directory().glob("*.onnx")) if read_model(file).precision == "fp32"]


def picture() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(0, 255, (24, 32), np.uint8)
    return np.asarray(cv2.resize(coarse, (320, 256), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_a_shipped_model_finds_the_same_in_half_precision(file: Path) -> None:
    whole = read_model(file).specialise(256, 320, 300)
    half = to_half(whole)
    assert len(half) < 0.6 * len(whole)
    feed = {"image": picture()[None, None]}
    expected, found = (onnxruntime.InferenceSession(content).run(None, feed) for content in (whole, half))
    distance = np.linalg.norm(expected[0][:, None] - found[0][None], axis=2)
    same = distance.min(1) < 0.25
    # Near-ties at the budget's end go either way.
    assert same.mean() > 0.95
    cosine = (expected[2] * found[2][distance.argmin(1)]).sum(1)[same]
    assert cosine.min() > 0.999


def test_only_the_network_is_half() -> None:
    graph = onnx.load_model_from_string(to_half(read_model(find_model(None)).specialise(256, 320, 300))).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    weights = {types[node.input[1]] for node in graph.node if node.op_type == "Conv"}
    assert weights == {TensorProto.FLOAT16}
    inner = {name for node in network_nodes(graph) for name in node.output}
    for node in graph.node:
        if node.op_type in ("TopK", "DepthToSpace", "MaxPool", "Softmax"):
            assert not set(node.output) & inner
    opset = [helper.make_opsetid("", 18)]
    inferred = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=opset))
    kinds = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    assert {kinds[name] for name in inner if name in kinds} == {TensorProto.FLOAT16}


def test_a_graph_without_convolutions_is_refused() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    tensor = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", tensor[:1], tensor[1:]))
    with pytest.raises(ValueError, match="no convolutions"):
        to_half(model.SerializeToString())


def test_what_is_read_outside_is_cast_back() -> None:
    """y = a + w * relu(a) with a = w * x: a is read inside and outside of the network."""
    weight = numpy_helper.from_array(np.full((1, 1, 1, 1), 3.0, np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["c"]),
        helper.make_node("Add", ["a", "c"], ["y"]),
    ]
    shape = [1, 1, 2, 2]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(to_half(model.SerializeToString()))
    value = np.array([1.0, 2.0, -1.0, 0.5], np.float32).reshape(shape)
    np.testing.assert_allclose(session.run(None, {"x": value})[0], 3 * value + 9 * np.maximum(value, 0))


def test_a_weight_beyond_the_range_becomes_the_largest_number() -> None:
    weight = numpy_helper.from_array(np.full((1, 1, 1, 1), 1e6, np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    converted = onnx.load_model_from_string(to_half(model.SerializeToString())).graph
    assert numpy_helper.to_array(converted.initializer[0]).item() == np.finfo(np.float16).max
