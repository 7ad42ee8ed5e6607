"""Which frames make a training item: single images, pairs by label, pairs by overlap, sequences by overlap."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.data.overlap import overlap_matrix
from training.data.sequence import DatasetError, Sequence


@dataclass(frozen=True)
class Choice:
    """The frames of one training item.

    :ivar frames: (number of the sequence, index of the frame), the reference first.
    :ivar label: +1 when all show the same scene, -1 when they show another.
    """

    frames: tuple[tuple[int, int], ...]
    label: int = 1


class FrameSampler(Protocol):
    """Chooses items."""

    @property
    def sequences(self) -> Many[Sequence]:
        """What is chosen from; :class:`Choice` numbers them."""
        ...

    def __call__(self, rng: np.random.Generator, progress: float) -> Choice:
        """Choose one item.

        :param progress: of the training, 0 to 1, for a curriculum.
        """
        ...


@dataclass(frozen=True, eq=False)
class SingleFrames:
    """One frame, every frame as likely as any other.

    :ivar sequences: at least one.
    """

    sequences: Many[Sequence]

    def __post_init__(self) -> None:
        _not_empty(self.sequences)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([len(sequence) for sequence in self.sequences])

    def __call__(self, rng: np.random.Generator, progress: float) -> Choice:
        """See :class:`FrameSampler`."""
        place = int(rng.integers(self._ends[-1]))
        number = int(np.searchsorted(self._ends, place, "right"))
        return Choice(((number, place - int(self._ends[number]) + len(self.sequences[number])),))


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """Pairs that are known to show the same scene, or another one: RIPE's.

    A positive pair is one that the data label so (``pairs.tsv``); where they label none, two frames that follow each
    other at most ``longest_gap`` frames apart, or two that overlap; of a collection of photographs, of which nothing is
    known, one photograph twice (augmentation makes two views of it). A negative pair is one that the data label so, or
    one frame each of two sequences: give no two sequences of one place.

    :ivar sequences: at least one; for negatives of unlabelled data at least two.
    :ivar negatives: share of negative pairs.
    :ivar longest_gap: frames.
    :ivar least_overlap: of frames whose overlap is known.
    """

    sequences: Many[Sequence]
    negatives: float = 0.5
    longest_gap: int = 10
    least_overlap: float = 0.1

    def __post_init__(self) -> None:
        _not_empty(self.sequences)
        if self.negatives > 0 and len(self.sequences) < 2 and not self._labelled[-1]:
            raise DatasetError(
                f"{self.sequences[0].name} alone gives no negative pairs: it labels none; add a sequence of another "
                "place or a folder of photographs, or set the share of negatives to 0"
            )

    @cached_property
    def _labelled(self) -> dict[int, list[tuple[int, int, int]]]:
        """Label -> (sequence, first, second)."""
        found: dict[int, list[tuple[int, int, int]]] = {1: [], -1: []}
        for number, sequence in enumerate(self.sequences):
            index = {name: place for place, name in enumerate(sequence.frame_names)}
            for pair in sequence.pairs:
                found[pair.label].append((number, index[pair.first], index[pair.second]))
        return found

    @cached_property
    def _by_sequence(self) -> dict[int, list[tuple[int, int]]]:
        grouped: dict[int, list[tuple[int, int]]] = {}
        for number, first, second in self._labelled[1]:
            grouped.setdefault(number, []).append((first, second))
        return grouped

    def __call__(self, rng: np.random.Generator, progress: float) -> Choice:
        """See :class:`FrameSampler`."""
        return self._negative(rng) if rng.random() < self.negatives else self._positive(rng)

    def _positive(self, rng: np.random.Generator) -> Choice:
        number, first = self._any(rng)
        sequence = self.sequences[number]
        if number in self._by_sequence:
            pairs = self._by_sequence[number]
            first, second = pairs[int(rng.integers(len(pairs)))]
        elif sequence.overlaps is not None:
            seen = np.flatnonzero(sequence.overlaps[first] >= self.least_overlap)
            second = int(rng.choice(seen)) if len(seen) else first
        elif sequence.ordered and len(sequence) > 1:
            low, high = max(0, first - self.longest_gap), min(len(sequence) - 1, first + self.longest_gap)
            second = int(rng.integers(low, high))
            second += second >= first
        else:
            second = first
        order = ((number, first), (number, second))
        return Choice(order if rng.random() < 0.5 else order[::-1], 1)

    def _negative(self, rng: np.random.Generator) -> Choice:
        labelled = self._labelled[-1]
        if labelled and (len(self.sequences) < 2 or rng.random() < 0.5):
            number, first, second = labelled[int(rng.integers(len(labelled)))]
            return Choice(((number, first), (number, second)), -1)
        one = self._any(rng)
        other = int(rng.integers(len(self.sequences) - 1))
        other += other >= one[0]
        return Choice((one, (other, int(rng.integers(len(self.sequences[other]))))), -1)

    def _any(self, rng: np.random.Generator) -> tuple[int, int]:
        ((number, index),) = SingleFrames(self.sequences)(rng, 0.0).frames
        return number, index


@dataclass(frozen=True, eq=False)
class OverlapSequences:
    """A reference frame and others that overlap it: pairs for DaD and RFP, five frames for TraqPoint.

    :ivar sequences: with depth, poses and calibration, or with known overlap.
    :ivar frames: of an item, the reference among them.
    :ivar curriculum: least and greatest overlap, one a stage; the stages share the training evenly. TraqPoint goes from
        high overlap to 0.1 to 0.7 by thirds.
    """

    sequences: Many[Sequence]
    frames: int = 2
    curriculum: tuple[tuple[float, float], ...] = ((0.1, 0.7),)

    def __post_init__(self) -> None:
        _not_empty(self.sequences)
        for low, high in self.curriculum:
            if not self._references(low, high):
                raise DatasetError(
                    f"no frame has {self.frames - 1} others that see {low:.0%} to {high:.0%} of it; record more views, "
                    "or widen the curriculum"
                )

    @cached_property
    def _overlaps(self) -> list[NDArray[np.float32]]:
        # What both see of each other: a detail of a wide view is no good pair, whichever is the reference.
        matrices = [overlap_matrix(sequence) for sequence in self.sequences]
        return [np.minimum(matrix, matrix.T) for matrix in matrices]

    @cached_property
    def _known_references(self) -> dict[tuple[float, float], list[tuple[int, int]]]:
        return {}

    def _references(self, low: float, high: float) -> list[tuple[int, int]]:
        """Frames with enough others in a range of overlap."""
        known = self._known_references
        if (low, high) not in known:
            known[low, high] = [
                (number, int(index))
                for number, overlap in enumerate(self._overlaps)
                for index in np.flatnonzero(_within(overlap, low, high).sum(1) >= self.frames - 1)
            ]
        return known[low, high]

    def stage(self, progress: float) -> tuple[float, float]:
        """Least and greatest overlap at a progress of 0 to 1."""
        count = len(self.curriculum)
        return self.curriculum[min(count - 1, int(progress * count))]

    def __call__(self, rng: np.random.Generator, progress: float) -> Choice:
        """See :class:`FrameSampler`."""
        low, high = self.stage(progress)
        references = self._references(low, high)
        number, reference = references[int(rng.integers(len(references)))]
        others = np.flatnonzero(_within(self._overlaps[number], low, high)[reference])
        chosen = rng.choice(others, self.frames - 1, replace=False)
        return Choice(((number, reference), *((number, int(other)) for other in chosen)))


#: TraqPoint's: from high overlap to low, by thirds of the training.
TRAQPOINT_CURRICULUM = ((0.5, 0.7), (0.3, 0.7), (0.1, 0.7))


def _within(overlap: NDArray[np.float32], low: float, high: float) -> NDArray[np.bool_]:
    """Pairs in a range of overlap; a frame is no partner of itself."""
    return np.asarray((overlap >= low) & (overlap <= high) & ~np.eye(len(overlap), dtype=np.bool_), np.bool_)


def _not_empty(sequences: Many[Sequence]) -> None:
    if not any(len(sequence) for sequence in sequences):
        raise DatasetError("there is no frame to train on; name a data set with frames")
