"""Which backend runs a model on this machine, and why not the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kp_ros.detectors.base import ModelError
from kp_ros.detectors.exported import Backend
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.detectors.openvino import OpenVinoBackend
from kp_ros.detectors.tensorrt import TensorRtBackend

#: What a user may ask for.
BACKENDS = ("auto", "tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "openvino", "onnxruntime")


class Candidate(Backend, Protocol):
    """A backend that knows whether it can run here."""

    @property
    def missing(self) -> str:
        """What is missing, and what to do; empty when nothing is."""
        ...

    @property
    def slower(self) -> str:
        """Why the next one is faster on this machine; empty when it is not."""
        ...


@dataclass(frozen=True)
class Choice:
    """:ivar backend: runs the model.
    :ivar stand_in: serves while it builds; None where it need not.
    :ivar passed_over: why each faster backend was not taken, a line each.
    """

    backend: Backend
    stand_in: Backend | None
    passed_over: tuple[str, ...]


def candidates(threads: int | None, precision: str = "fp16", int8: bool = False) -> dict[str, Candidate]:
    """Every backend by the name that a user calls it, fastest first; ``int8`` as :func:`choose` has it."""
    return {
        "tensorrt": TensorRtBackend("tensorrt", precision),
        "tensorrt-rtx": TensorRtBackend("tensorrt_rtx", precision),
        "onnxruntime-cuda": OnnxRuntimeBackend(threads, cuda=True),
        "openvino": OpenVinoBackend(threads, int8=int8),
        "onnxruntime": OnnxRuntimeBackend(threads),
    }


def choose(name: str = "auto", threads: int | None = None, precision: str = "fp16", int8: bool = False) -> Choice:
    """Choose a backend.

    :param name: one of :data:`BACKENDS`; ``auto`` takes the first that can run here and is not slower than the next.
    :param threads: processor threads; None leaves it to the backend.
    :param precision: of TensorRT: ``fp16`` or ``fp32``.
    :param int8: the model's convolutions are in eight bits.
    :raises ModelError: the name is unknown, or what it names cannot run here; the message says what is missing.
    """
    if name not in BACKENDS:
        raise ModelError(f"backend '{name}' is unknown; choose one of: {', '.join(BACKENDS)}")
    there = candidates(threads, precision, int8)
    stand_in = there["onnxruntime"]
    if name != "auto":
        backend = there[name]
        if backend.missing:
            raise ModelError(f"backend '{name}' cannot run here: {backend.missing}; or choose backend 'auto'")
        return Choice(backend, stand_in if backend.patient else None, ())
    passed_over: list[str] = []
    for key, backend in there.items():
        reason = backend.missing or backend.slower
        if not reason:
            return Choice(backend, stand_in if backend.patient else None, tuple(passed_over))
        passed_over.append(f"{key}: {reason}")
    raise ModelError("no backend can run here: " + "; ".join(passed_over))
