"""From paths to what can be judged: sequences with cameras and poses, and sets of image pairs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Sequences
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from training.data.photographs import EXTENSIONS
from training.data.readers.opening import open_sequences
from training.data.sequence import DatasetError, Sequence
from training.evaluation.pair_sets import PairSet
from training.evaluation.protocols.homography_sets import is_homography_set, read_homography_set
from training.evaluation.protocols.megadepth_1500 import is_megadepth_1500, read_megadepth_1500
from training.evaluation.protocols.scannet_1500 import is_scannet_1500, read_scannet_1500

#: How a set's folder is told by its looks, and what opens it.
PAIR_SETS: tuple[tuple[Callable[[Path], bool], Callable[[Path], PairSet]], ...] = (
    (is_megadepth_1500, read_megadepth_1500),
    (is_scannet_1500, read_scannet_1500),
    (is_homography_set, read_homography_set),
)
#: A sequence of fewer frames has no tracks worth counting.
FEWEST_FRAMES = 5


@dataclass
class Found:
    """What lies at the paths.

    :ivar sequences: with cameras and a pose for every frame, in the order of time.
    :ivar pair_sets: with their published protocols.
    :ivar notes: what was left out, and why.
    """

    sequences: list[Sequence] = field(default_factory=list)
    pair_sets: list[PairSet] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def discover(paths: Sequences[Path], names: Sequences[str], frames: int | None) -> Found:
    """Open all that can be judged.

    :param paths: sequences, folders of them, homography sets, MegaDepth-1500, ScanNet-1500.
    :param names: only sequences and sets of these names; empty: all.
    :param frames: only the first so many frames of a sequence; None: all.
    :raises DatasetError: there is nothing to judge, or something is damaged.
    """
    found = Found()
    for path in paths:
        if not path.exists():
            raise DatasetError(f"{path} does not exist; --data takes a sequence, a folder of sequences or a pair set")
        _open(path, found)
    known = [sequence.name for sequence in found.sequences] + [pairs.name for pairs in found.pair_sets]
    missing = [name for name in names if name not in known]
    if missing:
        raise DatasetError(f"there is no {', '.join(missing)} in the data; it holds: {', '.join(known) or 'nothing'}")
    if names:
        found.sequences = [sequence for sequence in found.sequences if sequence.name in names]
        found.pair_sets = [pairs for pairs in found.pair_sets if pairs.name in names]
    if frames is not None:
        found.sequences = [sequence.subset(range(min(frames, len(sequence)))) for sequence in found.sequences]
    if not found.sequences and not found.pair_sets:
        reasons = "; ".join(found.notes) or "no known layout"
        raise DatasetError(f"nothing in {', '.join(map(str, paths))} can be judged: {reasons}")
    return found


def _open(path: Path, found: Found) -> None:
    own = _pair_set(path)
    if own is not None:
        found.pair_sets.append(own(path))
        return
    # A folder of data sets, as shared/data is: sets are one level down.
    inner = sorted(folder for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
    sets = {folder: read for folder in inner if (read := _pair_set(folder)) is not None}
    found.pair_sets += [read(folder) for folder, read in sets.items()]
    if not sets:
        _add(open_sequences(path), found)
        return
    for folder in inner:
        if folder not in sets and any(file.suffix.lower() in EXTENSIONS for file in folder.rglob("*")):
            try:
                _add(open_sequences(folder), found)
            except DatasetError as error:
                found.notes.append(f"{folder.name} left out: {error}")


def _pair_set(folder: Path) -> Callable[[Path], PairSet] | None:
    """What opens a folder as a set of pairs; None where it is none."""
    return next((read for is_set, read in PAIR_SETS if folder.is_dir() and is_set(folder)), None)


def _add(opened: Sequences[Sequence], found: Found) -> None:
    for sequence in opened:
        usable = _usable(sequence)
        if isinstance(usable, Sequence):
            found.sequences.append(usable)
        elif usable is not None:
            found.notes.append(usable)


def _usable(sequence: Sequence) -> Sequence | str | None:
    """The frames whose pose is known, or why the sequence cannot be judged; None for mere photographs."""
    if not sequence.ordered and sequence.poses is None:
        return None
    if sequence.cameras is None or sequence.poses is None:
        lacking = "calibration" if sequence.cameras is None else "poses"
        return f"{sequence.name} left out: it has no {lacking}"
    if not sequence.ordered:
        return f"{sequence.name} left out: a collection of photographs is no sequence"
    known = np.flatnonzero(np.isfinite(sequence.poses).all((1, 2)))
    if len(known) < FEWEST_FRAMES:
        return f"{sequence.name} left out: only {len(known)} of its frames have a pose"
    return sequence if len(known) == len(sequence) else sequence.subset(known)


def with_estimator(pair_set: PairSet, estimator: str | None, threshold: float | None) -> PairSet:
    """The same set with another estimator or threshold; None keeps the protocol's own."""
    return replace(pair_set, protocol=pair_set.protocol.with_estimator(estimator, threshold))
