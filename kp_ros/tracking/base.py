"""What a tracker is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.features import Features, Tracks


class Tracker(Protocol):
    """Carries points from image to image and gives each a persistent id and an age.

    Most of the work needs no detections: :meth:`follow` may run while the detector does, :meth:`join` when it is done,
    or, where :meth:`needs_detections` says so, at once.
    """

    def follow(self, image: NDArray[np.uint8], stamp_ns: int, camera: Camera | None) -> Any:
        """Do what can be done of :meth:`update` before the detections are known.

        :returns: what :meth:`join` takes. Where that is never called, the image is as if it had not been.
        """
        ...

    def needs_detections(self, followed: Any) -> bool:
        """Tell whether :meth:`join` looks at the detections of what :meth:`follow` gave last."""
        ...

    def join(self, followed: Any, features: Features | None) -> Tracks:
        """Do the rest of :meth:`update`, with what :meth:`follow` gave last.

        :param features: what the detector found; None only where that is not needed.
        """
        ...

    def update(self, image: NDArray[np.uint8], stamp_ns: int, features: Features, camera: Camera | None) -> Tracks:
        """Carry the tracks on to one more image.

        :param image: uint8 [H, W], grey; the same size as the one before.
        :param stamp_ns: when it was taken, nanoseconds; later than the one before.
        :param features: what the detector found in it.
        :param camera: its intrinsics, where they are known.
        """
        ...

    def reset(self) -> None:
        """Forget all tracks; ids go on counting and are never used again."""
        ...
