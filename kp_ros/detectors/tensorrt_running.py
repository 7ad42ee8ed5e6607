"""Running a TensorRT engine: pinned buffers, one stream, a CUDA graph for each slot, answers asked for later."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.detectors.base import ModelError
from kp_ros.detectors.cuda import PinnedArray, check
from kp_ros.detectors.exported import Outputs
from kp_ros.detectors.model_file import OUTPUTS

INPUT = "image"
#: Frames that may be under way at once.
SLOTS = 2
LOGGER = logging.getLogger(__name__)


class EngineError(ModelError):
    """An engine that TensorRT does not load: damaged, or of another version or card."""


class _Slot:
    """Buffers of one frame under way, and what fills them."""

    def __init__(self, cuda: Any, engine: Any, dtypes: dict[str, np.dtype[Any]]) -> None:
        self.cuda = cuda
        self.arrays: dict[str, PinnedArray] = {}
        self.event: Any = None
        self.graph: Any = None
        try:
            for name, dtype in dtypes.items():
                self.arrays[name] = PinnedArray(cuda, tuple(engine.get_tensor_shape(name)), dtype)
            self.event = check(cuda, cuda.cudaEventCreateWithFlags(cuda.cudaEventDisableTiming))
        except ModelError:
            self.close()
            raise

    def queue(self, context: Any, stream: Any) -> None:
        """Copy in, run, copy out: queued on the stream, or recorded where it is captured."""
        for name, array in self.arrays.items():
            context.set_tensor_address(name, array.device)
        self.arrays[INPUT].upload(stream)
        if not context.execute_async_v3(int(stream)):
            raise ModelError("TensorRT did not take a frame; its log says why")
        for name in OUTPUTS:
            self.arrays[name].download(stream)

    def copy_out(self) -> Outputs:
        """The answer, in arrays of its own."""
        keypoints, scores, descriptors = (np.array(self.arrays[name].host) for name in OUTPUTS)
        return keypoints, scores, descriptors

    def close(self) -> None:
        """Free everything."""
        if self.graph is not None:
            self.cuda.cudaGraphExecDestroy(self.graph)
        if self.event is not None:
            self.cuda.cudaEventDestroy(self.event)
        for array in self.arrays.values():
            array.close()
        self.arrays.clear()


class TensorRtProgram:
    """An engine, loaded: see :class:`kp_ros.detectors.exported.Program`.

    :param trt: the TensorRT module that built it.
    :param cuda: cuda-python's runtime module.
    :param engine: its bytes.
    :raises EngineError: TensorRT does not load it.
    """

    def __init__(self, trt: Any, cuda: Any, engine: bytes) -> None:
        self._cuda = cuda
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise EngineError(
                f"{trt.__name__} {trt.__version__} does not load the engine: damaged, or not of this card"
            )
        self.precision = precision_of(trt, self._engine)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"{trt.__name__} {trt.__version__} cannot run the engine: too little memory on the card?")
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        if sorted(names) != sorted((INPUT, *OUTPUTS)):
            raise EngineError(f"the engine's tensors are {', '.join(names)}: it is not one of ours")
        dtypes = {name: np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))) for name in names}
        self._stream = check(cuda, cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking))
        self._slots: list[_Slot] = []
        try:
            self._slots = [_Slot(cuda, self._engine, dtypes) for _ in range(SLOTS)]
            self._next = 0
            for slot in self._slots:
                self._capture(slot)
        except ModelError:
            self.close()
            raise

    @property
    def captured(self) -> bool:
        """Whether frames run as CUDA graphs."""
        return all(slot.graph is not None for slot in self._slots)

    def submit(self, image: NDArray[np.uint8]) -> int:
        """Queue a frame; at most :data:`SLOTS` may be under way.

        :param image: uint8 [H, W].
        :returns: what :meth:`result` is asked with.
        """
        number = self._next
        self._next = (number + 1) % SLOTS
        slot = self._slots[number]
        np.copyto(slot.arrays[INPUT].host[0, 0], image)
        if slot.graph is not None:
            check(self._cuda, self._cuda.cudaGraphLaunch(slot.graph, self._stream))
        else:
            slot.queue(self._context, self._stream)
        check(self._cuda, self._cuda.cudaEventRecord(slot.event, self._stream))
        return number

    def result(self, number: int) -> Outputs:
        """Wait for a frame's answer."""
        check(self._cuda, self._cuda.cudaEventSynchronize(self._slots[number].event))
        return self._slots[number].copy_out()

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        """Run a frame and wait."""
        return self.result(self.submit(image))

    def close(self) -> None:
        """Free everything on the card."""
        check(self._cuda, self._cuda.cudaStreamSynchronize(self._stream))
        for slot in self._slots:
            slot.close()
        self._slots = []
        self._cuda.cudaStreamDestroy(self._stream)
        # In this order: TensorRT wants a context gone before its engine, and an engine before its runtime.
        self._context = self._engine = self._runtime = None

    def _plain(self, slot: _Slot, image: NDArray[np.uint8]) -> Outputs:
        np.copyto(slot.arrays[INPUT].host[0, 0], image)
        slot.queue(self._context, self._stream)
        check(self._cuda, self._cuda.cudaStreamSynchronize(self._stream))
        return slot.copy_out()

    def _capture(self, slot: _Slot) -> None:
        """Record a slot's work as a graph, and use it only when it proves to do the work."""
        cuda, stream = self._cuda, self._stream
        shape = slot.arrays[INPUT].host.shape[2:]
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 255, shape, np.uint8) for _ in range(2)]
        expected = [self._plain(slot, image) for image in images]
        graph = None
        try:
            check(
                cuda, cuda.cudaStreamBeginCapture(stream, cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
            )
            try:
                slot.queue(self._context, stream)
            finally:
                graph = check(cuda, cuda.cudaStreamEndCapture(stream))
            count = check(cuda, cuda.cudaGraphGetNodes(graph))[1]
            if not count:
                raise ModelError("nothing was recorded")
            slot.graph = check(cuda, cuda.cudaGraphInstantiate(graph, 0))
            self._prove(slot, images, expected)
        except ModelError as error:
            if slot.graph is not None:
                cuda.cudaGraphExecDestroy(slot.graph)
                slot.graph = None
            LOGGER.warning("runs without a CUDA graph, which costs some microseconds a frame: %s", error)
        finally:
            if graph is not None:
                cuda.cudaGraphDestroy(graph)

    def _prove(self, slot: _Slot, images: list[NDArray[np.uint8]], expected: list[Outputs]) -> None:
        """The graph answers as the plain queue does, and to another image otherwise."""
        answers = []
        for image in images:
            np.copyto(slot.arrays[INPUT].host[0, 0], image)
            check(self._cuda, self._cuda.cudaGraphLaunch(slot.graph, self._stream))
            check(self._cuda, self._cuda.cudaStreamSynchronize(self._stream))
            answers.append(slot.copy_out())
        if np.array_equal(answers[0][0], answers[1][0]):
            raise ModelError("the recorded graph gives one answer to two images")
        for answer, plain in zip(answers, expected, strict=True):
            if not np.allclose(answer[1], plain[1], atol=1e-3):
                raise ModelError("the recorded graph answers otherwise than the engine")


def precision_of(trt: Any, engine: Any) -> str:
    """What the engine really computes in, read from its layers: ``fp32``, ``fp16`` or ``int8``.

    A flag that was ignored is not believed (TensorRT 11 ignores its fp16 flag, which costs a factor of four).
    """
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    return precision_in(text)


def precision_in(information: str) -> str:
    """The precision that the inspector's JSON tells of: the narrowest type of a layer's output."""
    try:
        layers = json.loads(information).get("Layers", [])
    except (ValueError, AttributeError):
        return "unknown"
    types = {
        str(output.get("Format/Datatype", ""))
        for layer in layers
        if isinstance(layer, dict)
        for output in layer.get("Outputs", [])
    }
    for name, words in (("int8", ("Int8", "INT8")), ("fp16", ("Half", "FP16", "Float16"))):
        if any(word in kind for kind in types for word in words):
            return name
    return "fp32" if types else "unknown"
