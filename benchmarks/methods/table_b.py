"""Table B: TraqPoint's ablation, equal steps, equal data and equal images a step, mean and spread over the seeds.

    python -m benchmarks.methods.table_b --start runs/base/last.pt --steps 3000 --seeds 2 --output runs/table_b

The paper's order is the hypothesis: full > pairwise > match reward; full > without ranking, without distinctiveness;
full > supervised. The JSON says of each claim and each figure whether it holds here. Two rows are not the paper's: full
with its scalar advantage, as the paper writes it, and the start, untrained.
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

#: Pairs have two images an item, sequences five: so many pairs make the images of two sequences.
PAIRS = ("frames=2", "batch_size=5")
VARIANTS = (
    Variant("full", "traqpoint"),
    Variant("scalar", "traqpoint", ("advantage=SCALAR", "over_image=true")),
    Variant("pairwise", "traqpoint", PAIRS),
    Variant("match", "traqpoint", (*PAIRS, "reward=MATCH")),
    Variant("no_ranking", "traqpoint", ("ranking=false",)),
    Variant("no_distinctiveness", "traqpoint", ("distinctiveness=false",)),
    Variant("supervised", "traqpoint", ("objective=SUPERVISED",)),
)
#: What the paper finds: the first is better than the second.
CLAIMS = (
    ("full", "pairwise"),
    ("pairwise", "match"),
    ("full", "no_ranking"),
    ("full", "no_distinctiveness"),
    ("full", "supervised"),
)
FIGURES = ("aktl", "vtl", "auc5_gap5", "auc5_gap15", "repeatability_gap5", "repeatability_gap15", "ate")
LESS_IS_BETTER = ("ate",)


def main() -> None:
    """Train, judge, write benchmarks/results/methods_b.json."""
    arguments = arguments_of(__doc__, seeds=2)
    if arguments.start is None:
        raise SystemExit("TraqPoint's descriptors are trained before: name them, --start runs/base/last.pt")
    common = (f"start={arguments.start}", *data_overrides(arguments.data))
    variants = [one for one in VARIANTS if not arguments.only or one.name in ("full", *arguments.only.split(","))]
    runs = train_all(variants, range(arguments.seeds), arguments, common)
    images = arguments.data / "photos"
    models = {
        run.name: export(run.checkpoint, arguments.output / "models" / f"{run.name}.onnx", images) for run in runs
    }
    models["start"] = export(arguments.start, arguments.output / "models" / "start.onnx", images)
    judged = judge(models, arguments)
    sequences = list(judged["start"])
    groups = {"start": ["start"]}
    groups |= {variant.name: [run.name for run in runs if run.variant == variant] for variant in variants}
    rows = {
        row: {key: mean_over([judged[name] for name in names], sequences, key) for key in FIGURES}
        for row, names in groups.items()
    }
    # One measure for all: the full reward, whatever a variant was trained by.
    measure = next(run.checkpoint.parent for run in runs if run.variant.name == "full")
    checkpoints = {run.name: run.checkpoint for run in runs} | {"start": arguments.start}
    figures = held_out_figures("traqpoint", measure, list(checkpoints.values()))
    measured = dict(zip(checkpoints, (found["reward"] for found in figures), strict=True))
    for row, names in groups.items():
        rows[row]["reward"] = over_seeds([measured[name] for name in names])
    claims = [_claim(rows, better, worse) for better, worse in CLAIMS if better in rows and worse in rows]
    text = table(rows, ("reward", *FIGURES)) + "\n\n" + "\n".join(_sentence(claim) for claim in claims)
    write("methods_b", {"judged_on": sequences, "rows": rows, "claims": claims, "runs": judged}, arguments, text)


def _claim(rows: dict[str, dict[str, dict[str, float]]], better: str, worse: str) -> dict[str, Any]:
    """Of each figure: how much better the first is, and whether that is more than the spread of both."""
    found: dict[str, Any] = {"better": better, "worse": worse}
    for figure in FIGURES:
        one, other = rows[better][figure], rows[worse][figure]
        if not one or not other:
            continue
        gain = (one["mean"] - other["mean"]) * (-1 if figure in LESS_IS_BETTER else 1)
        if "spread" not in one or "spread" not in other:
            found[figure] = {"gain": round(gain, 4), "verdict": "has one seed"}
            continue
        noise = (one["spread"] ** 2 + other["spread"] ** 2) ** 0.5
        verdict = "holds" if gain > noise else "contradicted" if gain < -noise else "within the spread"
        found[figure] = {"gain": round(gain, 4), "noise": round(noise, 4), "verdict": verdict}
    return found


def _sentence(claim: dict[str, Any]) -> str:
    parts = [
        f"{figure} {claim[figure]['verdict']} ({claim[figure]['gain']:+.3f})" for figure in FIGURES if figure in claim
    ]
    return f"- {claim['better']} > {claim['worse']}: " + ", ".join(parts)


if __name__ == "__main__":
    main()
