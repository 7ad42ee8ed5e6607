"""Exported models as detectors, whatever backend runs their graph."""

from __future__ import annotations

import logging
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.detectors.base import DetectorInfo, ModelError
from kp_ros.detectors.model_file import MOST_KEYPOINTS, ModelFile
from kp_ros.errors import UserError
from kp_ros.features import Features, Float32

#: Image sizes that are kept ready at once: a camera that switches to and fro does not build each time.
KEPT_SIZES = 2
LOGGER = logging.getLogger(__name__)

Outputs = tuple[Float32, Float32, Float32]


class Program(Protocol):
    """A model built for one image size and one keypoint budget."""

    @property
    def precision(self) -> str:
        """Of the convolutions, as verified on what was built: ``fp32``, ``fp16``, ``bf16`` or ``int8``."""
        ...

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        """Run the graph.

        :param image: uint8 [H, W], contiguous, of the size that it was built for.
        :returns: keypoints float32 [K, 2], scores float32 [K], descriptors float32 [K, D]; the caller's own.
        """
        ...

    def close(self) -> None:
        """Free what the program holds."""
        ...


class Backend(Protocol):
    """What runs a graph."""

    @property
    def name(self) -> str:
        """As published: ``onnxruntime-cpu``, ``tensorrt``, ..."""
        ...

    @property
    def patient(self) -> bool:
        """Whether building takes so long that another backend should serve meanwhile."""
        ...

    @property
    def progress(self) -> str:
        """How far a build is, for people to read; empty where nobody knows."""
        ...

    def build(self, model: ModelFile, height: int, width: int, max_keypoints: int) -> Program:
        """Build a model for one image size, which is a multiple of its stride.

        :raises ModelError: this backend cannot run it.
        """
        ...


@dataclass(frozen=True)
class _Ready:
    """A program, and what runs it."""

    backend: str
    program: Program


class ExportedDetector:
    """A model on a backend: pads images to the network's stride, keeps programs for the sizes that come, filters.

    With a stand-in, a size that has no program yet is served by the stand-in while a thread builds; the first image
    after that is served by the backend itself, and :attr:`info` says so.

    :param model: see :func:`kp_ros.detectors.model_file.read_model`.
    :param backend: what runs it.
    :param max_keypoints: the most points a call returns; None takes the model's own budget.
    :param score_threshold: points below it are left out; 0 to 1.
    :param stand_in: serves while ``backend`` builds; it must build at once.
    :raises ModelError: the backend, or the stand-in, refuses the model, or the budget is out of range.
    """

    def __init__(
        self,
        model: ModelFile,
        backend: Backend,
        max_keypoints: int | None = None,
        score_threshold: float = 0.0,
        stand_in: Backend | None = None,
    ) -> None:
        self.score_threshold = score_threshold
        self._model = model
        self._max_keypoints = model.max_keypoints if max_keypoints is None else max_keypoints
        if not 1 <= self._max_keypoints <= MOST_KEYPOINTS:
            raise ModelError(f"max_keypoints is {self._max_keypoints}; choose 1 to {MOST_KEYPOINTS}")
        self._backend, self._stand_in = backend, stand_in
        self._ready: OrderedDict[tuple[int, int], _Ready] = OrderedDict()
        self._builder: ThreadPoolExecutor | None = None
        self._coming: dict[tuple[int, int], Future[Program]] = {}
        self._refused = False
        first = stand_in or backend
        self._served_by, self._precision = first.name, model.precision
        # A model that this backend cannot run is refused now, not at the first image, unless finding out takes long.
        if not first.patient:
            self._use(self._keep((256, 256), first))

    @property
    def info(self) -> DetectorInfo:
        """Which model this is, and what ran it last."""
        return DetectorInfo(
            name=self._model.name,
            method=self._model.metadata["method"],
            sha256=self._model.sha256,
            descriptor_size=self._model.descriptor_size,
            descriptor_dtype="float32",
            descriptor_norm=self._model.metadata["descriptor_norm"],
            max_keypoints=self._max_keypoints,
            backend=self._served_by,
            precision=self._precision,
        )

    @property
    def building(self) -> str:
        """What is being built in the background, for people to read; empty when nothing is."""
        sizes = ", ".join(f"{width} x {height}" for height, width in list(self._coming))
        progress = self._backend.progress if sizes else ""
        return " ".join(filter(None, (f"{self._backend.name} for {sizes}", progress))) if sizes else ""

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        """Detect and describe, see :class:`kp_ros.detectors.base.Detector`."""
        if image.ndim == 3:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        height, width = image.shape
        padded = pad_to_stride(image, self._model.stride)
        keypoints, scores, descriptors = self._program(*padded.shape)(np.ascontiguousarray(padded))
        border = self._model.border
        keep = scores > max(self.score_threshold, 1e-6)
        if padded is not image:
            limits = np.array([width - 1 - border, height - 1 - border], np.float32)
            keep &= (keypoints <= limits).all(1)
        if keep.all():
            return Features(keypoints, scores, descriptors)
        return Features(keypoints[keep], scores[keep], descriptors[keep])

    def close(self) -> None:
        """Free the programs; one that is being built is freed when it is done."""
        for coming in self._coming.values():
            coming.cancel()
            coming.add_done_callback(_free)
        self._coming.clear()
        if self._builder is not None:
            self._builder.shutdown(wait=False, cancel_futures=True)
        for ready in self._ready.values():
            ready.program.close()
        self._ready.clear()

    def _program(self, height: int, width: int) -> Program:
        size = (height, width)
        if size in self._coming and self._coming[size].done():
            self._take_over(size)
        if size in self._ready:
            self._ready.move_to_end(size)
            return self._use(self._ready[size])
        if self._stand_in is None:
            return self._use(self._keep(size, self._backend))
        if not self._refused and size not in self._coming:
            self._builder = self._builder or ThreadPoolExecutor(1, "engine")
            arguments = (self._model, height, width, self._max_keypoints)
            self._coming[size] = self._builder.submit(self._backend.build, *arguments)
        return self._use(self._keep(size, self._stand_in))

    def _take_over(self, size: tuple[int, int]) -> None:
        """Serve from what was built in the background, or stay with the stand-in for good and say why."""
        try:
            program = self._coming.pop(size).result()
        except UserError as error:
            self._refused = True
            LOGGER.warning("stays with %s: %s", self._served_by, error)
            return
        self._put(size, _Ready(self._backend.name, program))

    def _keep(self, size: tuple[int, int], backend: Backend) -> _Ready:
        program = backend.build(self._model, *size, self._max_keypoints)
        return self._put(size, _Ready(backend.name, program))

    def _put(self, size: tuple[int, int], ready: _Ready) -> _Ready:
        replaced = self._ready.pop(size, None)
        self._ready[size] = ready
        gone = [replaced] if replaced else []
        if len(self._ready) > KEPT_SIZES:
            gone.append(self._ready.popitem(last=False)[1])
        for old in gone:
            old.program.close()
        return ready

    def _use(self, ready: _Ready) -> Program:
        self._served_by, self._precision = ready.backend, ready.program.precision
        return ready.program


def _free(built: Future[Program]) -> None:
    if not built.cancelled() and built.exception() is None:
        built.result().close()


def pad_to_stride(image: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    """Repeat the last row and column until both sides are multiples of ``stride``; the image itself where they are."""
    height, width = image.shape
    below, right = -height % stride, -width % stride
    if below == 0 and right == 0:
        return image
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)
