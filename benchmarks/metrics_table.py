"""Rows of shared/eval/vo_metrics.py, which judges every detector and tracker, as a table.

    python -m benchmarks.metrics_table METRICS ORDER -- ARGUMENTS OF METRICS

runs it with the points of every pose estimate in another order. Its estimator draws the same random numbers each time,
so that the order is all the chance there is: where the baseline is short, AUC moves by ten points with it. ORDER 0
leaves the points as they are.
"""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]
GAPS = (5, 15)

Row = dict[str, str]


def measure(metrics: Path, sequence: Path, features: Sequence[str], orders: int = 1) -> list[Row]:
    """Run vo_metrics over a sequence; a row a method.

    :param metrics: vo_metrics.py.
    :param sequence: folder in its layout.
    :param features: ``klt`` or ``label=file``.
    :param orders: so many orders of the points, averaged.
    """
    arguments = ["--seq", str(sequence), "--gaps", ",".join(map(str, GAPS)), *features]
    runs = []
    for order in range(orders):
        command = [sys.executable, "-m", "benchmarks.metrics_table", str(metrics), str(order), "--", *arguments]
        output = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
        runs.append([_parsed(line) for line in output.splitlines() if re.match(r"\S+ +\S+ +kp ", line)])
    return [_mean(rows) for rows in zip(*runs, strict=True)]


def markdown(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The rows as a table, with ``sequence`` and ``method`` in front."""
    columns = ("sequence", "method", *columns)
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(row.get(column, "") for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def _parsed(line: str) -> Row:
    """``sequence label key value key value ...`` as vo_metrics prints it."""
    sequence, label, *rest = line.split()
    return {"sequence": sequence, "method": label, **dict(zip(rest[::2], rest[1::2], strict=True))}


def _mean(rows: Sequence[Row]) -> Row:
    """Mean of each figure, where a figure may be several with slashes between them."""
    if len(rows) == 1:
        return rows[0]
    first = rows[0]
    figures = {key: np.mean([np.array(row[key].split("/"), float) for row in rows], 0) for key in list(first)[2:]}
    decimals = {key: len(first[key].split("/")[0].partition(".")[2]) for key in figures}
    means = {key: "/".join(f"{value:.{decimals[key]}f}" for value in values) for key, values in figures.items()}
    return {"sequence": first["sequence"], "method": first["method"], **means}


def _run_shuffled(metrics: str, order: int, arguments: list[str]) -> None:
    """Run vo_metrics in this process, the points of its estimates in another order."""
    space = runpy.run_path(metrics)
    estimate, random = space["essential"], np.random.default_rng(order)

    def shuffled(p: np.ndarray, q: np.ndarray, *more: Any) -> tuple[Any, np.ndarray]:
        chosen = random.permutation(len(p))
        found, of_chosen = estimate(p[chosen], q[chosen], *more)
        inlier = np.zeros(len(p), bool)
        inlier[chosen] = of_chosen
        return found, inlier

    sys.argv = [metrics, *arguments]
    if order:
        space["main"].__globals__["essential"] = shuffled
    space["main"]()


if __name__ == "__main__":
    _run_shuffled(sys.argv[1], int(sys.argv[2]), sys.argv[4:])
