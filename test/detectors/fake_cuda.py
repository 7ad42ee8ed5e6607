"""CUDA and TensorRT in processor memory: enough of both to run an engine's buffers, stream and graphs without a card.

Streams do their work at once, unless they are being captured; a graph does it when it is launched.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

SHAPES = {"image": (1, 1, 8, 16), "keypoints": (4, 2), "scores": (4,), "descriptors": (4, 3)}


class FakeCuda:
    """cuda-python's runtime module.

    :ivar live: how many things are allocated and not freed.
    """

    cudaHostAllocDefault = 0
    cudaStreamNonBlocking = 1
    cudaEventDisableTiming = 2
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self) -> None:
        self._memory: dict[int, Any] = {}
        self.live = 0
        self.capturing: list[Callable[[], None]] | None = None
        self.capture_refused = False
        self.capture_loses = False
        self.launches = 0

    def do(self, work: Callable[[], None]) -> None:
        if self.capturing is None:
            work()
        else:
            self.capturing.append(work)

    def _allocate(self, size: int) -> tuple[int, int]:
        memory = (ctypes.c_uint8 * size)()
        address = ctypes.addressof(memory)
        self._memory[address] = memory
        self.live += 1
        return 0, address

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[int, int]:
        return self._allocate(size)

    def cudaMalloc(self, size: int) -> tuple[int, int]:
        return self._allocate(size)

    def cudaFree(self, address: int) -> tuple[int]:
        del self._memory[address]
        self.live -= 1
        return (0,)

    cudaFreeHost = cudaFree

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> tuple[int]:
        self.do(lambda: ctypes.memmove(target, source, size) and None)
        return (0,)

    def _make(self, *_: Any) -> tuple[int, int]:
        self.live += 1
        return 0, 7

    def _destroy(self, *_: Any) -> tuple[int]:
        self.live -= 1
        return (0,)

    cudaStreamCreateWithFlags = cudaEventCreateWithFlags = _make
    cudaStreamDestroy = cudaEventDestroy = cudaGraphDestroy = cudaGraphExecDestroy = _destroy

    def _nothing(self, *_: Any) -> tuple[int]:
        return (0,)

    cudaEventRecord = cudaEventSynchronize = cudaStreamSynchronize = _nothing

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[int]:
        if self.capture_refused:
            return (900,)
        self.capturing = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[int, list[Callable[[], None]]]:
        recorded, self.capturing = self.capturing or [], None
        self.live += 1
        return 0, [] if self.capture_loses else recorded

    def cudaGraphGetNodes(self, graph: list[Callable[[], None]], numNodes: int = 0) -> tuple[int, list[Any], int]:
        return 0, graph[:numNodes], len(graph)

    def cudaGraphInstantiate(self, graph: list[Callable[[], None]], flags: int) -> tuple[int, Any]:
        self.live += 1
        return 0, list(graph)

    def cudaGraphLaunch(self, graph: list[Callable[[], None]], stream: int) -> tuple[int]:
        self.launches += 1
        for work in graph:
            work()
        return (0,)

    def cudaGetErrorString(self, code: int) -> tuple[int, bytes]:
        return 0, b"operation not permitted when stream is capturing"


class FakeTensorRt:
    """A TensorRT whose only engine answers with the mean of the image."""

    __name__ = "tensorrt"
    __version__ = "10.3.0"
    LayerInformationFormat = SimpleNamespace(JSON=1)

    def __init__(self, cuda: FakeCuda, frozen_graph: bool = False) -> None:
        self.cuda = cuda
        self.frozen_graph = frozen_graph
        self.Logger = _Logger
        self.Runtime = lambda logger: SimpleNamespace(deserialize_cuda_engine=self._load)

    def nptype(self, dtype: Any) -> Any:
        return dtype

    def _load(self, content: bytes) -> Any:
        if content != b"engine":
            return None
        names = list(SHAPES)
        layers = {"Layers": [{"Outputs": [{"Format/Datatype": "Row major linear FP16 format"}]}]}
        return SimpleNamespace(
            num_io_tensors=len(names),
            get_tensor_name=lambda index: names[index],
            get_tensor_shape=lambda name: SHAPES[name],
            get_tensor_dtype=lambda name: np.uint8 if name == "image" else np.float32,
            create_engine_inspector=lambda: SimpleNamespace(get_engine_information=lambda kind: json.dumps(layers)),
            create_execution_context=self.context,
        )

    def context(self) -> Any:
        return _Context(self)


class _Logger:
    ERROR = 1

    def __init__(self, severity: int) -> None:
        self.severity = severity


class _Context:
    def __init__(self, trt: FakeTensorRt) -> None:
        self.trt = trt
        self.addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        addresses = dict(self.addresses)
        captured = self.trt.cuda.capturing is not None

        def work() -> None:
            image = _array(addresses["image"], SHAPES["image"], np.uint8)
            mean = 5.0 if captured and self.trt.frozen_graph else image.mean()
            for name in ("keypoints", "scores", "descriptors"):
                _array(addresses[name], SHAPES[name], np.float32)[...] = mean

        self.trt.cuda.do(work)
        return True


def _array(address: int, shape: tuple[int, ...], dtype: Any) -> Any:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address)).view(dtype).reshape(shape)
