"""Work beside the executor: threads with a place for one item each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Worker(Generic[Item]):
    """Runs a function in a thread of its own, on one item after the other. One item waits in a single place.

    :param work: called with each item, never twice at the same time. It must not raise.
    :param name: of the thread.
    """

    def __init__(self, work: Callable[[Item], None], name: str) -> None:
        self._work = work
        self._condition = threading.Condition()
        self._waiting: list[Item] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the item at hand, forget the one that waits, end the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join()

    def _run(self) -> None:
        # The item is never bound to a name here: an image would stay in memory until the next one comes.
        while taken := self._take():
            self._work(taken.pop())

    def _take(self) -> list[Item]:
        """Wait for an item; a list that holds it, or an empty one at the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or self._waiting)
            if self._stopping:
                return []
            taken, self._waiting = self._waiting, []
            self._condition.notify_all()
            return taken


class NewestItemWorker(_Worker[Item]):
    """A worker on the newest item only.

    An item that comes while the function runs waits; one that comes after it takes its place, and the one before is
    dropped. Nothing is ever queued, so the function always works on what is newest.

    :param dropped: called for each item that is dropped, in the thread that submits.
    """

    def __init__(self, work: Callable[[Item], None], name: str, dropped: Callable[[], None]) -> None:
        self._dropped = dropped
        super().__init__(work, name)

    def submit(self, item: Item) -> None:
        """Hand in an item; returns at once."""
        with self._condition:
            drops = bool(self._waiting)
            self._waiting = [item]
            self._condition.notify_all()
        if drops:
            self._dropped()


class EveryItemWorker(_Worker[Item]):
    """A worker on every item, in order: who hands one over waits until the place is free for it."""

    def hand_over(self, item: Item) -> None:
        """Hand in an item; returns when the one before has been taken up. Forgotten where the worker has stopped."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or not self._waiting)
            self._waiting = [item]
            self._condition.notify_all()
