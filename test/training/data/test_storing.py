from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.data.sequence import Sequence
from training.data.storing import stored


class Counting:
    """Loads small arrays, and counts."""

    def __init__(self, kind: type, fail_at: int | None = None) -> None:
        self.kind, self.fail_at, self.loaded = kind, fail_at, 0

    def __call__(self, index: int) -> np.ndarray:
        if index == self.fail_at:
            raise RuntimeError("killed")
        self.loaded += 1
        return np.full((4, 6), index, self.kind)


def test_frames_are_made_once(tmp_path: Path) -> None:
    image, depth = Counting(np.uint8), Counting(np.float32)
    sequence = Sequence("a", ("0", "1", "2"), np.arange(3), image, load_depth=depth)
    for _ in range(2):
        kept = pickle.loads(pickle.dumps(stored(sequence, tmp_path)))
        for index in (2, 0, 2):
            assert (kept.image(index) == index).all() and kept.image(index).dtype == np.uint8
            assert (kept.depth(index) == index).all() and kept.depth(index).dtype == np.float32
    assert image.loaded == depth.loaded == 3
    kept.image(1)[:] = 9
    assert (kept.image(1) == 1).all()


def test_a_kill_leaves_nothing_that_is_half_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        stored(Sequence("a", ("0", "1"), np.arange(2), Counting(np.uint8, fail_at=1)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_depth_that_is_quick_to_compute_is_not_kept_and_overlap_is(tmp_path: Path) -> None:
    world = RenderedWorlds(1, settings=RenderedSettings(64, 48, 4, 4.0, rooms=1.0))[0]
    kept = stored(world, tmp_path, depth=False)
    assert {file.name for file in tmp_path.iterdir()} == {"images.npy", "overlaps.npy"}
    np.testing.assert_array_equal(kept.image(2), world.image(2))
    assert kept.overlaps is not None and kept.overlaps.shape == (4, 4) and (np.diag(kept.overlaps) > 0.9).all()
