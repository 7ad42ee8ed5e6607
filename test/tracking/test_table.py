from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp_ros.features import Features
from kp_ros.tracking.table import TrackTable
from kp_ros.tracking.templates import Sampler


def features(count: int, size: int = 8, first: int = 0) -> Features:
    numbers = np.arange(first, first + count, dtype=np.float32)
    return Features(np.stack([numbers, -numbers], 1), numbers, np.repeat(numbers[:, None], size, 1))


def still(count: int) -> NDArray[np.float32]:
    return np.zeros((count, 2), np.float32)


def table_of(count: int, rows: int = 10) -> TrackTable:
    table = TrackTable(rows, Sampler(5, 2.0))
    table.describe_like(features(0))
    table.append(features(count), still(count), 0, checked=True)
    # A mark on each template and warp, to see where it goes.
    table.templates.patches[:count] = np.arange(count)[:, None, None]
    table.warp[..., :count] = np.arange(count)
    return table


def test_what_ends_makes_room_for_the_last() -> None:
    table = table_of(8)
    alive = np.array([True, False, True, False, True, True, False, True])
    before = table.keep(alive)
    assert sorted(before.tolist()) == np.flatnonzero(alive).tolist()
    assert table.tracks.track_id.tolist() == before.tolist()
    assert table.tracks.scores.tolist() == before.tolist()
    assert table.tracks.descriptors[:, 0].tolist() == before.tolist()
    assert table.templates.patches[: len(table), 0, 0].tolist() == before.tolist()
    assert table.warp[0, 0, : len(table)].tolist() == before.tolist()
    assert table.checked[: len(table), 0].tolist() == before.tolist()


def test_by_age_is_a_copy_in_the_order_of_the_ids() -> None:
    table = table_of(6)
    table.keep(np.array([False, True, True, True, True, True]))
    tracks = table.by_age()
    assert tracks.track_id.tolist() == [1, 2, 3, 4, 5]
    tracks.scores[:] = -1
    assert (table.tracks.scores >= 0).all()


def test_more_tracks_than_rows_make_more_rows() -> None:
    table = table_of(8)
    rows = table.append(features(30, first=8), still(30), 8, checked=False)
    assert rows.tolist() == list(range(8, 38))
    assert table.tracks.track_id.tolist() == list(range(38))
    assert table.tracks.descriptors[:, 3].tolist() == list(range(38))
    assert (table.tracks.age == 1).all()
    assert table.templates.patches[:8, 0, 0].tolist() == list(range(8))
    assert table.warp[1, 1, :8].tolist() == list(range(8))
    assert table.checked[:8, 0].tolist() == list(range(8))
    assert np.isnan(table.checked[8:]).all()


def test_what_a_new_track_is_expected_to_do_is_not_told() -> None:
    table = TrackTable(10, Sampler(5, 2.0))
    table.describe_like(features(0))
    table.append(features(3), np.full((3, 2), 7, np.float32), 0, checked=True)
    assert (table.by_age().velocity == 0).all()
    table.tracks.age[:] += np.uint32(1)
    assert (table.by_age().velocity == 7).all()


def test_another_kind_of_descriptor_ends_all() -> None:
    table = table_of(4)
    assert table.describes_like(features(2))
    assert not table.describes_like(features(2, size=9))
    table.describe_like(features(2, size=9))
    assert len(table) == 0
    table.append(features(2, size=9), still(2), 4, checked=True)
    assert table.tracks.descriptors.shape == (2, 9)
