"""What one image tells of the tracked points, in the units that estimation wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Float32
from kp_ros.odometry.base import Float64, OdometryFrame
from kp_ros.odometry.lens import Lens

#: Factors on the deviation of the keypoint with the best and of that with the worst score of a frame.
_BEST, _WORST = 0.85, 1.15


@dataclass(frozen=True)
class Depths:
    """Measured inverse depths; a Gaussian suits them better than depths, for disparity is what is measured.

    :ivar inverse: float64 [N], 1 / metres along z; NaN where nothing was measured.
    :ivar deviation: float64 [N], standard deviation, 1 / metres; NaN likewise.
    """

    inverse: Float64
    deviation: Float64

    def __getitem__(self, index: Any) -> Depths:
        return Depths(self.inverse[index], self.deviation[index])

    @staticmethod
    def unknown(count: int) -> Depths:
        """Nothing was measured."""
        return Depths(np.full(count, np.nan), np.full(count, np.nan))


@dataclass(frozen=True)
class Observations:
    """Where the tracked points are seen in one image.

    :ivar track_id: uint32 [N], increasing.
    :ivar rays: float64 [N, 3], z = 1, camera's frame.
    :ivar whitening: float64 [N, 2, 2], makes of an error on the unit plane one of unit variance.
    :ivar depths: what was measured of their depths.
    :ivar rows: float64 [N], their rows from the image's middle one, as a share of its height, -0.5 to 0.5.
    """

    track_id: NDArray[np.uint32]
    rays: Float64
    whitening: Float64
    depths: Depths
    rows: Float64

    def __len__(self) -> int:
        return len(self.track_id)

    def __getitem__(self, index: Any) -> Observations:
        return Observations(
            self.track_id[index], self.rays[index], self.whitening[index], self.depths[index], self.rows[index]
        )


def deviations_by_score(scores: Float32, pixels: float) -> Float64:
    """Standard deviation of each keypoint, pixels: better scores weigh more.

    Detectors agree on the order of their scores but not on a scale, so it is the rank in the image that counts.

    :param scores: float32 [N].
    :param pixels: standard deviation of a keypoint of middling score.
    :returns: float64 [N].
    """
    if len(scores) < 2:
        return np.full(len(scores), pixels)
    rank = np.empty(len(scores))
    rank[np.argsort(-scores, kind="stable")] = np.linspace(0, 1, len(scores))
    return np.asarray(pixels * (_BEST + (_WORST - _BEST) * rank))


def whitening(scales: Float64, scores: Float32, pixels: float, covariance: Float64 | None) -> Float64:
    """Make of errors on the unit plane errors of unit variance.

    :param scales: float64 [N, 2, 2], derivative of pixels by the unit plane.
    :param scores: float32 [N].
    :param pixels: standard deviation of a keypoint of middling score, where there is no covariance.
    :param covariance: float64 [N, 2, 2], pixels squared, of each keypoint.
    """
    if covariance is None:
        return np.asarray(scales / deviations_by_score(scores, pixels)[:, None, None])
    roots = np.linalg.cholesky(covariance)
    return np.asarray(np.linalg.solve(roots, scales))


def observe(frame: OdometryFrame, lens: Lens, depths: Depths, pixels: float) -> Observations:
    """Put a frame's tracks into the units of estimation; those without a ray are left out.

    :param frame: the image with its tracks.
    :param lens: of its camera.
    :param depths: of its tracks.
    :param pixels: standard deviation of a keypoint of middling score.
    """
    tracks = frame.tracks
    rays, scales = lens(tracks.keypoints)
    white = whitening(scales, tracks.scores, pixels, frame.keypoint_covariance)
    order = np.argsort(tracks.track_id, kind="stable")
    order = order[np.isfinite(rays[order]).all(1) & np.isfinite(white[order]).all((1, 2))]
    height = frame.image.shape[0]
    rows = (tracks.keypoints[:, 1].astype(np.float64) - (height - 1) / 2) / height
    return Observations(tracks.track_id, rays, white, depths, rows)[order]
