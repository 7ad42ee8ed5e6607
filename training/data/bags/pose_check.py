"""Whether poses agree with the images: how far verified matches lie from where the poses allow them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from training.data.bags.matching import Matcher
from training.data.sequence import Poses

#: Pairs of frames that are looked at, and how many frames apart they are.
PAIRS = 24
GAPS = (1, 2, 4, 8)
#: Matches that a pair needs.
LEAST_MATCHES = 20
#: Metres between two frames, below which only their rotation is tested: the direction of so small a step is noise.
LEAST_STEP = 0.02


@dataclass(frozen=True)
class PoseAgreement:
    """How far poses and images agree.

    :ivar pixels: median distance of matches from their epipolar lines (or, where the camera only turned, from the
        points that the rotation gives); NaN when nothing could be tested.
    :ivar pairs: of frames that were tested.
    """

    pixels: float
    pairs: int


def check_poses(candidates: list[Poses], camera: Camera, matcher: Matcher) -> list[PoseAgreement]:
    """Test several ways to read the poses on the same matches.

    :param candidates: float64 [F, 4, 4] each, camera to world, of the frames of ``matcher``.
    """
    errors: list[list[float]] = [[] for _ in candidates]
    focal = float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1]))
    for first, second in _pairs(len(matcher.files)):
        p, q = matcher.matches(first, second)
        if len(p) < LEAST_MATCHES:
            continue
        rays = [camera.rays(points.astype(np.float32)).astype(np.float64) for points in (p, q)]
        usable = np.isfinite(rays[0]).all(1) & np.isfinite(rays[1]).all(1)
        if usable.sum() < LEAST_MATCHES:
            continue
        for poses, found in zip(candidates, errors, strict=True):
            motion = np.linalg.inv(poses[second]) @ poses[first]
            found.append(focal * float(np.median(_angles(motion, rays[0][usable], rays[1][usable]))))
    return [PoseAgreement(float(np.median(found)) if found else float("nan"), len(found)) for found in errors]


def _pairs(count: int) -> list[tuple[int, int]]:
    pairs = [(index, index + gap) for gap in GAPS for index in range(0, count - gap)]
    return pairs[:: max(1, len(pairs) // PAIRS)][:PAIRS]


def _angles(motion: Poses, rays: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles between rays and their epipolar planes, radians; for a mere rotation, between rays and turned rays.

    :param motion: float64 [4, 4], of the first camera in the second.
    :param rays: float64 [N, 3], of the first camera.
    :param seen: float64 [N, 3], of the second.
    """
    turned = rays @ motion[:3, :3].T
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    if np.linalg.norm(motion[:3, 3]) < LEAST_STEP:
        return np.asarray(np.arccos(np.clip((turned * seen).sum(1), -1, 1)), np.float64)
    normals = np.cross(turned, motion[:3, 3])
    lengths = np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    return np.asarray(np.arcsin(np.clip(np.abs((normals * seen).sum(1)) / lengths, 0, 1)), np.float64)
