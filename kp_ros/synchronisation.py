"""Images of two topics, or two files, that belong together by their stamps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


@dataclass(frozen=True)
class Pair(Generic[First, Second]):
    """Two messages of about the same time.

    :ivar stamp_ns: of the first.
    """

    stamp_ns: int
    first: First
    second: Second


class Synchroniser(Generic[First, Second]):
    """Pairs the messages of two streams whose stamps differ by no more than a tolerance.

    Of those that wait, the nearest is taken, and a pair is given as soon as its second half has come; pairs come in the
    order of time. What is older than a pair will never be one and is forgotten, and so is the oldest when more than
    ``capacity`` wait. A stream whose stamps jump back (a bag that loops) forgets what waited in it.

    :param tolerance_ns: the most that the stamps of a pair differ, nanoseconds.
    :param capacity: messages of each stream that wait for their partner.
    :ivar unpaired_first: messages of the first stream that were forgotten without a partner.
    :ivar unpaired_second: likewise.
    """

    def __init__(self, tolerance_ns: int, capacity: int = 10) -> None:
        self.tolerance_ns = tolerance_ns
        self.unpaired_first = 0
        self.unpaired_second = 0
        self._capacity = capacity
        self._first: deque[tuple[int, First]] = deque()
        self._second: deque[tuple[int, Second]] = deque()

    def add_first(self, stamp_ns: int, item: First) -> Pair[First, Second] | None:
        """Take in a message of the first stream; the pair that it completes, if it does."""
        self.unpaired_first += _append(self._first, stamp_ns, item, self._capacity)
        found = _nearest(self._second, stamp_ns, self.tolerance_ns)
        return None if found is None else self._take(len(self._first) - 1, found)

    def add_second(self, stamp_ns: int, item: Second) -> Pair[First, Second] | None:
        """Take in a message of the second stream; the pair that it completes, if it does."""
        self.unpaired_second += _append(self._second, stamp_ns, item, self._capacity)
        found = _nearest(self._first, stamp_ns, self.tolerance_ns)
        return None if found is None else self._take(found, len(self._second) - 1)

    def _take(self, first: int, second: int) -> Pair[First, Second]:
        self.unpaired_first += first
        self.unpaired_second += second
        for _ in range(first):
            self._first.popleft()
        for _ in range(second):
            self._second.popleft()
        stamp_ns, one = self._first.popleft()
        return Pair(stamp_ns, one, self._second.popleft()[1])


def _append(queue: deque[tuple[int, First]], stamp_ns: int, item: First, capacity: int) -> int:
    """Append to a queue of ascending stamps; how many were forgotten for it."""
    forgotten = 0
    if queue and stamp_ns <= queue[-1][0]:
        forgotten = len(queue)
        queue.clear()
    queue.append((stamp_ns, item))
    while len(queue) > capacity:
        queue.popleft()
        forgotten += 1
    return forgotten


def _nearest(queue: deque[tuple[int, First]], stamp_ns: int, tolerance_ns: int) -> int | None:
    """The index of the message whose stamp is nearest, if one is near enough."""
    if not queue:
        return None
    away, index = min((abs(stamp - stamp_ns), index) for index, (stamp, _) in enumerate(queue))
    return index if away <= tolerance_ns else None
