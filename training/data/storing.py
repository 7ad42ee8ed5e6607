"""Frames of slow sequences (rendered ones) on the disk, made once and mapped into memory by all processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp_ros.recordings.output import OutputFile
from training.data.overlap import overlap_matrix
from training.data.sequence import Sequence


@dataclass(frozen=True, eq=False)
class _Stored:
    """One row of a file; opened anew by every process that loads."""

    file: Path

    def __call__(self, index: int) -> NDArray[Any]:
        return np.array(np.load(self.file, mmap_mode="r")[index])


def stored(sequence: Sequence, folder: Path, depth: bool = True) -> Sequence:
    """The same sequence, whose images and depth are read from ``folder``, and written there first where they are not.

    How much the frames see of each other is kept as well, for it takes long.

    :param sequence: frames of one size.
    :param folder: for this sequence and no other; what is in it is believed.
    :param depth: false leaves depth as it is: quick to compute.
    """
    load_depth, count = sequence.load_depth, len(sequence)
    if depth and load_depth is not None:
        load_depth = _kept(load_depth, count, folder / "depth.npy")
    result = replace(
        sequence, load_image=_kept(sequence.load_image, count, folder / "images.npy"), load_depth=load_depth
    )
    if load_depth is None or sequence.poses is None or sequence.cameras is None:
        return result
    overlaps = folder / "overlaps.npy"
    if not overlaps.exists():
        with OutputFile(overlaps) as temporary:
            np.save(temporary, overlap_matrix(result))
    return replace(result, overlaps=np.load(overlaps))


def _kept(load: Callable[[int], NDArray[Any]], count: int, file: Path) -> _Stored:
    if not file.exists():
        first = load(0)
        with OutputFile(file) as temporary:
            rows = np.lib.format.open_memmap(temporary, "w+", first.dtype, (count, *first.shape))
            rows[0] = first
            for index in range(1, count):
                rows[index] = load(index)
            rows.flush()
    return _Stored(file)
