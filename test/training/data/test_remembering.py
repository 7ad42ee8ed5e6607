from __future__ import annotations

import numpy as np
import pytest

from training.data.remembering import Memory, remembered
from training.data.sequence import Sequence


class Counting:
    """Loads arrays of one megabyte, and counts."""

    def __init__(self) -> None:
        self.loaded: list[int] = []

    def __call__(self, index: int) -> np.ndarray:
        self.loaded.append(index)
        return np.full((1000, 1000), index, np.uint8)


def test_what_was_loaded_is_not_loaded_again_until_it_is_forgotten() -> None:
    load = Counting()
    sequence = remembered(Sequence("a", ("0", "1", "2"), np.arange(3), load, load_depth=load), Memory(2.5))
    for index in (0, 1, 0, 1):
        assert sequence.image(index)[5, 5] == index
    assert load.loaded == [0, 1]
    sequence.image(0)
    sequence.image(2)
    assert load.loaded == [0, 1, 2]
    sequence.image(0)
    assert load.loaded == [0, 1, 2], "0 was used after 1, so 1 was forgotten"
    sequence.image(1)
    assert load.loaded == [0, 1, 2, 1]


def test_images_depth_and_other_sequences_do_not_mix() -> None:
    memory, loads = Memory(100), [Counting(), Counting(), Counting()]
    one = remembered(Sequence("a", ("0",), np.arange(1), loads[0], load_depth=loads[1]), memory)
    other = remembered(Sequence("b", ("0",), np.arange(1), loads[2]), memory)
    one.image(0)
    one.depth(0)
    other.image(0)
    assert [load.loaded for load in loads] == [[0], [0], [0]]
    with pytest.raises(ValueError, match="read-only"):
        one.image(0)[0, 0] = 1
