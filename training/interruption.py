"""Ctrl-C and SIGTERM end a run after the step it is in."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """While this is open, a signal only adds its number to the list."""
    received: list[int] = []

    def handler(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, action in previous.items():
            signal.signal(number, action)


def ignore_signals() -> None:
    """For a loader's process, which Ctrl-C and a service's SIGTERM reach too: the loop alone decides when to end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
