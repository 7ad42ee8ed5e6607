"""Table A: before and after each method, from the same pre-trained start, equal steps, the same data.

    python -m benchmarks.methods.table_a --start runs/base/last.pt --steps 3000 --seeds 2 --output runs/table_a

Two things are measured on frames that no run has trained on: each method's own reward before and after, and what
keypoints are for: repeatability, pose AUC, track lengths, ATE. --only dad,traqpoint takes some of the rows.
"""

from __future__ import annotations

from typing import Any

from benchmarks.methods.runner import (
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

#: The figure that each method's reward stands for, and whether more of it is better.
OWN = {
    "rfp": ("pose_loss", False),
    "ripe": ("reward", True),
    "dad": ("hit_rate", True),
    "traqpoint": ("reward", True),
}
#: Held-out batches that a method's own figure is the mean of: RFP's moves by degrees from batch to batch.
BATCHES = 48
FIGURES = ("repeatability_gap5", "repeatability_gap15", "auc5_gap5", "auc5_gap15", "aktl", "vtl", "ate")


def main() -> None:
    """Train, judge, write benchmarks/results/methods_a.json."""
    arguments = arguments_of(__doc__)
    start = start_of(arguments)
    methods = [name for name in OWN if not arguments.only or name in arguments.only.split(",")]
    common = (f"start={start}", *data_overrides(arguments.data))
    runs = train_all([Variant(name, name) for name in methods], range(arguments.seeds), arguments, common)
    judged = judge_with_start(runs, arguments)
    rows = judged.table(FIGURES)
    own: dict[str, Any] = {}
    for method in methods:
        figure, more = OWN[method]
        of_method = [run.checkpoint for run in runs if run.variant.name == method]
        measured = held_out_figures(method, of_method[0].parent, [start, *of_method], BATCHES)
        before, *after = [figures[figure] for figures in measured]
        own[method] = {
            "figure": figure,
            "more_is_better": more,
            "before": over_seeds([before]),
            "after": over_seeds(after),
        }
    lines = ["| method | own figure | before | after |", "|---|---|---|---|"]
    for method, found in own.items():
        values = (f"{found[when].get('mean', float('nan')):.4f}" for when in ("before", "after"))
        lines.append(f"| {method} | {found['figure']} | " + " | ".join(values) + " |")
    text = table(rows, FIGURES) + "\n\nOn held-out frames, no step taken:\n\n" + "\n".join(lines)
    result = {"judged_on": judged.sequences, "rows": rows, "own": own, "runs": judged.figures}
    write("methods_a", result, arguments, text)


if __name__ == "__main__":
    main()
