"""An exported model: one ONNX file that describes itself.

Image size and keypoint budget are set when it is loaded, before any backend sees the graph: every backend then gets
static shapes. What training writes into the metadata is read here and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
from google.protobuf.message import DecodeError

from kp_ros.detectors.base import ModelError
from kp_ros.resources import models_directory

#: The model that is used where none is named.
DEFAULT_MODEL = "kp_base"
#: Keys that every exported model carries.
METADATA = ("name", "method", "stride", "border", "block", "max_keypoints", "descriptor_size", "descriptor_norm")
OUTPUTS = ("keypoints", "scores", "descriptors")
#: TensorRT's limit of TopK.
MOST_KEYPOINTS = 3840


@dataclass(frozen=True)
class ModelFile:
    """:ivar path: where it was read from.
    :ivar content: its bytes.
    :ivar metadata: as training wrote it, see :data:`METADATA`; also data, licence and commit.
    """

    path: Path
    content: bytes
    metadata: Mapping[str, str]

    @cached_property
    def sha256(self) -> str:
        """Hash of the file's bytes, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.metadata["name"]

    @property
    def stride(self) -> int:
        """The image's sides must be multiples of this, pixels."""
        return int(self.metadata["stride"])

    @property
    def border(self) -> int:
        """Pixels at the image's edge in which there are no keypoints."""
        return int(self.metadata["border"])

    @property
    def block(self) -> int:
        """Side of the blocks of pixels that hold one candidate each."""
        return int(self.metadata["block"])

    @property
    def max_keypoints(self) -> int:
        """The budget that it was exported with."""
        return int(self.metadata["max_keypoints"])

    @property
    def descriptor_size(self) -> int:
        """D, columns of the descriptors."""
        return int(self.metadata["descriptor_size"])

    @cached_property
    def precision(self) -> str:
        """``fp32``, ``fp16`` or ``int8``: the type of the convolutions' weights, whatever the name promises."""
        graph = onnx.load_model_from_string(self.content).graph
        if any(node.op_type in ("QLinearConv", "ConvInteger", "DequantizeLinear") for node in graph.node):
            return "int8"
        weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
        types = {tensor.data_type for tensor in graph.initializer if tensor.name in weights}
        return "fp16" if types == {onnx.TensorProto.FLOAT16} else "fp32"

    def specialise(self, height: int, width: int, max_keypoints: int) -> bytes:
        """The same graph for one image size and one keypoint budget.

        :param height: pixels, a multiple of :attr:`stride`; width likewise.
        :param max_keypoints: rows of every output; fewer where the image is too small to hold them.
        """
        model = onnx.load_model_from_string(self.content)
        dimensions = model.graph.input[0].type.tensor_type.shape.dim
        dimensions[2].dim_value, dimensions[3].dim_value = height, width
        candidates = (height - 2 * self.border) * (width - 2 * self.border) // self.block**2
        count = onnx.numpy_helper.from_array(
            np.array([min(max_keypoints, candidates)], np.int64), _budget_name(model, self.path)
        )
        for initializer in model.graph.initializer:
            if initializer.name == count.name:
                initializer.CopyFrom(count)
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.shape.dim[0].ClearField("dim_value")
            output.type.tensor_type.shape.dim[0].dim_param = "keypoints"
        return bytes(model.SerializeToString())


def _budget_name(model: onnx.ModelProto, path: Path) -> str:
    """Name of the initializer that holds TopK's k."""
    selections = [node for node in model.graph.node if node.op_type == "TopK"]
    if len(selections) != 1:
        raise ModelError(f"{path} has {len(selections)} TopK nodes instead of one; export it again")
    return str(selections[0].input[1])


def find_model(model: str | Path | None) -> Path:
    """The file of a model's name (``kp_base``) or path; None gives the default.

    :raises ModelError: there is no such file.
    """
    if model is None:
        model = DEFAULT_MODEL
    named = models_directory() / f"{model}.onnx"
    if Path(model).suffix == "" and named.is_file():
        return named
    path = Path(model).expanduser()
    if path.is_file():
        return path
    shipped = ", ".join(sorted(file.stem for file in models_directory().glob("*.onnx"))) or "none"
    raise ModelError(f"model '{model}' is neither a file nor one of ours ({shipped}); give a path to an .onnx file")


def read_model(path: Path) -> ModelFile:
    """Read and check a model file.

    :raises ModelError: it cannot be read, is no ONNX file, is damaged, or was not exported by this project.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"model {path} cannot be read: {error.strerror}; check the path and its permissions"
        ) from error
    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no graph in it"
        raise ModelError(
            f"model {path} is not a whole ONNX file ({reason}); copy it again, or fetch it with 'git lfs pull' "
            "where it is a pointer"
        ) from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    missing = [key for key in METADATA if key not in metadata]
    outputs = tuple(output.name for output in model.graph.output)
    if missing or outputs != OUTPUTS:
        what = f"its metadata lacks {', '.join(missing)}" if missing else f"its outputs are {', '.join(outputs)}"
        raise ModelError(f"model {path} was not exported by kp_ros: {what}; export it with 'python -m training export'")
    return ModelFile(path, content, metadata)
