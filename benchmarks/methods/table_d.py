"""Table D: RIPE with and without negative pairs, and RFP's pose loss over its training.

    python -m benchmarks.methods.table_d --start runs/base/last.pt --steps 3000 --seeds 2 --output runs/table_d

RIPE's rows are measured alike, on pairs that no run has trained on, half of them of two scenes: matches that one
epipolar geometry explains, where there is one and where there is none. More accepted points make more inliers, so the
same is measured again with each network's logits shifted until it accepts as many points as the start. RFP's pose loss
is that of its own draws, over the training, and before and after it on held-out pairs. --only ripe,rfp takes some of
the rows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods.runner import (
    HeldOut,
    Trained,
    Variant,
    arguments_of,
    data_overrides,
    held_out_figures,
    hold_out,
    judge_with_start,
    over_seeds,
    start_of,
    table,
    train_all,
    write,
)
from training.methods.ripe import RipeConfig
from training.run_log import LOG

RIPE = (
    Variant("ripe", "ripe"),
    Variant("ripe_without_negatives", "ripe", ("negatives=0.0",)),
    Variant("ripe_plus_plus", "ripe", ("negatives=0.0", "outlier_reward=-0.1", "entropy.start=0.03")),
)
RFP = Variant("rfp", "rfp")
#: What RIPE's objective reports of held-out pairs.
PAIRS = ("inliers_same", "inliers_other", "matches", "acceptance")
#: With as many points as the start has.
EQUAL = ("reward_equal", "inliers_same_equal", "inliers_other_equal", "acceptance_equal")
#: Held-out batches of RIPE's figures, and those that the shift of the logits is sought on.
BATCHES, SOUGHT = 48, 8
#: Logits are shifted by at most this, up or down, and halved so often.
FARTHEST, HALVINGS = 8.0, 10
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
        texts.append(table(result["ripe"]["rows"], [*PAIRS, *EQUAL, *FIGURES]))
    if rfp:
        result["rfp"] = _rfp(rfp, start)
        texts.append(_told(result["rfp"]))
    write("methods_d", result, arguments, "\n\n".join(texts))


def _ripe(runs: Sequence[Trained], arguments: argparse.Namespace) -> dict[str, Any]:
    """Rows of the start and of every variant: held-out pairs, and the evaluation of keypoints."""
    judged = judge_with_start(runs, arguments)
    # By the settings of the first run: with negative pairs, unless --only leaves it out.
    measure = hold_out("ripe", runs[0].checkpoint.parent, BATCHES)
    pairs = {name: measure.figures(checkpoint) for name, checkpoint in judged.checkpoints.items()}
    wanted = replace(measure, batches=measure.batches[:SOUGHT]).figures(judged.start)["acceptance"]
    for name, checkpoint in judged.checkpoints.items():
        equal = accepting(measure, checkpoint, wanted).figures(checkpoint)
        pairs[name] |= {f"{key}_equal": value for key, value in equal.items()}
    rows = judged.table(FIGURES)
    for row, names in judged.rows.items():
        rows[row] = {key: over_seeds([pairs[name].get(key) for name in names]) for key in (*PAIRS, *EQUAL)} | rows[row]
    return {"rows": rows, "judged_on": judged.sequences, "runs": judged.figures}


def accepting(measure: HeldOut, checkpoint: Path, wanted: float) -> HeldOut:
    """The measure with the shift of the logits at which a network accepts a wanted share of its draws."""
    assert isinstance(measure.config, RipeConfig)
    few = replace(measure, batches=measure.batches[:SOUGHT])
    low, high = (measure.config.acceptance_offset + shift for shift in (-FARTHEST, FARTHEST))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        accepted = replace(few, config=replace(measure.config, acceptance_offset=middle)).figures(checkpoint)
        low, high = (middle, high) if accepted["acceptance"] < wanted else (low, middle)
    return replace(measure, config=replace(measure.config, acceptance_offset=0.5 * (low + high)))


def _rfp(runs: Sequence[Trained], start: Path) -> dict[str, Any]:
    """The pose loss over the training, and on held-out pairs before and after; degrees, capped at 75."""
    before, *after = held_out_figures(
        "rfp", runs[0].checkpoint.parent, [start, *(run.checkpoint for run in runs)], BATCHES
    )
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
