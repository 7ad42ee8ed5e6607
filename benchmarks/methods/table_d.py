"""Table D: RIPE with and without negative pairs, and RFP's pose loss over its training.

    python -m benchmarks.methods.table_d --start runs/base/last.pt --steps 3000 --seeds 2 --output runs/table_d

RIPE's rows are measured alike, on pairs that no run has trained on, half of them of two scenes: matches that one
epipolar geometry explains, where there is one and where there is none. RFP's pose loss is that of its own draws, over
the training, and before and after it on held-out pairs. --only ripe,rfp takes some of the rows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods.runner import (
    Trained,
    Variant,
    arguments_of,
    data_overrides,
    held_out_figures,
    judge_with_start,
    over_seeds,
    start_of,
    table,
    train_all,
    write,
)
from training.run_log import LOG

RIPE = (
    Variant("ripe", "ripe"),
    Variant("ripe_without_negatives", "ripe", ("negatives=0.0",)),
    Variant("ripe_plus_plus", "ripe", ("negatives=0.0", "outlier_reward=-0.1", "entropy.start=0.03")),
)
RFP = Variant("rfp", "rfp")
#: What RIPE's objective reports of held-out pairs.
PAIRS = ("inliers_same", "inliers_other", "matches", "acceptance")
FIGURES = ("repeatability_gap5", "auc5_gap5", "auc5_gap15", "aktl", "vtl", "ate")
#: Parts that RFP's training is cut into.
PARTS = 10


def main() -> None:
    """Train, measure, judge, write benchmarks/results/methods_d.json."""
    arguments = arguments_of(__doc__, seeds=2)
    start = start_of(arguments)
    wanted = [variant for variant in (*RIPE, RFP) if not arguments.only or variant.name in arguments.only.split(",")]
    common = (f"start={start}", *data_overrides(arguments.data))
    runs = train_all(wanted, range(arguments.seeds), arguments, common)
    ripe = [run for run in runs if run.variant.method == "ripe"]
    rfp = [run for run in runs if run.variant is RFP]
    result: dict[str, Any] = {}
    texts = []
    if ripe:
        result["ripe"] = _ripe(ripe, arguments)
        texts.append(table(result["ripe"]["rows"], [*PAIRS, *FIGURES]))
    if rfp:
        result["rfp"] = _rfp(rfp, start)
        texts.append(_told(result["rfp"]))
    write("methods_d", result, arguments, "\n\n".join(texts))


def _ripe(runs: Sequence[Trained], arguments: argparse.Namespace) -> dict[str, Any]:
    """Rows of the start and of every variant: held-out pairs, and the evaluation of keypoints."""
    judged = judge_with_start(runs, arguments)
    # By the settings of the first run: with negative pairs, unless --only leaves it out.
    figures = held_out_figures("ripe", runs[0].checkpoint.parent, list(judged.checkpoints.values()))
    pairs = dict(zip(judged.checkpoints, figures, strict=True))
    rows = judged.table(FIGURES)
    for row, names in judged.rows.items():
        rows[row] = {key: over_seeds([pairs[name].get(key) for name in names]) for key in PAIRS} | rows[row]
    return {"rows": rows, "judged_on": judged.sequences, "runs": judged.figures}


def _rfp(runs: Sequence[Trained], start: Path) -> dict[str, Any]:
    """The pose loss over the training, and on held-out pairs before and after; degrees, capped at 75."""
    before, *after = held_out_figures("rfp", runs[0].checkpoint.parent, [start, *(run.checkpoint for run in runs)])
    return {
        "training": [over_seeds(part) for part in zip(*(_parts(run) for run in runs), strict=True)],
        "held_out": {
            when: {key: over_seeds([one[key] for one in of]) for key in ("pose_loss", "pose_error", "matches")}
            for when, of in (("before", [before]), ("after", after))
        },
    }


def _parts(run: Trained) -> list[float]:
    """Mean pose loss of each tenth of a training."""
    lines = (run.checkpoint.parent / LOG).read_text().splitlines()
    losses = [json.loads(line)["pose_loss"] for line in lines]
    return [float(np.mean(part)) for part in np.array_split(losses, PARTS) if len(part)]


def _told(rfp: dict[str, Any]) -> str:
    curve = ", ".join(f"{part['mean']:.1f}" for part in rfp["training"])
    held = table(rfp["held_out"], ["pose_loss", "pose_error", "matches"])
    return f"RFP's pose loss in each tenth of its training, degrees: {curve}\n\nOn held-out pairs:\n\n{held}"


if __name__ == "__main__":
    main()
