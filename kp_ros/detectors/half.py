"""fp32 model -> fp16 model: the convolutions in half precision, everything from the logits on in single.

TensorRT 11 and TensorRT-RTX have no fp16 flag any more: what precision a layer has is written in the ONNX file.
Keypoint coordinates step by half a pixel in fp16, and flat indices overflow, so only the network proper is converted.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def to_half(content: bytes) -> bytes:
    """Convert the network part of an exported model: its convolutions and all that lies between them.

    Casts to fp16 come before the first convolutions, casts back behind the last ones.

    :param content: an fp32 model of ours.
    :raises ValueError: it has no convolutions.
    """
    model = onnx.load_model_from_string(content)
    graph = model.graph
    inner = network_nodes(graph)
    if not inner:
        raise ValueError("the model has no convolutions; only exported models of ours can be converted")
    produced = {name for node in inner for name in node.output}
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    converted: dict[str, str] = {}
    before: list[onnx.NodeProto] = []
    for node in inner:
        for place, name in enumerate(node.input):
            if name in initializers and _is_float(initializers[name]) and not _stays_float(node, place):
                node.input[place] = _half_initializer(graph, initializers[name], converted)
            elif name and name not in produced and name not in initializers and not _stays_float(node, place):
                if name not in converted:
                    converted[name] = f"{name}_half"
                    before.append(helper.make_node("Cast", [name], [converted[name]], to=TensorProto.FLOAT16))
                node.input[place] = converted[name]
    after = _cast_back(graph, inner, produced)
    nodes = _sorted([*before, *graph.node, *after], graph)
    del graph.node[:]
    graph.node.extend(nodes)
    _drop_unused(graph)
    del graph.value_info[:]
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def network_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The convolutions, and the nodes that lie on a way from one to another; in the graph's order."""
    behind: set[str] = set()
    below: set[int] = set()
    for index, node in enumerate(graph.node):
        if node.op_type == "Conv" or any(name in behind for name in node.input):
            below.add(index)
            behind.update(node.output)
    ahead: set[str] = set()
    chosen: set[int] = set()
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if index in below and (node.op_type == "Conv" or any(name in ahead for name in node.output)):
            chosen.add(index)
            ahead.update(node.input)
    return [node for index, node in enumerate(graph.node) if index in chosen]


def _is_float(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_type == TensorProto.FLOAT)


def _stays_float(node: onnx.NodeProto, place: int) -> bool:
    """Resize takes its scales in fp32, whatever it resizes."""
    return node.op_type == "Resize" and place > 0


def _half_initializer(graph: onnx.GraphProto, tensor: onnx.TensorProto, converted: dict[str, str]) -> str:
    if tensor.name not in converted:
        converted[tensor.name] = f"{tensor.name}_half"
        limit = float(np.finfo(np.float16).max)
        values = np.clip(numpy_helper.to_array(tensor), -limit, limit).astype(np.float16)
        graph.initializer.append(numpy_helper.from_array(values, converted[tensor.name]))
    return converted[tensor.name]


def _cast_back(graph: onnx.GraphProto, inner: list[onnx.NodeProto], produced: set[str]) -> list[onnx.NodeProto]:
    """Give what outer nodes read the old names, in fp32, and what inner nodes read new ones."""
    inside = {id(node) for node in inner}
    read = {name for node in graph.node if id(node) not in inside for name in node.input} & produced
    casts = []
    for name in sorted(read):
        half = f"{name}_half"
        for node in inner:
            for place, output in enumerate(node.output):
                if output == name:
                    node.output[place] = half
            for place, source in enumerate(node.input):
                if source == name:
                    node.input[place] = half
        casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    return casts


def _sorted(nodes: list[onnx.NodeProto], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Topological order."""
    known = {tensor.name for tensor in graph.initializer} | {entry.name for entry in graph.input} | {""}
    ordered: list[onnx.NodeProto] = []
    waiting = list(nodes)
    while waiting:
        ready = [node for node in waiting if all(name in known for name in node.input)]
        if not ready:
            raise ValueError("the graph has a cycle")
        taken = {id(node) for node in ready}
        for node in ready:
            known.update(node.output)
        ordered.extend(ready)
        waiting = [node for node in waiting if id(node) not in taken]
    return ordered


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
