"""TensorRT and TensorRT-RTX: NVIDIA's cards, desktop and Jetson, at their full speed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from kp_ros.detectors import tensorrt_building
from kp_ros.detectors.base import ModelError
from kp_ros.detectors.cuda import Machine, driver_missing, load_cuda, this_machine
from kp_ros.detectors.engine_cache import EngineCache, EngineKey, default_folder
from kp_ros.detectors.half import to_half
from kp_ros.detectors.model_file import ModelFile
from kp_ros.detectors.tensorrt_building import BuildWatcher, build_engine
from kp_ros.detectors.tensorrt_running import EngineError, TensorRtProgram

PRECISIONS = ("fp16", "fp32")
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class TensorRtBackend:
    """:ivar module: ``tensorrt`` or ``tensorrt_rtx``.
    :ivar precision: of the convolutions; a model that is not fp32 already keeps its own.
    :ivar cache: of built engines.
    :ivar watcher: is told how far a build is.
    """

    module: str = "tensorrt"
    precision: str = "fp16"
    cache: EngineCache = field(default_factory=lambda: EngineCache(default_folder()))
    watcher: BuildWatcher = field(default_factory=BuildWatcher)

    @property
    def name(self) -> str:
        """See :class:`kp_ros.detectors.exported.Backend`."""
        return self.module.replace("_", "-")

    @property
    def patient(self) -> bool:
        """On a Jetson a build takes minutes."""
        return True

    @property
    def slower(self) -> str:
        """See :class:`kp_ros.detectors.choice.Candidate`."""
        return ""

    @property
    def progress(self) -> str:
        """See :class:`kp_ros.detectors.exported.Backend`."""
        return f"({self.watcher.share:.0%}: {self.watcher.phase})" if self.watcher.phase else ""

    @property
    def missing(self) -> str:
        """What is missing for this backend to run here, and what to do; empty when nothing is."""
        # The driver first: without one, hundreds of megabytes of libraries need not be loaded to find out.
        lacking = driver_missing() or tensorrt_building.missing(self.module)
        if lacking:
            return lacking
        try:
            machine = this_machine(load_cuda())
        except ModelError as error:
            return str(error)
        return tensorrt_building.uncovered(tensorrt_building.load(self.module), machine.compute_capability)

    def build(self, model: ModelFile, height: int, width: int, max_keypoints: int) -> TensorRtProgram:
        """Load the cached engine, or build it: see :class:`kp_ros.detectors.exported.Backend`."""
        trt, cuda = tensorrt_building.load(self.module), load_cuda()
        order = self._order(trt, model, (height, width), max_keypoints, machine_of(self.module))
        try:
            return TensorRtProgram(trt, cuda, self.cache.get_or_build(order.key, order.build))
        except EngineError as error:
            LOGGER.warning("%s; building anew", error)
            self.cache.discard(order.key)
            return TensorRtProgram(trt, cuda, self.cache.get_or_build(order.key, order.build))

    def ahead(
        self, model: ModelFile, height: int, width: int, max_keypoints: int, compute_capability: str | None = None
    ) -> EngineKey:
        """Build an engine into the cache without running it.

        :param height: of the camera's images, as is ``width``; the model's stride pads them.
        :param compute_capability: of another machine's card, which TensorRT-RTX can build for; None is this one's.
        :returns: the key that it is found by.
        :raises ModelError: it cannot be built here.
        """
        trt = tensorrt_building.load(self.module)
        machine = Machine("", compute_capability, 0, "", "") if compute_capability else machine_of(self.module)
        size = (height + -height % model.stride, width + -width % model.stride)
        order = self._order(trt, model, size, max_keypoints, machine)
        self.cache.get_or_build(order.key, order.build)
        return order.key

    def _order(self, trt: Any, model: ModelFile, size: tuple[int, int], max_keypoints: int, machine: Machine) -> _Order:
        precision = engine_precision(model, self.precision)
        key = engine_key(trt, model, precision, size, max_keypoints, machine)
        targets = (machine.compute_capability,) if not machine.gpu else ()
        return _Order(key, trt, model, self.watcher, targets)


@dataclass(frozen=True)
class _Order:
    """What is to be built, if it is not there."""

    key: EngineKey
    trt: Any
    model: ModelFile
    watcher: BuildWatcher
    compute_capabilities: tuple[str, ...]

    def build(self) -> bytes:
        key = self.key
        LOGGER.info("builds %s for %s x %s in %s", key.backend, key.width, key.height, key.precision)
        self.watcher.begin()
        content = graph_of(self.model, key.height, key.width, key.max_keypoints, key.precision)
        return build_engine(self.trt, content, self.watcher, self.compute_capabilities)


def machine_of(module: str) -> Machine:
    """What of this machine an engine depends on.

    TensorRT-RTX builds for a compute capability, and compiles for the card itself when the engine is loaded: its
    engines may be made on another machine. TensorRT's are of one card and one driver.

    :raises ModelError: there is no card.
    """
    machine = this_machine(load_cuda())
    return Machine("", machine.compute_capability, 0, "", "") if module == "tensorrt_rtx" else machine


def engine_precision(model: ModelFile, asked: str) -> str:
    """The precision that an engine's convolutions get: a model that is not fp32 keeps its own.

    :raises ModelError: the precision asked for is unknown.
    """
    if asked not in PRECISIONS:
        raise ModelError(f"precision '{asked}' is unknown; choose one of: {', '.join(PRECISIONS)}")
    return asked if model.precision == "fp32" else model.precision


def graph_of(model: ModelFile, height: int, width: int, max_keypoints: int, precision: str) -> bytes:
    """The ONNX file that an engine is built from; ``precision`` is :func:`engine_precision`'s."""
    content = model.specialise(height, width, max_keypoints)
    return to_half(content) if precision == "fp16" and model.precision == "fp32" else content


def engine_key(
    trt: Any, model: ModelFile, precision: str, size: tuple[int, int], max_keypoints: int, machine: Machine
) -> EngineKey:
    """The cache's key of an engine for a machine; ``size`` is height and width."""
    return EngineKey(
        model=model.name,
        onnx_sha256=model.sha256,
        backend=trt.__name__,
        backend_version=trt.__version__,
        cuda_runtime=machine.runtime,
        driver=machine.driver,
        gpu=machine.gpu,
        compute_capability=machine.compute_capability,
        multiprocessors=machine.multiprocessors,
        precision=precision,
        height=size[0],
        width=size[1],
        max_keypoints=max_keypoints,
        options="no TF32",
    )
