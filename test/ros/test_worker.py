from __future__ import annotations

import threading

from kp_ros.ros.worker import EveryItemWorker, NewestItemWorker


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

    worker = NewestItemWorker(work, "test", lambda: drops.append(None))
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

    worker = NewestItemWorker(work, "test", lambda: None)
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

    worker: NewestItemWorker[Item] = NewestItemWorker(lambda item: done.set(), "test", lambda: None)
    worker.submit(Item())
    assert done.wait(60)
    assert collected.wait(60)
    worker.stop()


def test_every_item_is_worked_on_in_order_and_who_hands_over_waits() -> None:
    begun, go_on = threading.Event(), threading.Semaphore(0)
    worked: list[int] = []
    handed_over: list[int] = []

    def work(item: int) -> None:
        begun.set()
        assert go_on.acquire(timeout=60)
        worked.append(item)

    worker = EveryItemWorker(work, "test")

    def hand_over() -> None:
        for item in range(5):
            worker.hand_over(item)
            handed_over.append(item)

    giver = threading.Thread(target=hand_over)
    giver.start()
    assert begun.wait(60)
    for done in range(5):
        # One item is at hand and one in the place: the next stays with the giver.
        assert len(handed_over) <= done + 2
        go_on.release()
        while len(worked) <= done:
            pass
    giver.join(60)
    worker.stop()
    assert worked == handed_over == [0, 1, 2, 3, 4]


def test_who_hands_over_to_a_stopping_worker_does_not_wait_for_ever() -> None:
    worker: EveryItemWorker[int] = EveryItemWorker(lambda item: None, "test")
    worker.stop()
    giver = threading.Thread(target=lambda: [worker.hand_over(item) for item in range(3)])
    giver.start()
    giver.join(60)
    assert not giver.is_alive()
