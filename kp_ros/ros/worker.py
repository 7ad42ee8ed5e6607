"""Work beside the executor: the newest item wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestItemWorker(Generic[Item]):
    """Runs a function in a thread of its own on the newest item only.

    An item that comes while the function runs waits in a single place; one that comes after it takes that place, and
    the one before is dropped. Nothing is ever queued, so the function always works on what is newest.

    :param work: called with each item, never twice at the same time. It must not raise.
    :param dropped: called for each item that is dropped, in the thread that submits.
    """

    def __init__(self, work: Callable[[Item], None], dropped: Callable[[], None]) -> None:
        self._work = work
        self._dropped = dropped
        self._condition = threading.Condition()
        self._waiting: list[Item] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="newest_item_worker", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> None:
        """Hand in an item; returns at once."""
        with self._condition:
            drops = bool(self._waiting)
            self._waiting = [item]
            self._condition.notify()
        if drops:
            self._dropped()

    def stop(self) -> None:
        """Finish the item at hand, forget the one that waits, end the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
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
            return taken
