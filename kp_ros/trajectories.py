"""Trajectories as files, and how far one is from the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kp_ros.errors import UserError

Float64 = NDArray[np.float64]
#: Stamps of estimate and truth that differ by more do not belong together, seconds: evo's default.
ASSOCIATION = 0.01


@dataclass(frozen=True, eq=False)
class StampedPoses:
    """A trajectory.

    :ivar times: float64 [N], seconds (or numbers of frames), ascending.
    :ivar poses: float64 [N, 4, 4], camera to world.
    """

    times: Float64
    poses: Float64

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, eq=False)
class TrajectoryError:
    """How far an estimate is from the truth.

    :ivar times: float64 [N], of the poses that have a true one.
    :ivar truth: float64 [N, 4, 4].
    :ivar aligned: float64 [N, 4, 4], the estimate moved (and, where its scale is free, scaled) onto the truth.
    :ivar positions: float64 [N], distances between the two, metres.
    :ivar ate: root mean square of ``positions``, metres.
    :ivar rpe_translation: root mean square of the error of the motion from pose to pose, metres.
    :ivar rpe_rotation: likewise, degrees.
    :ivar scale: that the estimate was multiplied by.
    """

    times: Float64
    truth: Float64
    aligned: Float64
    positions: Float64
    ate: float
    rpe_translation: float
    rpe_rotation: float
    scale: float


def tum_line(time: str, pose: Float64) -> str:
    """One line of a TUM trajectory: ``time tx ty tz qx qy qz qw``."""
    values = [*pose[:3, 3].tolist(), *quaternion_of(pose[:3, :3])]
    return " ".join([time, *(f"{value:.9f}" for value in values)])


def read_tum(path: Path) -> StampedPoses:
    """Read a TUM trajectory; lines that begin with # are passed over.

    :raises UserError: the file is missing, or a line is no pose.
    """
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        values = np.array([[float(value) for value in line] for line in lines], np.float64)
        if values.ndim != 2 or values.shape[1] != 8:
            raise ValueError("a line does not hold 8 values")
        if (np.linalg.norm(values[:, 4:], axis=1) == 0).any():
            raise ValueError("a quaternion is 0")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; name a TUM trajectory") from error
    except ValueError as error:
        raise UserError(
            f"{path} is no TUM trajectory ({error}); its lines must be: timestamp tx ty tz qx qy qz qw"
        ) from error
    poses = np.tile(np.eye(4), (len(values), 1, 1))
    poses[:, :3, 3] = values[:, 1:4]
    poses[:, :3, :3] = [rotation_of(quaternion) for quaternion in values[:, 4:]]
    return StampedPoses(values[:, 0], poses)


def trajectory_error(
    estimate: StampedPoses, truth: StampedPoses, segments: Sequence[int] | None = None, scale: bool = False
) -> TrajectoryError | None:
    """Compare a trajectory with the truth, as evo_ape and evo_rpe with ``--align`` do (tests compare with evo itself).

    Each estimate is paired with the true pose of the nearest time. All poses are aligned at once by Umeyama's method
    (1991); where the scale is free, every segment on its own, for each has a scale of its own.

    :param segments: of each estimate; None means that there is one.
    :param scale: the estimate's scale is unknown: find it too.
    :returns: None where fewer than three poses have a true one.
    """
    indices, partners = _associate(estimate.times, truth.times)
    if len(indices) < 3:
        return None
    times, found, true = estimate.times[indices], estimate.poses[indices], truth.poses[partners]
    numbers = np.zeros(len(indices), int) if segments is None else np.asarray(segments)[indices]
    aligned = np.empty_like(found)
    factors = []
    parts = [numbers == number for number in np.unique(numbers)] if scale else [np.ones(len(found), bool)]
    for part in parts:
        rotation, translation, factor = umeyama(found[part, :3, 3], true[part, :3, 3], scale)
        factors.append(factor)
        aligned[part] = found[part]
        aligned[part, :3, :3] = rotation @ found[part, :3, :3]
        aligned[part, :3, 3] = factor * found[part, :3, 3] @ rotation.T + translation
    positions = np.linalg.norm(aligned[:, :3, 3] - true[:, :3, 3], axis=1)
    # Motion across the border of two segments is nobody's estimate.
    steps = np.flatnonzero(numbers[1:] == numbers[:-1])
    translations, rotations = _relative_errors(aligned, true, steps)
    return TrajectoryError(
        times,
        true,
        aligned,
        positions,
        _root_mean_square(positions),
        _root_mean_square(translations),
        _root_mean_square(rotations),
        float(np.median(factors)),
    )


def umeyama(source: Float64, target: Float64, scale: bool) -> tuple[Float64, Float64, float]:
    """The rotation, translation and scale that bring points onto others with the least squared distance.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991. Points on a
    line leave the turn about it open; any is then as good.

    :param source: float64 [N, 3].
    :param target: float64 [N, 3].
    :returns: R [3, 3], t [3] and c, so that ``target = c R source + t``.
    """
    mean_source, mean_target = source.mean(0), target.mean(0)
    centred = source - mean_source
    left, values, right = np.linalg.svd((target - mean_target).T @ centred / len(source))
    signs = np.ones(3)
    if np.linalg.det(left) * np.linalg.det(right) < 0:
        signs[2] = -1
    rotation = left @ np.diag(signs) @ right
    variance = float((centred**2).sum() / len(source))
    factor = float(values @ signs) / variance if scale and variance > 0 else 1.0
    return rotation, mean_target - factor * rotation @ mean_source, factor


def _associate(times: Float64, others: Float64) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which of some times have a partner among others, and which; a partner is taken once."""
    order = np.argsort(others)
    after = np.clip(np.searchsorted(others[order], times), 0, len(others) - 1)
    before = np.maximum(after - 1, 0)
    gap_before, gap_after = np.abs(times - others[order[before]]), np.abs(times - others[order[after]])
    nearest = order[np.where(gap_before < gap_after, before, after)]
    close = np.flatnonzero(np.abs(times - others[nearest]) <= ASSOCIATION)
    _, first = np.unique(nearest[close], return_index=True)
    chosen = close[np.sort(first)]
    return chosen, nearest[chosen]


def _relative_errors(estimate: Float64, truth: Float64, steps: NDArray[np.intp]) -> tuple[Float64, Float64]:
    """Errors of the motion from each of some poses to the next: metres and degrees."""
    if len(steps) == 0:
        return np.zeros(0), np.zeros(0)
    motion = np.linalg.inv(estimate[steps]) @ estimate[steps + 1]
    true_motion = np.linalg.inv(truth[steps]) @ truth[steps + 1]
    error = np.linalg.inv(true_motion) @ motion
    cosine = np.clip((np.trace(error[:, :3, :3], axis1=1, axis2=2) - 1) / 2, -1, 1)
    # Of small angles the cosine knows nothing; the sine does.
    skew = error[:, :3, :3] - error[:, :3, :3].transpose(0, 2, 1)
    sine = np.linalg.norm(skew[:, [2, 0, 1], [1, 2, 0]], axis=1) / 2
    return np.linalg.norm(error[:, :3, 3], axis=1), np.degrees(np.arctan2(sine, cosine))


def _root_mean_square(values: Float64) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def rotation_of(quaternion: Float64) -> Float64:
    """Rotation matrix of x y z w, of any length but 0."""
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of(rotation: Float64) -> tuple[float, float, float, float]:
    """x y z w of a rotation matrix, w not negative (Shepperd 1978: from the largest of the four, for its precision)."""
    trace = np.trace(rotation)
    squares = np.array([*(1 + 2 * np.diag(rotation) - trace), 1 + trace])
    largest = int(squares.argmax())
    if largest == 3:
        vector = [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
        quaternion = np.array([*vector, squares[3]])
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        quaternion = np.empty(4)
        quaternion[i], quaternion[3] = squares[i], rotation[k, j] - rotation[j, k]
        quaternion[j], quaternion[k] = rotation[j, i] + rotation[i, j], rotation[k, i] + rotation[i, k]
    quaternion *= np.copysign(1 / np.linalg.norm(quaternion), quaternion[3])
    x, y, z, w = (float(value) for value in quaternion)
    return x, y, z, w
