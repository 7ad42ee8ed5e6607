from __future__ import annotations

import itertools

from kp_ros.synchronisation import Pair, Synchroniser

MS = 1_000_000


def test_equal_stamps_pair_in_whatever_order_they_come() -> None:
    for order in itertools.permutations([("first", 0), ("second", 0), ("first", 33), ("second", 33)]):
        if [one for one in order if one[0] == "first"] != [("first", 0), ("first", 33)]:
            continue
        if [one for one in order if one[0] == "second"] != [("second", 0), ("second", 33)]:
            continue
        pairs: Synchroniser[int, int] = Synchroniser(5 * MS)
        found = []
        for stream, stamp in order:
            add = pairs.add_first if stream == "first" else pairs.add_second
            found.append(add(stamp * MS, stamp))
        assert [pair for pair in found if pair] == [Pair(0, 0, 0), Pair(33 * MS, 33, 33)], order


def test_the_nearest_within_the_tolerance_is_taken() -> None:
    pairs: Synchroniser[str, str] = Synchroniser(10 * MS)
    assert pairs.add_second(0, "far") is None
    assert pairs.add_second(8 * MS, "near") is None
    assert pairs.add_first(9 * MS, "image") == Pair(9 * MS, "image", "near")
    assert pairs.unpaired_second == 1


def test_beyond_the_tolerance_nothing_pairs() -> None:
    pairs: Synchroniser[str, str] = Synchroniser(10 * MS)
    assert pairs.add_first(0, "image") is None
    assert pairs.add_second(10 * MS + 1, "depth") is None
    assert pairs.add_first(20 * MS, "next") == Pair(20 * MS, "next", "depth")
    assert pairs.unpaired_first == 1


def test_a_pair_is_given_once() -> None:
    pairs: Synchroniser[str, str] = Synchroniser(10 * MS)
    pairs.add_first(0, "image")
    assert pairs.add_second(1, "depth") is not None
    assert pairs.add_second(2, "more") is None
    assert pairs.add_first(5 * MS, "next") == Pair(5 * MS, "next", "more")


def test_no_more_than_its_capacity_waits() -> None:
    pairs: Synchroniser[int, int] = Synchroniser(MS, capacity=3)
    for index in range(10):
        assert pairs.add_first(index * 100 * MS, index) is None
    assert pairs.unpaired_first == 7
    assert pairs.add_second(600 * MS, 6) is None
    assert pairs.add_second(700 * MS, 7) == Pair(700 * MS, 7, 7)


def test_a_bag_that_loops_begins_anew() -> None:
    pairs: Synchroniser[str, str] = Synchroniser(MS)
    pairs.add_first(500 * MS, "old")
    pairs.add_second(400 * MS, "old")
    assert pairs.add_first(0, "new") is None
    assert pairs.add_second(0, "new") == Pair(0, "new", "new")
    assert pairs.unpaired_first == 1
    assert pairs.add_first(33 * MS, "next") is None
    assert pairs.add_second(33 * MS, "next") == Pair(33 * MS, "next", "next")
