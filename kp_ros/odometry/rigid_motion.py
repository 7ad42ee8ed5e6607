"""Rotations and rigid motions, and how small changes of them are written.

A pose is float64 [4, 4], camera to world. Its small change is float64 [6], ``d = (dt, dr)`` in the camera's own axes,
metres and radians: ``R <- R exp(dr)``, ``t <- t + R dt``.
"""

from __future__ import annotations

import math

import numpy as np

from kp_ros.odometry.base import Float64

#: Below it, series take the place of quotients, radians.
_SMALL = 1e-6


def skew(vectors: Float64) -> Float64:
    """Cross-product matrices: float64 [..., 3] to [..., 3, 3], ``skew(a) @ b = a x b``."""
    matrices = np.zeros((*vectors.shape[:-1], 3, 3))
    matrices[..., 0, 1], matrices[..., 0, 2] = -vectors[..., 2], vectors[..., 1]
    matrices[..., 1, 0], matrices[..., 1, 2] = vectors[..., 2], -vectors[..., 0]
    matrices[..., 2, 0], matrices[..., 2, 1] = -vectors[..., 1], vectors[..., 0]
    return matrices


def rotation(vector: Float64) -> Float64:
    """Rotation vector, radians, to float64 [3, 3] (Rodrigues)."""
    angle = math.sqrt(vector @ vector)
    cross = skew(vector)
    if angle < _SMALL:
        return np.asarray(np.eye(3) + cross + cross @ cross / 2)
    sine, cosine = math.sin(angle) / angle, (1 - math.cos(angle)) / angle**2
    return np.asarray(np.eye(3) + sine * cross + cosine * cross @ cross)


def rotation_vector(matrix: Float64) -> Float64:
    """Float64 [3, 3] to the rotation vector, radians, of length 0 to pi."""
    axis = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]) / 2
    sine, cosine = math.sqrt(axis @ axis), (float(matrix[0, 0] + matrix[1, 1] + matrix[2, 2]) - 1) / 2
    angle = math.atan2(sine, cosine)
    if sine > _SMALL:
        return np.asarray(axis * (angle / sine))
    if cosine > 0:
        return axis
    # Half a turn: the axis is the column of R + I that is longest.
    columns = matrix + np.eye(3)
    column = columns[:, np.argmax(np.linalg.norm(columns, axis=0))]
    return np.asarray(column / np.linalg.norm(column) * angle)


def pose_of(matrix: Float64, translation: Float64) -> Float64:
    """Rotation [3, 3] and translation [3] to float64 [4, 4]."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = matrix, translation
    return pose


def inverse(pose: Float64) -> Float64:
    """The inverse of a rigid motion, float64 [4, 4]."""
    return pose_of(pose[:3, :3].T, -pose[:3, :3].T @ pose[:3, 3])


def moved(pose: Float64, change: Float64) -> Float64:
    """Apply a small change to a pose."""
    return pose_of(pose[:3, :3] @ rotation(change[3:]), pose[:3, 3] + pose[:3, :3] @ change[:3])


def orthonormal(pose: Float64) -> Float64:
    """The pose whose rotation is the nearest one to what rounding has made of it."""
    left, _, right = np.linalg.svd(pose[:3, :3])
    return pose_of(left @ right, pose[:3, 3])


def change_between(pose: Float64, other: Float64) -> Float64:
    """The change that makes ``other`` of ``pose``; the inverse of :func:`moved`."""
    turn = pose[:3, :3].T
    return np.concatenate([turn @ (other[:3, 3] - pose[:3, 3]), rotation_vector(turn @ other[:3, :3])])


def velocity(last: Float64, pose: Float64, seconds: float) -> Float64:
    """Mean velocity between two poses, float64 [6], metres and radians a second, in the second one's axes."""
    return np.asarray(-change_between(pose, last) / seconds)


def step_between(last: Float64, pose: Float64) -> Float64:
    """Motion from one pose to another, float64 [4, 4], in the first one's axes."""
    return inverse(last) @ pose


def in_world_axes(covariance: Float64, pose: Float64) -> Float64:
    """Covariance of a pose's change, float64 [6, 6], from the camera's axes to the world's."""
    turn = np.zeros((6, 6))
    turn[:3, :3] = turn[3:, 3:] = pose[:3, :3]
    return symmetric(turn @ covariance @ turn.T)


def carried_on(step: Float64) -> Float64:
    """How a change of a pose ``A`` changes ``A @ step``, both in their own axes: float64 [6, 6]."""
    turn = step[:3, :3].T
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = jacobian[3:, 3:] = turn
    jacobian[:3, 3:] = -turn @ skew(step[:3, 3])
    return jacobian


def composed_covariance(first: Float64, step: Float64, second: Float64) -> Float64:
    """Covariance of ``A @ step`` from that of ``A`` and that of ``step``, each in its own axes, independent."""
    jacobian = carried_on(step)
    return symmetric(jacobian @ first @ jacobian.T + second)


def symmetric(matrix: Float64) -> Float64:
    """What rounding made of a symmetric matrix, symmetric again."""
    return np.asarray((matrix + matrix.T) / 2)
