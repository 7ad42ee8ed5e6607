"""The figures of benchmarks/speed.py as a table and as a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: What the plot shows: the size of the sequence that the accuracy is of.
PLOTTED = {"width": 1241, "height": 376, "keypoints": 1024, "threads": 2}
SEQUENCE, COLUMN, DEGREES = "kitti_06", "auc@15", 1
NOTE = """\
Milliseconds a frame, p50 / p95 / p99, image to features. `x ORB` compares medians at 1024 keypoints; `processor` is the
time of all threads together there, `points` how many were found. `share of peak` is what the network's convolutions
need over the time of the whole call, over the peak of an fp32 matrix product on the same threads."""
COLOURS = {"ours": "#c2410c", "theirs": "#475569"}


def markdown(result: dict[str, Any]) -> str:
    """Tables, one an image size and number of threads, and what they are of."""
    facts = result["facts"]
    lines = ["# Time of a frame", "", f"`{result['command']}`", ""]
    for key in ("processor", "cores", "units", "system", "python", "versions", "models", "energy", "clocks"):
        value = facts[key]
        if isinstance(value, dict):
            value = ", ".join(f"{name} {entry}" for name, entry in value.items())
        lines.append(f"- {key}: {', '.join(value) if isinstance(value, list) else value}")
    lines += [f"- not measured: {line}" for line in result["absent"]]
    lines += [
        "",
        NOTE,
    ]
    groups: dict[tuple[int, int, int], dict[int, dict[str, Any]]] = {}
    for setting in result["settings"].values():
        group = groups.setdefault((setting["width"], setting["height"], setting["threads"]), {})
        group[setting["keypoints"]] = setting
    for (width, height, threads), budgets in groups.items():
        peak = max(setting["peak"] for setting in budgets.values()) / 1e9
        load = max(setting["load"] for setting in budgets.values())
        lines += ["", f"## {width} x {height}, {threads} thread{'s' if threads > 1 else ''}", ""]
        lines += [f"Peak {peak:.0f} GFLOP/s; load at the end {load:.1f}.", ""]
        head = ["method", "backend", "precision", *map(str, budgets), "x ORB", "processor", "points", "share of peak"]
        told = any(row["joules"] is not None for setting in budgets.values() for row in setting["rows"])
        head += ["J a frame"] if told else []
        lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows_of(budgets, told)]
    return "\n".join(lines) + "\n"


def rows_of(budgets: dict[int, dict[str, Any]], energy: bool) -> list[list[str]]:
    """A row a competitor, its times at every budget."""
    budget = 1024 if 1024 in budgets else next(iter(budgets))
    orb = next(row["p50"] for row in budgets[budget]["rows"] if row["name"] == "ORB")
    rows = []
    for middle in budgets[budget]["rows"]:
        same = [_same(setting, middle) for setting in budgets.values()]
        times = [f"{row['p50']:.1f} / {row['p95']:.1f} / {row['p99']:.1f}" if row else "" for row in same]
        share = f"{middle['flops'] / middle['p50'] * 1e3 / budgets[budget]['peak']:.0%}" if middle["flops"] else ""
        row = [middle["name"], middle["backend"], middle["precision"], *times, f"{middle['p50'] / orb:.2f}"]
        row += [f"{middle['cpu']:.1f}", f"{middle['points']:.0f}", share]
        rows.append(row + ([f"{middle['joules']:.3f}"] if energy else []))
    return rows


def _same(setting: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any] | None:
    keys = ("name", "backend", "precision")
    return next((row for row in setting["rows"] if all(row[key] == wanted[key] for key in keys)), None)


#: Backend and precision that run everywhere.
USUAL = ("onnxruntime-cpu", "fp32")
#: A median below this share of another's is a point of its own in the plot.
VISIBLY_FASTER = 0.85


def draw(result: dict[str, Any], accuracy: dict[str, Any], file: Path) -> list[str]:
    """Accuracy against time: each model on ONNX Runtime, which runs everywhere, and on what is visibly faster.

    :param accuracy: benchmarks/results/detectors.json; a row of another model than the one that was timed is no row.
    :returns: what is not in the plot and why, a line each.
    """
    settings = [
        setting
        for setting in result["settings"].values()
        if all(setting[key] == value for key, value in PLOTTED.items())
    ]
    if not settings:
        return ["no plot: its setting (1241x376, 1024 keypoints, 2 threads) was not measured"]
    judged = {row["method"]: row for row in accuracy["rows"] if row["sequence"] == SEQUENCE}
    points, left_out = [], []
    for row in settings[0]["rows"]:
        name, label = row["accuracy"], " ".join(filter(None, (row["name"], row["precision"])))
        if name not in judged:
            left_out.append(f"{label}: not in the plot, for no accuracy of {name} is known")
        elif judged[name].get("model", "") != row["model"]:
            left_out.append(
                f"{label}: not in the plot, for the accuracy is another model's; run benchmarks/detectors.py"
            )
        else:
            points.append((row, float(judged[name][COLUMN].split("/")[DEGREES])))
    if points:
        _plot([point for point in points if _worth_showing(point[0], [row for row, _ in points])], file)
    return left_out


def _worth_showing(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    own = [other for other in rows if other["name"] == row["name"]]
    fastest = min(own, key=lambda other: float(other["p50"]))
    usual = next((other for other in own if (other["backend"], other["precision"]) == USUAL), fastest)
    # Two points in one place would be told apart by nobody.
    return row is usual or (row is fastest and row["p50"] < VISIBLY_FASTER * usual["p50"])


def _plot(points: list[tuple[dict[str, Any], float]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    figure, axes = pyplot.subplots(figsize=(7.6, 4.4), dpi=150)
    for row, value in points:
        colour = COLOURS["ours" if row["model"] else "theirs"]
        follows = "tracker" in row["name"] or "Lucas" in row["name"]
        error = [[0.0], [max(0.0, row["p95"] - row["p50"])]]
        axes.errorbar(row["p50"], value, xerr=error, fmt="s" if follows else "o", color=colour, markersize=7, capsize=2)
        # A model and its int8 twin lie side by side: one has its name above, the other below.
        below = bool(row["model"]) and "int8" not in row["name"]
        place: dict[str, Any] = {"xytext": (0, -9 if below else 9), "va": "top" if below else "bottom"}
        axes.annotate(
            _label(row), (row["p50"], value), textcoords="offset points", ha="center", color=colour, fontsize=8, **place
        )
    axes.set_xscale("log")
    low, high = min(row["p50"] for row, _ in points) / 1.6, max(row["p95"] for row, _ in points) * 1.4
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([1, 2, 5, 10, 20, 50, 100, 200, 500]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 108)
    axes.set_xlabel("milliseconds a frame (median, bar to 95 %); 1241 x 376, 1024 keypoints, two threads")
    axes.set_ylabel("pose AUC at 10 degrees, 15 frames apart (kitti_06)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    pyplot.close(figure)


def _label(row: dict[str, Any]) -> str:
    if not row["model"]:
        return str(row["name"])
    backend = {"onnxruntime-cpu": "ONNX Runtime", "openvino-cpu": "OpenVINO"}.get(row["backend"], row["backend"])
    return f"{row['name']}\n{backend} {row['precision']}"
