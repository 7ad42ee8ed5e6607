"""How much of one frame another one sees, from depth and poses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.data.sequence import DatasetError, Sequence

#: Points of a frame, across and down, that are looked for in the others.
GRID = (24, 18)
#: Depth maps are kept at about this width: overlap is a share, not a position.
SMALL_WIDTH = 80
#: A point is seen when its depth agrees to this share.
DEPTH_AGREES = 0.1
#: What is infinitely far is taken as being so far, metres.
SKY = 1000.0


def overlap_matrix(sequence: Sequence, window: int = 400) -> NDArray[np.float32]:
    """The share of frame i's points of known depth that frame j sees: inside its image and not hidden.

    Lens distortion is left out of account: it moves points by a few pixels, which shares hardly feel.

    :param window: frames that are farther apart in the sequence are not compared (0), which keeps long ones quick.
    :returns: float32 [F, F]; row i is 0 where frame i has no pose or no depth.
    :raises DatasetError: the sequence has no depth, poses or cameras.
    """
    if sequence.overlaps is not None:
        return sequence.overlaps
    if sequence.load_depth is None or sequence.poses is None or sequence.cameras is None:
        raise DatasetError(f"{sequence.name}: overlap needs depth, poses and calibration, and it lacks one of them")
    count = len(sequence)
    depths = [_small(sequence, index) for index in range(count)]
    from_world = np.linalg.inv(np.where(np.isfinite(sequence.poses), sequence.poses, np.eye(4)))
    known = np.isfinite(sequence.poses[:, 0, 0])
    overlaps = np.zeros((count, count), np.float32)
    for index in np.flatnonzero(known).tolist():
        others = np.arange(max(0, index - window), min(count, index + window + 1))
        others = others[known[others]]
        points = _points(sequence, index, depths[index])
        if len(points) == 0:
            continue
        for other in others.tolist():
            overlaps[index, other] = _seen(sequence, other, depths[other], points, from_world[other]).mean()
    return overlaps


def _small(sequence: Sequence, index: int) -> NDArray[np.float32]:
    depth = sequence.depth(index)
    assert depth is not None
    step = max(1, depth.shape[1] // SMALL_WIDTH)
    # Single samples: the mean of two depths at an edge is on neither surface.
    return np.asarray(np.minimum(depth[step // 2 :: step, step // 2 :: step], SKY), np.float32)


def _points(sequence: Sequence, index: int, depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64 [N, 3], world metres."""
    assert sequence.cameras is not None
    assert sequence.poses is not None
    camera, pose = sequence.cameras[index], sequence.poses[index]
    height, width = depth.shape
    rows = np.unique(np.linspace(0, height - 1, GRID[1]).round().astype(int))
    columns = np.unique(np.linspace(0, width - 1, GRID[0]).round().astype(int))
    y, x = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    z = depth[y, x].astype(np.float64)
    x, y, z = x[z > 0], y[z > 0], z[z > 0]
    pixels = np.stack(
        [(x + 0.5) * camera.width / width - 0.5, (y + 0.5) * camera.height / height - 0.5, np.ones(len(x))]
    )
    points = np.linalg.inv(camera.matrix) @ pixels * z
    return np.asarray((pose[:3, :3] @ points + pose[:3, 3:]).T, np.float64)


def _seen(
    sequence: Sequence,
    index: int,
    depth: NDArray[np.float32],
    points: NDArray[np.float64],
    from_world: NDArray[np.float64],
) -> NDArray[np.bool_]:
    assert sequence.cameras is not None
    camera = sequence.cameras[index]
    moved = points @ from_world[:3, :3].T + from_world[:3, 3]
    z = moved[:, 2]
    before = z > 1e-3
    projected = moved @ camera.matrix.T
    pixels = projected[:, :2] / np.where(before, z, 1)[:, None]
    height, width = depth.shape
    x = np.floor((pixels[:, 0] + 0.5) * width / camera.width)
    y = np.floor((pixels[:, 1] + 0.5) * height / camera.height)
    inside = before & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    there = np.zeros(len(points))
    there[inside] = depth[y[inside].astype(int), x[inside].astype(int)]
    return np.asarray((there > 0) & (np.abs(there - z) < DEPTH_AGREES * np.maximum(there, z)), np.bool_)
