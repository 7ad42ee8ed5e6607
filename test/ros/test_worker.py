from __future__ import annotations

import threading

from kp_ros.ros.worker import NewestItemWorker


def test_the_newest_item_wins_and_the_others_are_counted_as_dropped() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    worked: list[int] = []
    drops: list[None] = []

    def work(item: int) -> None:
        begun.set()
        assert go_on.wait(60)
        worked.append(item)
        if item == 5:
            done.set()

    worker = NewestItemWorker(work, lambda: drops.append(None))
    worker.submit(1)
    assert begun.wait(60)
    for item in (2, 3, 4, 5):
        worker.submit(item)
    go_on.set()
    assert done.wait(60)
    worker.stop()
    assert worked == [1, 5]
    assert len(drops) == 3


def test_stop_finishes_the_item_at_hand_and_forgets_the_next() -> None:
    begun, go_on = threading.Event(), threading.Event()
    worked: list[int] = []

    def work(item: int) -> None:
        begun.set()
        assert go_on.wait(60)
        worked.append(item)

    worker = NewestItemWorker(work, lambda: None)
    worker.submit(1)
    assert begun.wait(60)
    worker.submit(2)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    while not worker._stopping:
        pass
    go_on.set()
    stopping.join(60)
    assert not stopping.is_alive()
    assert worked == [1]


def test_items_do_not_outlive_the_work_on_them() -> None:
    """An image is a megabyte: the worker must not hold on to the last one while it waits."""
    done = threading.Event()
    collected = threading.Event()

    class Item:
        def __del__(self) -> None:
            collected.set()

    worker: NewestItemWorker[Item] = NewestItemWorker(lambda item: done.set(), lambda: None)
    worker.submit(Item())
    assert done.wait(60)
    assert collected.wait(60)
    worker.stop()
