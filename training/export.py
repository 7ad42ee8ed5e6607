"""Checkpoint -> ONNX: the one thing in which training and runtime meet.

The exported file describes itself in its metadata, and is compared with torch on real images before it gets its name.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxscript import opset18
from torch.export import Dim

from kp_ros.detectors.exported import ExportedDetector
from kp_ros.detectors.model_file import ModelFile, read_model
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.errors import UserError
from training.configuration import commit
from training.networks.detector_graph import DetectorGraph
from training.networks.graphs import ExportableNetwork, make_graph
from training.networks.keypoint_network import STRIDE


class ExportError(UserError):
    """An export that does not do what the network does; the message gives the difference."""


@dataclass(frozen=True)
class Agreement:
    """How far the exported model and torch agree.

    :ivar images: how many were compared.
    :ivar shared: share of torch's keypoints that the exported model has within 0.05 px; ties at the budget's end may
        differ.
    :ivar descriptor_cosine: smallest cosine between descriptors of shared keypoints.
    """

    images: int
    shared: float
    descriptor_cosine: float


def _divide(dividend: Any, divisor: Any, rounding_mode: str | None = None) -> Any:
    """Whole division of int64 tensors: the exporter's own goes through floats."""
    return opset18.Div(dividend, divisor)


def _take(values: Any, index: Any) -> Any:
    """A gather from the flat map; the exporter's own makes an index of coordinates first."""
    flat: Any = opset18.Constant(value_ints=[-1])
    return opset18.Gather(opset18.Reshape(values, flat), index, axis=0)


def export(
    network: ExportableNetwork,
    file: Path,
    metadata: dict[str, str],
    images: list[Path],
    max_keypoints: int = 1024,
) -> Agreement:
    """Write ``file`` and check it against torch.

    :param metadata: ``name``, ``method``, ``data``, ``licence``; the rest is added here.
    :param images: real photographs to compare on.
    :raises ExportError: the exported model differs; ``file`` is not written then.
    """
    graph = make_graph(network, max_keypoints).eval()
    partial = file.with_suffix(".partial.onnx")
    try:
        model = to_onnx(graph)
        described = metadata | {
            "stride": str(STRIDE),
            "border": str(graph.border * graph.unit),
            "block": str(graph.block * graph.unit),
            "max_keypoints": str(max_keypoints),
            "descriptor_size": str(network.descriptor_size),
            "descriptor_norm": "l2",
            "input": f"uint8 1x1xHxW, H and W multiples of {STRIDE}",
            "commit": commit(),
        }
        for key, value in described.items():
            model.metadata_props.add(key=key, value=value)
        onnx.save(model, partial)
        agreement = compare(graph, read_model(partial), images)
        if agreement.shared < 0.99 or agreement.descriptor_cosine < 0.999:
            raise ExportError(f"the exported model differs from torch: {agreement}; {file} was not written")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return agreement


def to_onnx(graph: DetectorGraph) -> onnx.ModelProto:
    """The graph with symbolic image size, opset 18, free of the exporter's own annotations."""
    example = torch.zeros(1, 1, 8 * STRIDE, 10 * STRIDE, dtype=torch.uint8)
    height, width = Dim("height_cells", min=2, max=256), Dim("width_cells", min=2, max=256)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            opset_version=18,
            input_names=["image"],
            output_names=["keypoints", "scores", "descriptors"],
            dynamic_shapes={"image": {2: STRIDE * height, 3: STRIDE * width}},
            custom_translation_table={
                torch.ops.aten.div.Tensor_mode: _divide,
                torch.ops.aten.take.default: _take,
            },
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        del value.metadata_props[:]
    return model


def compare(graph: DetectorGraph, model: ModelFile, images: list[Path]) -> Agreement:
    """Run torch and the exported model on the same images, and compare keypoints as sets."""
    detector = ExportedDetector(model, OnnxRuntimeBackend())
    shares, cosines = [], []
    for path in images:
        image = read_grey(path)
        with torch.no_grad():
            tensor = torch.from_numpy(image)[None, None]
            keypoints, _, descriptors = (output.numpy() for output in graph(tensor))
        found = detector(image)
        distances = np.linalg.norm(keypoints[:, None] - found.keypoints[None], axis=2)
        nearest = distances.argmin(1)
        shared = distances.min(1) < 0.05
        shares.append(float(shared.mean()))
        cosines.append(float((descriptors[shared] * found.descriptors[nearest[shared]]).sum(1).min(initial=1.0)))
    return Agreement(len(images), min(shares), min(cosines))


def read_grey(path: Path) -> NDArray[np.uint8]:
    """An image, grey, cut to multiples of the stride."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ExportError(f"{path} cannot be read as an image; name other ones with --images")
    height, width = (side - side % STRIDE for side in image.shape)
    return np.ascontiguousarray(image[:height, :width], np.uint8)
