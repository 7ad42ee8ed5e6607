"""Table C: DaD's light and dark detectors, which emerge from random weights, and what is distilled from them.

    python -m benchmarks.methods.table_c --steps 3000 --seeds 4 --output runs/table_c

Trains a detector from random weights with each seed, tells by the contrast at its keypoints what it finds, takes the
lightest and the darkest as teachers, and distils both by their maximum, mean and product. Where no sign emerges, which
takes longer than some thousand steps, the teachers are two detectors more, for which points of one sign alone earned
anything (only=light, only=dark). Repeatability is that of the best 128, 256, 512 and 1024 keypoints, on frames that
trained none. --start adds a row: the pre-trained detector.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods.runner import (
    Variant,
    arguments_of,
    data_overrides,
    kept,
    repeatability_by_budget,
    table,
    train_all,
    unseen_sequences,
    write,
)
from training.data.photographs import list_photographs
from training.data.sequence import read_image
from training.methods.contrast import Contrast, Polarity, grey_of, keypoints_of, measure_contrast

BUDGETS = (128, 256, 512, 1024)
GAPS = (1, 5)
SIGNS = ("light", "dark")
RULES = ("MAXIMUM", "MEAN", "PRODUCT")
#: Photographs that contrast is measured on.
PHOTOGRAPHS = 25


def main() -> None:
    """Train, classify, distil, judge, write benchmarks/results/methods_c.json."""
    arguments = arguments_of(__doc__, seeds=4)
    scratch = ("start=null", "trained=EVERYTHING", *data_overrides(arguments.data))
    detectors = train_all([Variant("dad_scratch", "dad")], range(arguments.seeds), arguments, scratch)
    photographs = list_photographs([arguments.data / "photos"])
    chosen = [photographs[int(k)] for k in np.linspace(0, len(photographs) - 1, PHOTOGRAPHS)]
    contrasts = {run.name: _contrast(run.name, run.checkpoint, chosen, arguments.output) for run in detectors}
    emerged = {found.polarity for found in contrasts.values()} >= {Polarity.LIGHT, Polarity.DARK}
    if not emerged:
        made = train_all(
            [Variant(f"dad_{sign}", "dad", (f"only={sign.upper()}",)) for sign in SIGNS], [0], arguments, scratch
        )
        contrasts |= {run.name: _contrast(run.name, run.checkpoint, chosen, arguments.output) for run in made}
        detectors += made
    lightest, darkest = (choose(detectors, key=lambda run: contrasts[run.name].light) for choose in (max, min))
    teachers = f"teachers=[{lightest.checkpoint},{darkest.checkpoint}]"
    students = [Variant(f"distilled_{rule.lower()}", "distillation", (f"rule={rule}", teachers)) for rule in RULES]
    distilled = train_all(students, [0], arguments, scratch)
    rows_of = {run.name: run.checkpoint for run in (*detectors, *distilled)}
    if arguments.start is not None:
        rows_of["start"] = arguments.start
    contrasts |= {name: _contrast(name, file, chosen, arguments.output) for name, file in rows_of.items()}
    judging = [arguments.data / name for name in ("icl_kt3", "hololens")]
    sequences = unseen_sequences(judging, list(rows_of.values()))
    rows: dict[str, dict[str, Any]] = {}
    for name, file in rows_of.items():
        judge = partial(repeatability_by_budget, str(file), sequences, BUDGETS, GAPS)
        repeated = kept(arguments.output / "judged" / f"{name}_repeatability.json", file, judge)
        found = contrasts[name]
        rows[name] = {"contrast": {"mean": round(found.mean, 3)}, "light %": {"mean": round(100 * found.light, 1)}}
        rows[name] |= {key: {"mean": value} for key, value in repeated.items()}
    columns = ["contrast", "light %", *(f"{budget}@{gap}" for gap in GAPS for budget in BUDGETS)]
    polarity = {name: found.polarity.value for name, found in contrasts.items()}
    result = {
        "rows": rows,
        "polarity": polarity,
        "teachers": {"light": lightest.name, "dark": darkest.name, "emerged": emerged},
        "judged_on": {sequence.name: len(sequence) for sequence in sequences},
    }
    kinds = ", ".join(f"{name} {kind}" for name, kind in polarity.items())
    text = table(rows, columns) + f"\n\nRepeatability at 3 px, percent: keypoints@gap. By contrast: {kinds}."
    write("methods_c", result, arguments, text)


def _contrast(name: str, checkpoint: Path, photographs: list[Path], output: Path) -> Contrast:
    def measure() -> dict[str, float]:
        images = (grey_of(read_image(file)) for file in photographs)
        return asdict(measure_contrast(keypoints_of(str(checkpoint), 512), images))

    found = kept(output / "judged" / f"{name}_contrast.json", checkpoint, measure)
    return Contrast(int(found["keypoints"]), found["mean"], found["light"], found["blind"])


if __name__ == "__main__":
    main()
