"""Who runs in benchmarks/speed.py: our model by backend and precision, OpenCV's detectors, the two trackers.

Each is called as a program that wants its speed would call it: OpenCV without our wrappers, ours as `load_detector`
gives it, padding, filtering and copies with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.tracking import FRAME_NS, LucasKanade
from kp_ros.detectors.base import ModelError
from kp_ros.detectors.choice import Candidate
from kp_ros.detectors.exported import Backend, ExportedDetector
from kp_ros.detectors.model_file import ModelFile
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.detectors.openvino import OpenVinoBackend, precisions
from kp_ros.detectors.tensorrt import PRECISIONS, TensorRtBackend
from kp_ros.frontend import Frontend
from kp_ros.recordings.sensor_folder import read_grey
from kp_ros.tracking import load_tracker

Image = NDArray[np.uint8]
#: Rounds from one turn to the next of those that would take most of the time.
SELDOM = 4
SLOW = {("onnxruntime-cpu", "int8"), ("openvino-cpu", "bf16"), ("openvino-cpu", "fp16")}


@dataclass(frozen=True)
class Frame:
    """:ivar begins: a sequence begins here, so that nothing can be followed into it."""

    image: Image
    begins: bool


@dataclass(frozen=True)
class Competitor:
    """:ivar name: as the tables have it.
    :ivar backend: what runs it.
    :ivar precision: of the convolutions, as verified; empty for OpenCV's.
    :ivar model: the model's SHA-256; empty for OpenCV's.
    :ivar accuracy: the row of benchmarks/results/detectors.json that tells how good it is.
    :ivar flops: of the network's convolutions and matrix products for one frame; 0 for OpenCV's.
    :ivar every: takes part in every so many rounds; the dear ones would take all the time.
    :ivar follows: from the frame before: the first frame of a sequence is no frame like the others.
    :ivar run: a frame in, the number of points out.
    :ivar close: frees what it holds.
    """

    name: str
    backend: str
    precision: str
    model: str
    accuracy: str
    flops: int
    every: int
    follows: bool
    run: Callable[[Frame], int]
    close: Callable[[], None]


def nothing() -> None:
    """What OpenCV's competitors hold."""


def backends(model: ModelFile, threads: int, gpu: bool) -> Iterator[Candidate]:
    """What could run a model, in each precision; a model that is not fp32 keeps its own."""
    own = model.precision != "fp32"
    if gpu:
        kinds = PRECISIONS[:1] if own else PRECISIONS
        yield from (TensorRtBackend(module, kind) for module in ("tensorrt", "tensorrt_rtx") for kind in kinds)
        yield OnnxRuntimeBackend(threads, cuda=True)
    yield OnnxRuntimeBackend(threads)
    kinds = precisions() or ("fp32",)
    yield from (OpenVinoBackend(threads, kind) for kind in (kinds[:1] if own else kinds))


def exported(model: ModelFile, backend: Backend, size: tuple[int, int], keypoints: int) -> Competitor:
    """A model of ours on a backend.

    :param size: width and height of the images.
    :raises ModelError: the backend cannot run it.
    """
    width, height = size
    detector = ExportedDetector(model, backend, keypoints)
    detector(np.zeros((height, width), np.uint8))
    flops = flops_of(model.specialise(height + -height % model.stride, width + -width % model.stride, keypoints))

    def run(frame: Frame) -> int:
        return len(detector(frame.image))

    info = detector.info
    facts = (info.name, info.backend, info.precision, info.sha256, info.name)
    every = SELDOM if (info.backend, info.precision) in SLOW else 1
    return Competitor(*facts, flops, every, follows=False, run=run, close=detector.close)


def tracked(model: ModelFile, threads: int, keypoints: int) -> Competitor:
    """Our model, and our tracker behind it: what Lucas-Kanade is to be compared with."""
    detector = ExportedDetector(model, OnnxRuntimeBackend(threads), keypoints)
    frontend, stamp_ns = Frontend(detector, load_tracker(keypoints)), 0

    def run(frame: Frame) -> int:
        nonlocal stamp_ns
        if frame.begins:
            frontend.reset()
        stamp_ns += FRAME_NS
        return len(frontend.process(frame.image, stamp_ns).tracks)

    info = detector.info
    facts = (f"{info.name} + tracker", info.backend, info.precision, info.sha256, f"{info.name}+tracks")
    return Competitor(*facts, flops=0, every=1, follows=True, run=run, close=detector.close)


def opencv(keypoints: int) -> list[Competitor]:
    """ORB, SIFT, and Shi-Tomasi corners followed by Lucas-Kanade."""
    orb, sift = cv2.ORB.create(keypoints), cv2.SIFT.create(keypoints)
    klt = LucasKanade(keypoints)

    def follow(frame: Frame) -> int:
        if frame.begins:
            klt.last, klt.points = None, np.zeros((0, 1, 2), np.float32)
        klt.update(frame.image)
        return len(klt.points)

    def competitor(name: str, accuracy: str, every: int, run: Callable[[Frame], int]) -> Competitor:
        return Competitor(name, "opencv", "", "", accuracy, 0, every, run == follow, run, nothing)

    return [
        competitor("ORB", "orb", 1, lambda frame: len(orb.detectAndCompute(frame.image, None)[0])),
        competitor("SIFT", "sift", SELDOM, lambda frame: len(sift.detectAndCompute(frame.image, None)[0])),
        competitor("GFTT + Lucas-Kanade", "klt", 1, follow),
    ]


def line_up(
    models: list[ModelFile], size: tuple[int, int], keypoints: int, threads: int, gpu: bool
) -> tuple[list[Competitor], list[str]]:
    """All that can take part on this machine, and why the others do not."""
    found, absent = opencv(keypoints), []
    for model in models:
        for backend in backends(model, threads, gpu):
            try:
                if backend.missing:
                    raise ModelError(backend.missing)
                found.append(exported(model, backend, size, keypoints))
            except ModelError as error:
                absent.append(f"{model.name} on {backend.name}: {error}")
    found.append(tracked(models[0], threads, keypoints))
    return found, absent


def flops_of(content: bytes) -> int:
    """Floating point operations, two a multiply-add, of the convolutions and matrix products of a graph.

    :param content: an ONNX file with static sizes; Q and DQ around a convolution change nothing.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(content))
    graph = model.graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.value_info, *graph.input, *graph.output]:
        shapes[value.name] = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += 2 * int(np.prod(shapes[node.output[0]])) * int(np.prod(shapes[node.input[1]][1:]))
        elif node.op_type == "MatMul":
            total += 2 * int(np.prod(shapes[node.output[0]])) * shapes[node.input[0]][-1]
    return total


def read_frames(data: Path, sequences: tuple[str, ...], size: tuple[int, int], count: int) -> list[Frame]:
    """The first ``count`` images of each sequence, grey, brought to a size.

    :raises SystemExit: a sequence is not there.
    :raises RecordingError: a file is no image.
    """
    frames = []
    for sequence in sequences:
        files = sorted((data / sequence / "images").glob("*"))[:count]
        if not files:
            raise SystemExit(f"no images in {data / sequence / 'images'}; name the folder of sequences with --data")
        for k, path in enumerate(files):
            image = read_grey(path)
            if image.shape[::-1] != size:
                image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
            frames.append(Frame(np.asarray(image, np.uint8), k == 0))
    return frames
