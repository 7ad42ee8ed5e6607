"""The few CUDA runtime calls that running an engine takes, with errors as exceptions."""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kp_ros.detectors.base import ModelError


class CudaError(ModelError):
    """A CUDA call that failed; the message is CUDA's."""


def load_cuda() -> Any:
    """cuda-python's runtime module; it moved between its versions 12 and 13.

    :raises ModelError: it is not installed.
    """
    for name in ("cuda.bindings.runtime", "cuda.cudart"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ModelError("cuda-python is not installed; pip install cuda-python")


def check(cuda: Any, answer: tuple[Any, ...]) -> Any:
    """What a CUDA call returned beside its error code.

    :raises CudaError: the code is not success.
    """
    code, *values = answer
    if int(code) != 0:
        reason = cuda.cudaGetErrorString(code)[1]
        raise CudaError(f"CUDA: {reason.decode() if isinstance(reason, bytes) else reason}")
    return values[0] if len(values) == 1 else tuple(values)


def driver_missing() -> str:
    """Why there is no NVIDIA driver here, and what to do; empty where there is one."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return ""
    return "no NVIDIA driver (libcuda.so.1); install the card's driver"


@dataclass(frozen=True)
class Machine:
    """What an engine depends on beside its model.

    :ivar gpu: name; compute capability as ``8.7``; number of multiprocessors.
    :ivar runtime: CUDA's version, as 12060; the driver's likewise.
    """

    gpu: str
    compute_capability: str
    multiprocessors: int
    runtime: str
    driver: str


def this_machine(cuda: Any) -> Machine:
    """The first card.

    :raises CudaError: there is none, or no driver.
    """
    check(cuda, cuda.cudaGetDeviceCount())
    properties = check(cuda, cuda.cudaGetDeviceProperties(0))
    name = properties.name
    return Machine(
        name.decode().rstrip("\0") if isinstance(name, bytes) else str(name),
        f"{properties.major}.{properties.minor}",
        int(properties.multiProcessorCount),
        str(check(cuda, cuda.cudaRuntimeGetVersion())),
        str(check(cuda, cuda.cudaDriverGetVersion())),
    )


class PinnedArray:
    """A numpy array in page-locked memory, which the card copies from and to by itself, and its twin on the card.

    :ivar host: the array.
    :ivar device: address on the card.
    """

    def __init__(self, cuda: Any, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._cuda = cuda
        self.size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._address = int(check(cuda, cuda.cudaHostAlloc(self.size, cuda.cudaHostAllocDefault)))
        self.device = 0
        try:
            self.device = int(check(cuda, cuda.cudaMalloc(self.size)))
        except CudaError:
            self.close()
            raise
        raw = np.ctypeslib.as_array((ctypes.c_uint8 * self.size).from_address(self._address))
        self.host: NDArray[Any] = raw.view(dtype).reshape(shape)

    def upload(self, stream: Any) -> None:
        """Queue the copy to the card."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        check(self._cuda, self._cuda.cudaMemcpyAsync(self.device, self._address, self.size, kind, stream))

    def download(self, stream: Any) -> None:
        """Queue the copy from the card."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        check(self._cuda, self._cuda.cudaMemcpyAsync(self._address, self.device, self.size, kind, stream))

    def close(self) -> None:
        """Free both; the array must not be touched afterwards."""
        if self.device:
            self._cuda.cudaFree(self.device)
        self._cuda.cudaFreeHost(self._address)
        self.device = 0
