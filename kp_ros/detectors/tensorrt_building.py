"""ONNX -> TensorRT engine, by TensorRT 10.3 to 11 or by TensorRT-RTX through the part that they have in common.

That part is: a strongly typed network (precision is written in the ONNX itself) and named inputs and outputs. What only
some have is looked for, never taken from a version number.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from kp_ros.detectors.base import ModelError

#: Modules, best first; both have one API.
MODULES = ("tensorrt", "tensorrt_rtx")
#: Called with what is being done and how far it is, 0 to 1; a build calls it from several threads.
Progress = Callable[[str, float], None]


class BuildWatcher:
    """Remembers how far a build is; the share never falls when a phase within a phase begins.

    :ivar phase: what is being done, in TensorRT's words; empty before a build.
    :ivar share: of the build that is done, 0 to 1.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget the build before."""
        self.phase, self.share = "", 0.0

    def __call__(self, phase: str, share: float) -> None:
        """Take in what TensorRT tells."""
        self.phase, self.share = phase, max(self.share, share)


def missing(name: str) -> str:
    """Why a TensorRT cannot be used here, and what to do; empty where it can."""
    if importlib.util.find_spec(name) is None:
        package = "tensorrt-rtx-cu13" if name == "tensorrt_rtx" else "tensorrt"
        return f"{name} is not installed; pip install {package} (JetPack brings tensorrt itself)"
    try:
        load(name)
    except ModelError as error:
        return str(error)
    return ""


def load(name: str) -> ModuleType:
    """Import a TensorRT.

    :raises ModelError: it does not load; the message says why.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(f"{name} does not load ({error}); install one that fits the CUDA driver") from error


def uncovered(trt: Any, compute_capability: str) -> str:
    """Why a TensorRT does not build for a card, as ``9.0``; empty where it does, or does not tell."""
    kinds = getattr(trt, "ComputeCapability", None)
    if kinds is None or hasattr(kinds, f"SM{compute_capability.replace('.', '')}"):
        return ""
    known = sorted(int(name[2:]) for name in dir(kinds) if re.fullmatch(r"SM\d+", name))
    there = ", ".join(f"{number // 10}.{number % 10}" for number in known)
    return f"{trt.__name__} does not build for compute capability {compute_capability}, only for {there}"


def build_engine(
    trt: Any, content: bytes, progress: Progress | None = None, compute_capabilities: tuple[str, ...] = ()
) -> bytes:
    """Parse and build.

    :param trt: the module.
    :param content: an ONNX file with static shapes.
    :param progress: is told how far the build is.
    :param compute_capabilities: ``8.6``, ... to build for, without such a card at hand; TensorRT-RTX alone can.
    :raises ModelError: TensorRT cannot parse or build it, or not for these cards; the message is TensorRT's.
    """
    logger = _Logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(_creation_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(content):
        reasons = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise ModelError(f"{trt.__name__} {trt.__version__} cannot read the model: {reasons}; export it again")
    config = builder.create_builder_config()
    # On by itself, it would round what the model says is fp32 to ten bits.
    config.clear_flag(trt.BuilderFlag.TF32)
    # Layers keep their types' names, from which the engine's real precision is read back.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if compute_capabilities:
        _aim(trt, config, compute_capabilities)
    monitor = _monitor(trt, progress) if progress is not None else None
    if monitor is not None:
        config.progress_monitor = monitor
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        reason = logger.last_error or "it gives no reason"
        raise ModelError(f"{trt.__name__} {trt.__version__} cannot build the model: {reason}")
    return bytes(engine)


def _creation_flags(trt: Any) -> int:
    """Strongly typed: asked for by TensorRT 10, the only way in 11 and in TensorRT-RTX."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _aim(trt: Any, config: Any, compute_capabilities: tuple[str, ...]) -> None:
    if not hasattr(config, "num_compute_capabilities"):
        raise ModelError(
            f"{trt.__name__} builds only for the card that it runs on; leave the compute capability out, or install "
            "tensorrt-rtx-cu13"
        )
    config.num_compute_capabilities = len(compute_capabilities)
    for index, text in enumerate(compute_capabilities):
        if reason := uncovered(trt, text):
            raise ModelError(reason)
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{text.replace('.', '')}"), index)


class _LoggerState:
    """What TensorRT complained of last: its functions return None and tell a logger why."""

    last_error = ""


def _Logger(trt: Any) -> Any:  # noqa: N802  # it makes instances of a class that exists only once trt is loaded
    class Logger(trt.ILogger, _LoggerState):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.last_error = message

    return Logger()


def _monitor(trt: Any, progress: Progress) -> Any:
    """TensorRT's progress monitor; phases nest, and the outermost one's steps are the bar's."""
    if not hasattr(trt, "IProgressMonitor"):
        return None

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._lock = threading.Lock()
            self._outermost: tuple[str, int] | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                if self._outermost is None:
                    self._outermost = (phase_name, max(1, num_steps))
            progress(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                name, steps = self._outermost or ("", 1)
            if phase_name == name:
                progress(phase_name, min(1.0, (step + 1) / steps))
            return True

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                if self._outermost and self._outermost[0] == phase_name:
                    self._outermost = None

    return Monitor()
