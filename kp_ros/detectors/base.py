"""What a detector is, whatever computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError
from kp_ros.features import Features


class ModelError(UserError):
    """A model that cannot be used. The message names the file, what is wrong with it and what to do."""


@dataclass(frozen=True)
class DetectorInfo:
    """What is published on ``~/model``: enough to tell which program made a keypoint.

    :ivar name: model name (``kp_base``) or algorithm (``orb``).
    :ivar method: how it was made: ``pretraining``, ``traqpoint``, ...; ``classical`` for OpenCV's.
    :ivar sha256: of the model file's bytes; empty for classical detectors.
    :ivar descriptor_size: D, columns of ``Features.descriptors``.
    :ivar descriptor_dtype: ``float32`` or ``uint8``.
    :ivar descriptor_norm: ``l2`` or ``hamming``; ``none`` where there is no descriptor.
    :ivar max_keypoints: the most points that one call returns.
    :ivar backend: what runs it: ``onnxruntime-cpu``, ``opencv``, ...
    :ivar precision: as verified on the loaded model, not as asked for: ``fp32``, ``fp16``, ...
    """

    name: str
    method: str
    sha256: str
    descriptor_size: int
    descriptor_dtype: str
    descriptor_norm: str
    max_keypoints: int
    backend: str
    precision: str


class Detector(Protocol):
    """Image in, features out. Calls are not reentrant: one detector a thread."""

    @property
    def info(self) -> DetectorInfo:
        """Which model this is and what runs it."""
        ...

    def __call__(self, image: NDArray[np.uint8]) -> Features:
        """Detect and describe.

        :param image: uint8, [H, W] grey or [H, W, 3] BGR, any size, any row stride.
        :returns: at most ``info.max_keypoints`` features, best first, in pixels of ``image``.
        """
        ...

    def close(self) -> None:
        """Free what the detector holds; it cannot be called afterwards."""
        ...
