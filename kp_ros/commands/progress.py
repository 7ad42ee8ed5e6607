"""Progress bars of the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from kp_ros.commands.reporting import console

Item = TypeVar("Item")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")


def progress_bar() -> Progress:
    """A bar on standard error: what, how far, how fast, how long still."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def watch(description: str, total: int | None) -> Callable[[Iterator[Item]], Iterator[Item]]:
    """Give what shows a progress bar while a loop goes through an iterator.

    :param total: how many items will come; None where nobody knows.
    """

    def watched(items: Iterator[Item]) -> Iterator[Item]:
        with progress_bar() as bar:
            yield from bar.track(items, total=total, description=description)

    return watched
