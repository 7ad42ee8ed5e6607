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
    export,
    held_out_figures,
    judge,
    mean_over,
    over_seeds,
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
FIGURES = ("repeatability_gap5", "repeatability_gap15", "auc5_gap5", "auc5_gap15", "aktl", "vtl", "ate")


def main() -> None:
    """Train, judge, write benchmarks/results/methods_a.json."""
    arguments = arguments_of(__doc__)
    if arguments.start is None:
        raise SystemExit("table A compares with a start: name it, --start runs/base/last.pt")
    seeds = range(arguments.seeds)
    methods = [name for name in OWN if not arguments.only or name in arguments.only.split(",")]
    variants = [Variant(name, name) for name in methods]
    common = (f"start={arguments.start}", *data_overrides(arguments.data))
    runs = train_all(variants, seeds, arguments, common)
    images = arguments.data / "photos"
    models = {
        run.name: export(run.checkpoint, arguments.output / "models" / f"{run.name}.onnx", images) for run in runs
    }
    models["start"] = export(arguments.start, arguments.output / "models" / "start.onnx", images)
    judged = judge(models, arguments)
    sequences = list(judged["start"])
    groups = {"start": ["start"]} | {name: [run.name for run in runs if run.variant.name == name] for name in methods}
    rows = {
        row: {key: mean_over([judged[name] for name in names], sequences, key) for key in FIGURES}
        for row, names in groups.items()
    }
    own: dict[str, Any] = {}
    for method in methods:
        figure, more = OWN[method]
        of_method = [run.checkpoint for run in runs if run.variant.name == method]
        measured = held_out_figures(method, of_method[0].parent, [arguments.start, *of_method])
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
    write("methods_a", {"judged_on": sequences, "rows": rows, "own": own, "runs": judged}, arguments, text)


if __name__ == "__main__":
    main()
