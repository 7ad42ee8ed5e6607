"""fp32 model -> int8 model, for TensorRT: the convolutions in eight bits, everything else and the logits in fp32.

Symmetric signed activations, a scale for each output channel of the weights, biases left alone: what TensorRT parses.
The arithmetic is written into the file by QuantizeLinear and DequantizeLinear around the inputs of each convolution
(Jacob et al., CVPR 2018; Wu et al., arXiv:2004.09602), so that every runtime computes what was calibrated; shortcuts
read the rounded values, too. What comes out of a convolution is not rounded, which keeps a third of the keypoints that
move otherwise, and the logits and descriptors in fp32.

A processor without units for it gains nothing from such a file: docs/models.md has the figures.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from kp_ros.detectors.exported import ExportedDetector
from kp_ros.detectors.model_file import ModelFile, read_model
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.errors import UserError
from training.data.guard import BYTES, METADATA_KEY, Fingerprints, fingerprint, model_fingerprints, sidecar_of

#: Share of the activations that the scale covers, in percent. The largest ones alone would make it twice as coarse.
PERCENTILE = 99.99
#: Height and width of the images, pixels; multiples of every stride.
SIZE = (480, 640)
#: An int8 model that keeps less of the keypoints was not calibrated on images.
LEAST_SHARED = 0.7


class QuantisationError(UserError):
    """A model that cannot be quantised; the message says why, or by how much the result differs."""


@dataclass(frozen=True)
class Likeness:
    """How far an int8 model finds what its parent finds, on images that it was not calibrated on.

    :ivar images: how many were compared.
    :ivar shared: share of the parent's keypoints that it has within 1 px.
    :ivar descriptor_cosine: mean cosine between the descriptors of these.
    """

    images: int
    shared: float
    descriptor_cosine: float


class _Images(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: list[NDArray[np.uint8]]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._images, None)
        return None if image is None else {"image": image[None, None]}


def quantise(parent: ModelFile, file: Path, images: list[Path]) -> Likeness:
    """Write the int8 twin of a model.

    :param parent: an fp32 model.
    :param file: to write; the fingerprints of what trained the parent, and of the images, go beside it.
    :param images: photographs; two of three calibrate, the third compares.
    :raises QuantisationError: the parent is not fp32, there are too few images, or the twin does not find what its
        parent finds; ``file`` is not written then.
    """
    if parent.precision != "fp32":
        raise QuantisationError(f"{parent.path} is {parent.precision}; quantise the fp32 model that it was made from")
    if len(images) < 3:
        raise QuantisationError(f"{len(images)} images are too few to calibrate and to compare on; name 3 at least")
    trained = _trained_on(parent, images)
    pictures = [read_picture(path) for path in images]
    model = _converted(parent, [picture for k, picture in enumerate(pictures) if k % 3 < 2])
    metadata = {**parent.metadata, METADATA_KEY: trained.digest, "name": file.stem}
    metadata |= {"precision": "int8", "parent": parent.sha256}
    metadata["data"] = f"{parent.metadata.get('data', 'unknown')}; calibrated on {len(images)} images"
    onnx.helper.set_model_props(model, metadata)
    partial = file.with_suffix(".partial.onnx")
    try:
        onnx.save(model, partial)
        likeness = compare(parent, read_model(partial), pictures[2::3])
        if likeness.shared < LEAST_SHARED:
            raise QuantisationError(f"the int8 model differs too much: {likeness}; take images like the robot's")
        trained.save(sidecar_of(file))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return likeness


def compare(parent: ModelFile, twin: ModelFile, images: list[NDArray[np.uint8]]) -> Likeness:
    """Run both on the same images, and compare keypoints as sets."""
    first, second = (ExportedDetector(model, OnnxRuntimeBackend()) for model in (parent, twin))
    shares, cosines = [], []
    for image in images:
        expected, found = first(image), second(image)
        if len(expected) == 0 or len(found) == 0:
            shares.append(float(len(expected) == len(found)))
            continue
        distances = np.linalg.norm(expected.keypoints[:, None] - found.keypoints[None], axis=2)
        shared = distances.min(1) < 1
        cosine = (expected.descriptors * found.descriptors[distances.argmin(1)]).sum(1)
        shares.append(float(shared.mean()))
        cosines += cosine[shared].tolist()
    return Likeness(len(images), float(np.mean(shares)), float(np.mean(cosines)) if cosines else 0.0)


def _converted(parent: ModelFile, images: list[NDArray[np.uint8]]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder, _silence():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            onnx.load_model_from_string(parent.content),
            target,
            _Images(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": ["Conv"],
                "CalibPercentile": PERCENTILE,
            },
        )
        return onnx.load(target)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The library advises a preparation that exported models do not need, and prints how it gets on."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """An image, grey, scaled to cover :data:`SIZE` and cut to it: the calibration wants one size.

    :raises QuantisationError: it is none.
    """
    image = _read(path)
    height, width = SIZE
    scale = max(height / image.shape[0], width / image.shape[1])
    covering = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
    scaled = cv2.resize(image, covering, interpolation=cv2.INTER_AREA)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width], np.uint8)


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise QuantisationError(f"{path} cannot be read as an image; name other ones with --images")
    return np.asarray(image, np.uint8)


def _trained_on(parent: ModelFile, images: list[Path]) -> Fingerprints:
    """The twin owes something to what trained its parent and to the images: neither may judge it."""
    values = [value for value in (fingerprint(_read(path)) for path in images) if value is not None]
    own = Fingerprints(np.array(values, np.uint8).reshape(-1, BYTES))
    inherited = model_fingerprints(parent.path, dict(parent.metadata))
    return own if inherited is None else inherited.joined(own)
