"""What a run says while it goes: progress bar, JSON lines and TensorBoard."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

#: Steps between two lines of the log, each the mean over the steps since the line before.
LOG_EVERY = 20
LOG = "log.jsonl"
#: What the bar shows, where the objective reports it; the log has everything.
BAR = ("loss", "reward", "hit_rate", "acceptance", "entropy", "matched", "repeatability", "gradient_norm", "skipped")

Figures = Mapping[str, float | Tensor]


class RunLog:
    """Use as a context.

    :param folder: of the run.
    :param start: step at which it goes on; lines of later steps, which a killed run has left, are dropped.
    :param steps: of the whole run.
    :param enabled: false in all processes but the first: they say nothing.
    """

    def __init__(self, folder: Path, start: int, steps: int, enabled: bool = True) -> None:
        self._waiting: dict[str, list[float | Tensor]] = defaultdict(list)
        self._enabled = enabled
        if not enabled:
            return
        drop_later_lines(folder / LOG, start)
        self._lines = (folder / LOG).open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start)
        self._bar = tqdm(total=steps, initial=start, unit="step", desc=folder.name)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._enabled:
            self._bar.close()
            self._board.close()
            self._lines.close()

    def add(self, figures: Figures) -> None:
        """Take figures; a line has the mean of each since the line before. Tensors are read only for the line."""
        if self._enabled:
            for name, value in figures.items():
                self._waiting[name].append(value)

    def end_step(self, step: int, counts: Mapping[str, float]) -> None:
        """A step is done, 1-based; every :data:`LOG_EVERY` steps write a line.

        :param counts: are written as they are.
        """
        if not self._enabled:
            return
        self._bar.update()
        if step % LOG_EVERY == 0:
            means = {name: finite_mean(values) for name, values in self._waiting.items()}
            self._waiting.clear()
            self._write(step, {**means, **counts})

    def _write(self, step: int, figures: Mapping[str, float | None]) -> None:
        shown = {name: f"{figures[name]:.3g}" for name in BAR if figures.get(name) is not None}
        self._bar.set_postfix(shown, refresh=False)
        self._lines.write(json.dumps({"step": step, **figures}) + "\n")
        self._lines.flush()
        for name, value in figures.items():
            if value is not None:
                self._board.add_scalar(name, value, step)


def finite_mean(values: list[float | Tensor]) -> float | None:
    """Mean of those values that are finite; None where none is."""
    numbers = [number for number in map(float, values) if math.isfinite(number)]
    return sum(numbers) / len(numbers) if numbers else None


def drop_later_lines(file: Path, step: int) -> None:
    """Keep the lines up to a step; a line that a kill has cut off goes too."""
    if not file.exists():
        return
    kept = []
    for line in file.read_text().splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (json.JSONDecodeError, KeyError):
            continue
    partial = file.with_suffix(".partial")
    partial.write_text("".join(kept))
    partial.replace(file)
