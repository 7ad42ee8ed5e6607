"""How far a conversion is, for whoever sits before it."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

from training.data.bags.conversion import Watcher


class ProgressBar(Watcher):
    """One bar a stage, on the standard error."""

    def __init__(self) -> None:
        self._bar: Any = None

    def stage(self, name: str, total: int | None) -> None:
        """See :class:`~training.data.bags.conversion.Watcher`."""
        self.close()
        self._bar = tqdm(total=total, desc=name, unit="image", disable=None)

    def step(self) -> None:
        """See :class:`~training.data.bags.conversion.Watcher`."""
        if self._bar is not None:
            self._bar.update()

    def close(self) -> None:
        """End the last bar."""
        if self._bar is not None:
            self._bar.close()
