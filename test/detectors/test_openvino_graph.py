from collections import Counter

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from kp_ros.detectors.model_file import find_model, read_model
from kp_ros.detectors.openvino_graph import adapted


def kinds(content: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(content).graph.node)


@pytest.mark.parametrize(("height", "width", "keypoints"), [(256, 320, 300), (64, 160, 40)])
def test_the_shipped_model_answers_as_before_bit_by_bit(height: int, width: int, keypoints: int) -> None:
    content = read_model(find_model(None)).specialise(height, width, keypoints)
    changed = adapted(content)
    before, after = kinds(content), kinds(changed)
    # Two poolings between reshapes, one of them between transposes.
    assert after["MaxPool"] == before["MaxPool"] == 3
    assert after["Transpose"] == before["Transpose"] + 2 and after["Reshape"] == before["Reshape"] + 4
    coarse = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8), np.uint8)
    feed = {"image": cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[None, None]}
    for one, other in zip(
        *(onnxruntime.InferenceSession(graph).run(None, feed) for graph in (content, changed)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def pooling(channels: int, **settings: list[int]) -> bytes:
    node = helper.make_node("MaxPool", ["x"], ["y"], **settings)
    i, x = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 32, 32]) for name in "ix")
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, "h", "w"])
    relu = helper.make_node("Relu", ["y"], ["z"])
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, channels, "h", "w"])
    graph = helper.make_graph([helper.make_node("Relu", ["i"], ["x"]), node, relu], "g", [i], [z], value_info=[x, y])
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (pooling(1, kernel_shape=[1, 7], pads=[0, 3, 0, 3]), True),
        (pooling(1, kernel_shape=[7, 1], pads=[3, 0, 3, 0]), True),
        (pooling(1, kernel_shape=[1, 4], strides=[1, 4]), False),
        (pooling(1, kernel_shape=[4, 4]), False),
        (pooling(16, kernel_shape=[1, 7], pads=[0, 3, 0, 3]), False),
    ],
)
def test_only_lines_of_a_single_channel_are_pooled_as_channels(content: bytes, changes: bool) -> None:
    changed = adapted(content)
    assert (kinds(changed) != kinds(content)) == changes
    shape = [d.dim_value for d in onnx.load_model_from_string(content).graph.input[0].type.tensor_type.shape.dim]
    feed = {"i": np.random.default_rng(0).random(shape, np.float32)}
    one, other = (onnxruntime.InferenceSession(graph).run(None, feed)[0] for graph in (content, changed))
    np.testing.assert_array_equal(one, other)
