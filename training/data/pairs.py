"""Pairs of frames that are known to show the same scene, or another one: all that RIPE learns from.

pairs.tsv    first second label inliers: two frames' names, +1 or -1, and how many matches one epipolar geometry
             explains
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from training.data.sequence import DatasetError, LabelledPair

FILE = "pairs.tsv"
HEADER = "first\tsecond\tlabel\tinliers"


def write_pairs(pairs: Iterable[LabelledPair], folder: Path) -> None:
    """Write ``pairs.tsv`` into a sequence's folder."""
    lines = [f"{pair.first}\t{pair.second}\t{pair.label:+d}\t{pair.inliers}" for pair in pairs]
    (folder / FILE).write_text("\n".join([HEADER, *lines]) + "\n")


def read_pairs(folder: Path) -> tuple[LabelledPair, ...]:
    """Read a sequence's ``pairs.tsv``; none where there is no such file.

    :raises DatasetError: it is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return ()
    pairs = []
    for line in file.read_text().splitlines()[1:]:
        try:
            first, second, label, inliers = line.split("\t")
            pair = LabelledPair(first, second, int(label), int(inliers))
        except ValueError as error:
            raise DatasetError(f"{file}: '{line}' is no pair (first, second, label, inliers): {error}") from error
        if pair.label not in (-1, 1):
            raise DatasetError(f"{file}: the label of '{line}' must be +1 or -1")
        pairs.append(pair)
    return tuple(pairs)
