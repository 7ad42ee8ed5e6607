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
    held_out_figures,
    judge_with_start,
    over_seeds,
    start_of,
    table,
    train_all,
    write,
)

#: Pairs have two images an item, sequences five: so many pairs make the images of two sequences.
PAIRS = ("frames=2", "batch_size=5")
#: The method as its configuration has it: table A's row, and its runs where both tables have one --output.
FULL = "traqpoint"
VARIANTS = (
    Variant(FULL, "traqpoint"),
    Variant("scalar", "traqpoint", ("advantage=SCALAR", "over_image=true")),
    Variant("pairwise", "traqpoint", PAIRS),
    Variant("match", "traqpoint", (*PAIRS, "reward=MATCH")),
    Variant("no_ranking", "traqpoint", ("ranking=false",)),
    Variant("no_distinctiveness", "traqpoint", ("distinctiveness=false",)),
    Variant("supervised", "traqpoint", ("objective=SUPERVISED",)),
)
#: What the paper finds: the first is better than the second.
CLAIMS = (
    (FULL, "pairwise"),
    ("pairwise", "match"),
    (FULL, "no_ranking"),
    (FULL, "no_distinctiveness"),
    (FULL, "supervised"),
)
FIGURES = ("aktl", "vtl", "auc5_gap5", "auc5_gap15", "repeatability_gap5", "repeatability_gap15", "ate")
LESS_IS_BETTER = ("ate",)


def main() -> None:
    """Train, judge, write benchmarks/results/methods_b.json."""
    arguments = arguments_of(__doc__, seeds=2)
    common = (f"start={start_of(arguments)}", *data_overrides(arguments.data))
    variants = [one for one in VARIANTS if not arguments.only or one.name in (FULL, *arguments.only.split(","))]
    runs = train_all(variants, range(arguments.seeds), arguments, common)
    judged = judge_with_start(runs, arguments)
    rows = judged.table(FIGURES)
    # One measure for all: the full reward, whatever a variant was trained by.
    measure = next(run.checkpoint.parent for run in runs if run.variant.name == FULL)
    figures = held_out_figures("traqpoint", measure, list(judged.checkpoints.values()))
    measured = dict(zip(judged.checkpoints, (found["reward"] for found in figures), strict=True))
    for row, names in judged.rows.items():
        rows[row]["reward"] = over_seeds([measured[name] for name in names])
    claims = [_claim(rows, better, worse) for better, worse in CLAIMS if better in rows and worse in rows]
    text = table(rows, ("reward", *FIGURES)) + "\n\n" + "\n".join(_sentence(claim) for claim in claims)
    result = {"judged_on": judged.sequences, "rows": rows, "claims": claims, "runs": judged.figures}
    write("methods_b", result, arguments, text)


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
