from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.data.sampling import TRAQPOINT_CURRICULUM, LabelledPairs, OverlapSequences, SingleFrames
from training.data.sequence import DatasetError, LabelledPair, Sequence

RNG = np.random.default_rng(0)


def sequence(count: int, name: str = "a", **more: object) -> Sequence:
    names = tuple(str(index) for index in range(count))
    bare = Sequence(name, names, np.arange(count), lambda _: np.zeros((4, 4, 3), np.uint8))
    return replace(bare, **more)  # type: ignore[arg-type]


def drawn(sampler: object, count: int = 300, progress: float = 0.0) -> list:
    rng = np.random.default_rng(1)
    assert callable(sampler)
    return [sampler(rng, progress) for _ in range(count)]


def test_every_frame_of_every_sequence_is_drawn() -> None:
    sampler = SingleFrames([sequence(2), sequence(0), sequence(3)])
    frames = [choice.frames for choice in drawn(sampler)]
    assert set(frames) == {((0, 0),), ((0, 1),), ((2, 0),), ((2, 1),), ((2, 2),)}
    assert frames.count(((0, 1),)) == pytest.approx(60, abs=25)


def test_positive_pairs_are_near_in_time_negative_ones_of_two_places() -> None:
    sampler = LabelledPairs([sequence(50), sequence(30, "b")], negatives=0.4, longest_gap=3)
    choices = drawn(sampler)
    assert np.mean([choice.label < 0 for choice in choices]) == pytest.approx(0.4, abs=0.08)
    for choice in choices:
        (one, first), (other, second) = choice.frames
        if choice.label > 0:
            assert one == other
            assert 1 <= abs(first - second) <= 3
        else:
            assert one != other


def test_labels_of_the_data_come_first() -> None:
    pairs = (LabelledPair("0", "4", 1, 90), LabelledPair("1", "3", -1, 3))
    sampler = LabelledPairs([sequence(5, pairs=pairs)])
    found = {(frozenset(index for _, index in choice.frames), choice.label) for choice in drawn(sampler)}
    assert found == {(frozenset({0, 4}), 1), (frozenset({1, 3}), -1)}


def test_photographs_are_positive_with_themselves() -> None:
    sampler = LabelledPairs([sequence(5, ordered=False)], negatives=0.0)
    assert all(choice.frames[0] == choice.frames[1] for choice in drawn(sampler, 20))


def test_known_overlap_gives_positives() -> None:
    overlaps = np.zeros((3, 3), np.float32)
    overlaps[0, 2] = overlaps[2, 0] = 0.4
    sampler = LabelledPairs([sequence(3, ordered=False, overlaps=overlaps)], negatives=0.0)
    found = {frozenset(index for _, index in choice.frames) for choice in drawn(sampler)}
    assert found == {frozenset({0, 2}), frozenset({1})}


def test_negatives_need_two_places() -> None:
    with pytest.raises(DatasetError, match="gives no negative pairs"):
        LabelledPairs([sequence(5)])


def line(count: int) -> np.ndarray:
    """Overlap that falls by a tenth a frame."""
    index = np.arange(count)
    return np.clip(1 - 0.1 * np.abs(index[:, None] - index), 0, 1).astype(np.float32)


def test_sequences_overlap_their_reference_by_the_stage_of_the_curriculum() -> None:
    overlap = line(30)
    sampler = OverlapSequences([sequence(30, overlaps=overlap)], 5, TRAQPOINT_CURRICULUM)
    for progress, (low, high) in ((0.0, (0.5, 0.7)), (0.34, (0.3, 0.7)), (0.67, (0.1, 0.7)), (1.0, (0.1, 0.7))):
        assert sampler.stage(progress) == (low, high)
        seen = []
        for choice in drawn(sampler, 100, progress):
            (_, reference), *targets = choice.frames
            assert len({index for _, index in choice.frames}) == 5
            seen += [float(overlap[reference, index]) for _, index in targets]
        assert min(seen) >= low - 1e-6
        assert max(seen) <= high + 1e-6
        assert min(seen) < low + 0.11, "the stage's lowest overlap is used"


def test_overlap_counts_from_both_sides() -> None:
    overlaps = np.array([[1, 0.6], [0.05, 1]], np.float32)
    with pytest.raises(DatasetError, match="no frame has 1 others that see 10% to 70%"):
        OverlapSequences([sequence(2, overlaps=overlaps)])


def test_nothing_to_train_on() -> None:
    with pytest.raises(DatasetError, match="no frame to train on"):
        SingleFrames([])
